"""Who gets past which route of an application: found out by asking every route that its router knows.

Nothing here lists routes. What the router serves is asked, with every method, by everybody who must not get an answer;
so a route that forgets its check is found by the tests that it had no part in.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import falcon.inspect
import webtest

from clawdeploy.core.contracts import Access
from clawdeploy.web.expected import BY_SECRET
from clawdeploy.web.request import is_for_programs
from tests.web.people import Caller, Site

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
NEVER_WAS = "a" * 16
ODD_IDS = ("A" * 16, "1", "9" * 23, "%00", "..", "%2e%2e", "%2F", "a%2fb", "%ff'", "a" * 5000, "a" * 16 + "%0a",
           "a" * 16 + "%20", "%ED%A0%80", "%EF%BD%81" * 16, "a" * 16 + "%3b--", "%25%30%30")  # fmt: skip
FIELD = re.compile(r"{(\w+)[^}]*}")
BESIDES = re.compile(r'"credential"|FROM installation UNION ALL')
"""Statements that have to do with who is calling, or that a process makes once a second whoever calls."""
OWN_TABLES = re.compile(r'"(instance|secret|activity|idempotency)"')
TAKEN_OVER = "taken over"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
BODIES: tuple[tuple[bytes | None, str | None], ...] = (
    (None, None),
    (b'{"name": "taken over"}', "application/json"),
    (b"name=taken+over", "application/x-www-form-urlencoded"),
    (b"back=dashboard", "application/x-www-form-urlencoded"),
)
"""What requests to addresses with an id carry: for each route one of them is what it takes."""


@dataclass(frozen=True)
class Served:
    """An address with a method, as the router has it; ``own`` says whether the resource has a responder for it."""

    method: str
    template: str
    own: bool

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    def address(self, **values: str) -> str:
        """Return a real address; fields that are not given get the text ``one``, but for the kind of a credential."""
        given = {"kind": "api_token", "instance_id": NEVER_WAS, "credential_id": "0" * 12, **values}
        return FIELD.sub(lambda found: given.get(found[1], "1"), self.template)


def served(site: Site) -> list[Served]:
    """Return every address of an application with every method, also those that it answers with 405."""
    found = []
    for route in falcon.inspect.inspect_routes(site.app):
        own = {method.method for method in route.methods if not method.internal}
        found += [Served(method, route.path, method in own) for method in (*METHODS, *sorted(own - set(METHODS)))]
    return found


def open_doors(site: Site) -> list[str]:
    """Return what an application serves without its router, and so without any check, besides its static files."""
    sinks = [f"the sink {sink.prefix}" for sink in falcon.inspect.inspect_sinks(site.app)]
    folders = [route.prefix for route in falcon.inspect.inspect_static_routes(site.app)]
    return sinks + [f"the files of {prefix}" for prefix in folders if prefix.rstrip("/") != "/static"]


# -- without a credential that is good -----------------------------------------------------------------------------


def intruders(site: Site) -> dict[str, Caller]:
    """Return everybody who is nobody: no credential, one that is over or was never one, or a good one misplaced."""
    issue = site.platform.credentials.issue
    moment = timedelta(microseconds=1)

    def bearer(value: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {value}"}

    def cookie(value: str) -> dict[str, str]:
        return {"Cookie": f"clawdeploy_session={value}", **SAME_SITE}

    def revoked(kind: str, prefix: str = "") -> str:
        secret, record = issue(kind, "ann", prefix=prefix)
        assert site.platform.credentials.revoke(kind, record.id)
        return secret.reveal()

    def good(kind: str, prefix: str = "", lifetime: timedelta | None = None) -> str:
        return issue(kind, "ann", prefix=prefix, lifetime=lifetime)[0].reveal()

    token, session = good("api_token", "cd_"), good("session")
    headers: dict[str, dict[str, str]] = {
        "anonymous": {},
        "a token that was never issued": bearer("cd_" + "x" * 43),
        "an expired token": bearer(good("api_token", "cd_", moment)),
        "a revoked token": bearer(revoked("api_token", "cd_")),
        "a token without its last character": bearer(token[:-1]),
        "a token with one character too many": bearer(token + "x"),
        "a token in another case": bearer(token.swapcase()),
        "a token without its prefix": bearer(token.removeprefix("cd_")),
        "a token as a password": {"Authorization": f"Basic {token}"},
        "a token without a scheme": {"Authorization": token},
        "a token beyond ASCII": bearer("cd_\xe9\xff"),
        "an endless token": bearer("cd_" + "x" * 4000),
        "a token as a cookie": cookie(token),
        "a session as a token": bearer(f"cd_{session}"),
        "a sign-in link as a token": bearer(good("sign_in_link")),
        "a sign-in link as a cookie": cookie(good("sign_in_link")),
        "a session that was never opened": cookie("x" * 43),
        "an expired session": cookie(good("session", lifetime=moment)),
        "a session that was ended": cookie(revoked("session")),
        "a session without its last character": cookie(session[:-1]),
        "a session in a cookie of another name": {"Cookie": f"session={session}; __Host-clawdeploy_session={session}"},
        "an odd cookie": {"Cookie": "clawdeploy_session=%00; ;=;\x7f=\xff; clawdeploy_session"},
    }
    return {who: Caller(site, what) for who, what in headers.items()}


def let_in(
    site: Site, routes: Iterable[Served], public: Iterable[tuple[str, str]], access: Mapping[str, Access]
) -> Iterator[str]:
    """Say which route that is not among the ``public`` ones lets whom in; ``access`` has the templates of admins.

    A page leads to where one signs in, everything else is refused with 401, and nothing changes.
    """
    made = site.program().create(name="not for intruders")
    values = {"instance_id": made["id"]}
    before = site.everything()
    callers = intruders(site)
    for route in routes:
        if (route.method, route.template) in public:
            continue
        who = dict(callers)
        if access.get(route.template) in BY_SECRET:
            who |= {"somebody else's program": site.program(), "somebody else's browser": _at_home(site)}
        elif any((method, route.template) in public for method in METHODS):
            continue
        if not route.own:
            # No resource answers these, so that one caller shows whether the guard stands before the framework, too.
            who = {"anonymous": callers["anonymous"]}
        for name, caller in who.items():
            answer = caller.call(route.method, route.address(**values))
            if not _is_refusal(answer, route) or made["name"].encode() in answer.body:
                yield f"{route} answers {answer.status} to {name}"
    if site.everything() != before:
        yield "something was changed"


def _at_home(site: Site, user: str = "ann") -> Caller:
    """Return a browser that stands on one of our own pages."""
    caller = site.browser(user)
    caller.headers |= SAME_SITE
    return caller


def _is_refusal(answer: webtest.TestResponse, route: Served) -> bool:
    if "Set-Cookie" in answer.headers:
        return False
    if is_for_programs(route.template):
        asks: str = answer.headers.get("WWW-Authenticate", "")
        return answer.status_int == 401 and asks.startswith("Bearer")
    return (answer.status_int, answer.headers.get("Location"), answer.body) == (303, "/", b"")


def forged_changes(
    site: Site, routes: Iterable[Served], public: Iterable[tuple[str, str]], access: Mapping[str, Access]
) -> Iterator[str]:
    """Say which change another site could have somebody's browser make."""
    made = site.program().create(name="not for other sites")
    before = site.everything()
    browser = site.browser()
    browser.headers["Sec-Fetch-Site"] = "same-site"
    for route in routes:
        safe = route.method in ("GET", "HEAD", "OPTIONS", "TRACE")
        if safe or (route.method, route.template) in public or access.get(route.template) in BY_SECRET:
            continue
        answer = browser.call(route.method, route.address(instance_id=made["id"]))
        if answer.status_int != 403:
            yield f"{route} answers {answer.status} to another site"
    if site.everything() != before:
        yield "something was changed"


# -- with somebody else's ------------------------------------------------------------------------------------------


def told_apart(site: Site, routes: Iterable[Served], database: logging.Logger) -> Iterator[str]:
    """Say which route lets somebody know, see or change more of another's instance than of one that never was.

    ``site`` limits no changes. ``database`` is where the statements are logged that the database gets.
    """
    made = site.program("ann").create(name="not for bob")
    before = site.everything()
    for kind, bob in (("program", site.program("bob")), ("browser", _at_home(site, "bob"))):
        # The use of a credential is noted once a minute: not while what is done is compared.
        bob.get("/api/instances")
        for route in routes:
            if "{instance_id" in route.template:
                yield from _compared(route, bob, kind, made["id"], database)
            elif route.method == "GET" and route.own and route.template.startswith("/dashboard"):
                asked = [f"{route.address()}?notice=deleted&bot={one}" for one in (made["id"], NEVER_WAS)]
                if _seen(bob.get(asked[0]), made["id"]) != _seen(bob.get(asked[1]), NEVER_WAS):
                    yield f"{route} tells a {kind} whether the bot of a notice is there"
    if site.everything() != before:
        yield "something was changed"


def _compared(route: Served, bob: Caller, kind: str, real: str, database: logging.Logger) -> Iterator[str]:
    statuses = set()
    accept = "application/json" if kind == "program" else "text/html"
    # What no resource answers, the framework answers alike whatever is sent.
    for body, media_type in BODIES if route.own else BODIES[:1]:

        def ask(instance_id: str, body: bytes | None = body, media_type: str | None = media_type) -> tuple[Any, Any]:
            with statements(database) as done:
                address = route.address(instance_id=instance_id)
                answer = bob.call(route.method, address, body, accept=accept, content_type=media_type)
            return _seen(answer, instance_id), done

        (seen, done), (other, other_done) = ask(real), ask(NEVER_WAS)
        statuses.add(seen[0])
        if seen != other:
            yield f"{route} tells a {kind} that another's is there: {seen} is not {other}"
        if [statement for statement, _ in done] != [statement for statement, _ in other_done]:
            yield f"{route} does more for another's instance: {done} is more than {other_done}"
        for statement, values in done:
            if real in values and "bob" not in values:
                yield f"{route} asks for an instance without its owner: {statement}"
    if route.own and 404 not in statuses:
        yield f"{route} never came as far as to look for the instance: {statuses}"


def odd_ids(site: Site, routes: Iterable[Served], database: logging.Logger) -> Iterator[str]:
    """Say which route answers otherwise to an id that cannot be one, or asks the database for it."""
    bob = site.program("bob")
    bob.get("/api/instances")
    for route in routes:
        if "{instance_id" not in route.template or not route.own:
            continue
        body, media_type = (b'{"name": "x"}', "application/json") if route.method == "PATCH" else (None, None)
        sent: dict[str, str | None] = {"accept": "application/json", "content_type": media_type}
        expected = _seen(bob.call(route.method, route.address(instance_id=NEVER_WAS), body, **sent), NEVER_WAS)
        for odd in ODD_IDS:
            with statements(database) as done:
                answer = bob.call(route.method, route.address(instance_id=odd), body, **sent)
            # A slash leads to another address or to none, and dots are a part of an address like any other.
            if _seen(answer, NEVER_WAS) != expected and not (answer.status_int == 404 and "%2" in odd.lower()):
                yield f"{route} answers {answer.status} for {odd[:30]}"
            yield from (f"{route} asks the database for {odd[:30]}: {one}" for one, _ in done if OWN_TABLES.search(one))


def _seen(answer: webtest.TestResponse, instance_id: str) -> tuple[int, dict[str, str], str]:
    """Return what a caller sees of an answer, but for what names this request, and the id that they sent."""
    body = answer.body.decode().replace(answer.headers["X-Request-Id"], "(request id)").replace(instance_id, "(id)")
    # Each form that makes something has a key of its own.
    body = re.sub(r'(name="key" value=")[^"]+', r"\1", body)
    headers = {name.lower(): value.replace(instance_id, "(id)") for name, value in answer.headers.items()}
    return answer.status_int, {**headers, "x-request-id": ""}, body


@contextmanager
def statements(database: logging.Logger) -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    """Collect the statements that the database gets, with their values, but for those ``BESIDES``."""
    done: list[tuple[str, tuple[object, ...]]] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message: Any = record.msg
            if isinstance(message, tuple) and not BESIDES.search(message[0]):
                done.append((message[0], tuple(message[1] or ())))

    collector = Collector()
    level, propagates = database.level, database.propagate
    database.addHandler(collector)
    database.setLevel(logging.DEBUG)
    database.propagate = False
    try:
        yield done
    finally:
        database.removeHandler(collector)
        database.setLevel(level)
        database.propagate = propagates
