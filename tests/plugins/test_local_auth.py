"""Sign-in by a one-time link, the session it opens, and sign-out: through the real application."""

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from webtest import TestApp, TestResponse

from clawdeploy.core.contracts import Credentials
from clawdeploy.core.errors import ConfigurationError, NotSignedIn
from clawdeploy.core.events import CredentialIssued, CredentialRevoked
from clawdeploy.core.platform import Platform
from clawdeploy.plugins.local_auth.browsers import browser_of
from clawdeploy.plugins.local_auth.commands import session, sign_in
from clawdeploy.plugins.local_auth.sessions import Sessions
from clawdeploy.web.app import create_app
from tests.platforms import memory_platform
from tests.plugins.surroundings import Clock, Listener, OpenedAlready

COOKIE = "clawdeploy_session"
PEER = "192.0.2.7"
OPENED = {"HTTP_SEC_FETCH_SITE": "none", "REMOTE_ADDR": PEER}
PROGRAM = {"Accept": "application/json"}
PAGE = {"Accept": "text/html"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", **PAGE}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock, listener: Listener) -> Iterator[Platform]:
    opened = memory_platform(tmp_path, clock=clock, plugins={"listener": listener})
    yield opened
    opened.close()


@pytest.fixture
def browser(platform: Platform) -> TestApp:
    return opened_by_hand(platform)


def opened_by_hand(platform: Platform) -> TestApp:
    """Return a browser that says of each page that its person opened it."""
    return TestApp(create_app(platform), extra_environ=OPENED)


def shown(cookies: Mapping[str, str], peer: str = PEER) -> Credentials:
    """Return what a server gets from a browser with these cookies."""
    return Credentials({}, cookies, peer)


def ask_for_link(platform: Platform, *arguments: str) -> Result:
    return CliRunner().invoke(sign_in, arguments, obj=OpenedAlready(platform))


def link(platform: Platform, user: str = "me") -> str:
    """Make a link as its owner would, and return the path in it."""
    result = ask_for_link(platform, user)
    assert result.exit_code == 0, result.output
    origin, slash, rest = result.stdout.removesuffix("\n").partition("/sign-in/")
    assert origin == "http://127.0.0.1:8080"
    return slash + rest


def sessions(platform: Platform) -> list[str]:
    return [record.user_id for record in platform.credentials.list("session")]


def set_cookie(answer: TestResponse) -> str:
    cookies = answer.headers.getall("Set-Cookie")
    assert len(cookies) == 1
    return str(cookies[0])


def test_a_link_opens_a_session_and_leads_to_the_dashboard(platform: Platform, browser: TestApp) -> None:
    answer = browser.get(link(platform), headers=PAGE)
    assert (answer.status_int, answer.location.removeprefix("http://localhost")) == (303, "/dashboard")
    assert (answer.headers["Referrer-Policy"], answer.headers["Cache-Control"]) == ("strict-origin", "no-store")
    attributes = {part.strip().lower() for part in set_cookie(answer).split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=2592000"} <= attributes
    assert "secure" not in attributes
    assert browser.get("/dashboard", headers=PAGE).status_int == 200
    assert sessions(platform) == ["me"]


def test_a_session_is_ambient_and_local(platform: Platform, browser: TestApp) -> None:
    browser.get(link(platform))
    identity = platform.authenticate(shown(dict(browser.cookies)))
    assert (identity.user_id, identity.provider, identity.ambient) == ("me", "local", True)


def test_on_https_the_cookie_is_kept_to_this_host(tmp_path: Path) -> None:
    platform = memory_platform(tmp_path, PUBLIC_ORIGIN="https://bots.example.org")
    try:
        address = ask_for_link(platform, "me").stdout.strip()
        assert address.startswith("https://bots.example.org/sign-in/")
        answer = opened_by_hand(platform).get(address.removeprefix("https://bots.example.org"))
        cookie = set_cookie(answer)
        assert cookie.startswith("__Host-clawdeploy_session=")
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/", "secure"} <= attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)
        plain = {"clawdeploy_session": cookie.split("=", 1)[1].split(";")[0]}
        with pytest.raises(NotSignedIn):
            platform.authenticate(shown(plain))
        session = {"Cookie": cookie.split(";")[0], "Sec-Fetch-Site": "same-origin"}
        taken_back = set_cookie(TestApp(create_app(platform)).post("/sign-out", headers=session))
        assert taken_back.startswith("__Host-clawdeploy_session=")
        assert "Secure" in taken_back
        assert sessions(platform) == []
    finally:
        platform.close()


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({"PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"HOST": "0.0.0.0"}, "http://127.0.0.1:8080"),
        ({"HOST": "::"}, "http://[::1]:8080"),
        ({"HOST": "192.0.2.7", "PORT": "80"}, "http://192.0.2.7"),
        ({"HOST": "192.0.2.7", "PUBLIC_ORIGIN": "http://bots.example.org:81/"}, "http://bots.example.org:81"),
    ],
)
def test_the_link_leads_to_where_browsers_find_the_server(
    tmp_path: Path, settings: dict[str, Any], origin: str
) -> None:
    platform = memory_platform(tmp_path, **settings)
    try:
        assert ask_for_link(platform, "me").stdout.startswith(f"{origin}/sign-in/")
    finally:
        platform.close()


def test_a_link_works_once(platform: Platform, browser: TestApp) -> None:
    path = link(platform)
    browser.get(path)
    browser.reset()
    again = browser.get(path, headers=PROGRAM, status=410)
    assert again.json["code"] == "sign_in_link_invalid"
    assert "clawdeploy sign-in" in again.json["detail"]
    assert (again.headers["Referrer-Policy"], again.headers["Cache-Control"]) == ("strict-origin", "no-store")
    assert "Set-Cookie" not in again.headers
    assert path.rpartition("/")[2] not in again.text


def test_of_simultaneous_visitors_one_gets_in(platform: Platform) -> None:
    path = link(platform)
    application = create_app(platform)
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(TestApp(application, extra_environ=OPENED).get(path, status="*").status_int)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303] + [410] * 7
    assert sessions(platform) == ["me"]


def test_a_link_works_for_10_minutes(platform: Platform, browser: TestApp, clock: Clock) -> None:
    in_time, too_late = link(platform), link(platform)
    clock.now += timedelta(minutes=9, seconds=59)
    browser.get(in_time, status=303)
    clock.now += timedelta(seconds=2)
    browser.get(too_late, status=410)


@pytest.mark.parametrize("token", ["x", "%00", "%ED%A0%80", "%F0%9F%A6%9E", "x" * 3000, "..%2F", "%0d%0aSet-Cookie:a"])
def test_an_odd_link_is_only_invalid(browser: TestApp, token: str) -> None:
    answer = browser.get(f"/sign-in/{token}", status="4*")
    assert answer.status_int in (404, 410)
    assert "Set-Cookie" not in answer.headers


def test_a_bad_link_is_a_page_for_people(browser: TestApp) -> None:
    answer = browser.get("/sign-in/unknown", headers=PAGE, status=410)
    assert answer.content_type == "text/html"
    assert "does not work any more" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Purpose": "preview"},
        {"X-Moz": "prefetch"},
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch"},
    ],
)
def test_a_mere_look_does_not_use_the_link_up(platform: Platform, browser: TestApp, headers: dict[str, str]) -> None:
    path = link(platform)
    refused = browser.get(path, headers=headers | PROGRAM, status=403)
    assert refused.json["code"] == "forbidden"
    assert "Set-Cookie" not in refused.headers
    assert refused.headers["Cache-Control"] == "no-store"
    browser.get(path, headers={"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}, status=303)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE"])
def test_only_get_and_post_use_the_link_up(platform: Platform, browser: TestApp, method: str) -> None:
    path = link(platform)
    browser.request(path, method=method, status="*")
    assert sessions(platform) == []
    browser.get(path, status=303)


def test_signing_in_again_ends_the_session_that_was_there(platform: Platform, browser: TestApp) -> None:
    browser.get(link(platform, "me"))
    before = dict(browser.cookies)
    browser.get(link(platform, "me"))
    assert sessions(platform) == ["me"]
    with pytest.raises(NotSignedIn):
        platform.authenticate(shown(before))


FROM_ELSEWHERE = (
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Site": "NONE"},
    {"Sec-Fetch-Site": "none, none"},
    {"Sec-Fetch-Site": ""},
)


class TestAsking:
    @pytest.mark.parametrize("headers", FROM_ELSEWHERE)
    def test_a_link_that_another_site_leads_to_asks_first(
        self, platform: Platform, browser: TestApp, headers: dict[str, str]
    ) -> None:
        path = link(platform, "<b>mallory")
        asked = browser.get(path, headers=headers | PAGE)
        assert (asked.status_int, asked.content_type) == (200, "text/html")
        assert "Set-Cookie" not in asked.headers
        assert sessions(platform) == []
        assert asked.html.find("h1").get_text() == "Sign in as <b>mallory?"
        assert (asked.headers["Referrer-Policy"], asked.headers["Cache-Control"]) == ("strict-origin", "no-store")
        assert path.rpartition("/")[2] not in asked.text
        assert asked.form.method == "post"
        # The form has no address of its own, so it goes to the one that it stands at.
        assert not asked.form.action
        answer = browser.post(path, headers={"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:80"})
        assert (answer.status_int, answer.location.removeprefix("http://localhost")) == (303, "/dashboard")
        assert sessions(platform) == ["<b>mallory"]
        assert browser.get("/dashboard", headers=PAGE).status_int == 200

    def test_whoever_says_nothing_is_asked(self, platform: Platform) -> None:
        """Previews of chat programs, old browsers, and any browser over http on another machine."""
        silent = TestApp(create_app(platform))
        path = link(platform)
        assert silent.get(path, headers=PAGE).status_int == 200
        assert silent.get(path).status_int == 200
        assert sessions(platform) == []
        silent.post(path, headers={"Origin": "http://localhost:80"}, status=303)
        assert sessions(platform) == ["me"]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:10001"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        ],
    )
    def test_no_other_page_presses_the_button(
        self, platform: Platform, browser: TestApp, headers: dict[str, str]
    ) -> None:
        path = link(platform)
        assert browser.post(path, headers=headers | PROGRAM, status=403).json["code"] == "cross_origin"
        assert sessions(platform) == []
        browser.get(path, status=303)

    def test_whoever_is_signed_in_is_asked_before_being_somebody_else(
        self, platform: Platform, browser: TestApp
    ) -> None:
        browser.get(link(platform, "me"))
        before = dict(browser.cookies)
        path = link(platform, "you")
        asked = browser.get(path, headers=PAGE)
        assert asked.html.find("h1").get_text() == "Sign in as you instead of me?"
        assert sessions(platform) == ["me"]
        browser.post(path, headers=OWN_PAGE, status=303)
        assert sessions(platform) == ["you"]
        with pytest.raises(NotSignedIn):
            platform.authenticate(shown(before))

    def test_a_link_that_does_not_work_asks_nothing(self, browser: TestApp) -> None:
        assert browser.get("/sign-in/unknown", headers=PAGE | FROM_ELSEWHERE[0], status=410).status_int == 410
        assert browser.post("/sign-in/unknown", headers=OWN_PAGE, status=410).status_int == 410


class TestWhereASessionWorks:
    """Cookies know no ports, so over http a bot's page at another port is sent the cookie, and can replace it."""

    def test_what_a_bot_was_sent_opens_nothing_from_where_the_bot_is(
        self, platform: Platform, browser: TestApp, caplog: pytest.LogCaptureFixture
    ) -> None:
        browser.get(link(platform))
        cookies = dict(browser.cookies)
        assert platform.authenticate(shown(cookies)).user_id == "me"
        (before,) = platform.credentials.list("session")
        for bot in ("172.18.0.5", "192.0.2.8", "", "unknown"):
            with pytest.raises(NotSignedIn):
                platform.authenticate(shown(cookies, bot))
        assert "was shown from another network than its own" in caplog.text
        assert cookies[COOKIE] not in caplog.text
        assert platform.credentials.list("session") == [before], "a try is no use of it, and does not end it"
        program = TestApp(create_app(platform), extra_environ={"REMOTE_ADDR": "172.18.0.5"})
        sent = {"Cookie": f"{COOKIE}={cookies[COOKIE]}", "Sec-Fetch-Site": "same-origin"}
        program.get("/api/instances", headers=sent, status=401)
        program.post("/sign-out", headers=sent, status=303)
        assert platform.authenticate(shown(cookies)).user_id == "me"

    def test_a_session_that_a_bot_has_put_there_opens_nothing_for_its_visitor(self, platform: Platform) -> None:
        mallory = TestApp(create_app(platform), extra_environ={**OPENED, "REMOTE_ADDR": "198.51.100.1"})
        mallory.get(link(platform, "mallory"))
        visitor = opened_by_hand(platform)
        sent = {"Cookie": f"{COOKIE}={mallory.cookies[COOKIE]}", **PAGE}
        assert visitor.get("/dashboard", headers=sent).status_int == 303
        assert mallory.get("/dashboard", headers=PAGE).status_int == 200

    def test_an_ipv6_customer_is_one_place(self, platform: Platform) -> None:
        browser = TestApp(create_app(platform), extra_environ={**OPENED, "REMOTE_ADDR": "2001:db8::1"})
        browser.get(link(platform))
        browser.extra_environ["REMOTE_ADDR"] = "2001:db8::2:3"
        assert browser.get("/dashboard", headers=PAGE).status_int == 200
        browser.extra_environ["REMOTE_ADDR"] = "2001:db8:0:1::1"
        assert browser.get("/dashboard", headers=PAGE).status_int == 303

    @pytest.mark.parametrize(
        ("origin", "anywhere"),
        [
            ("https://bots.example.org", True),
            ("https://bots.example.org:8443", True),
            ("https://192.0.2.1", True),
            ("http://bots.example.org", False),
            ("https://localhost", False),
            ("https://bots.localhost:8443", False),
            ("https://127.0.0.1", False),
            ("https://[::1]", False),
        ],
    )
    def test_where_the_cookie_is_kept_from_bots_it_works_everywhere(
        self, tmp_path: Path, origin: str, anywhere: bool
    ) -> None:
        platform = memory_platform(tmp_path, PUBLIC_ORIGIN=origin)
        try:
            path = ask_for_link(platform, "me").stdout.strip().removeprefix(origin)
            name, _, value = set_cookie(opened_by_hand(platform).get(path)).partition(";")[0].partition("=")
            assert platform.authenticate(shown({name: value})).user_id == "me"
            elsewhere = shown({name: value}, "198.51.100.1")
            if anywhere:
                assert platform.authenticate(elsewhere).user_id == "me"
            else:
                with pytest.raises(NotSignedIn):
                    platform.authenticate(elsewhere)
        finally:
            platform.close()


def test_a_bad_link_leaves_the_session_alone(platform: Platform, browser: TestApp) -> None:
    browser.get(link(platform))
    browser.get("/sign-in/unknown", status=410)
    assert sessions(platform) == ["me"]
    assert browser.get("/dashboard", headers=PAGE).status_int == 200


class TestSayingWhy:
    """Whoever is signed out without having asked for it reads on the landing page why it may be so."""

    ENDED = "You are signed out: the session of this browser has ended"
    ELSEWHERE = "or your network has changed"

    @pytest.mark.parametrize(
        ("origin", "elsewhere"), [("http://bots.example.org", True), ("https://bots.example.org", False)]
    )
    def test_a_session_that_does_not_work(self, tmp_path: Path, origin: str, elsewhere: bool) -> None:
        platform = memory_platform(tmp_path, PUBLIC_ORIGIN=origin)
        browser = opened_by_hand(platform)
        path = ask_for_link(platform, "me").stdout.strip().removeprefix(origin)
        name, _, value = set_cookie(browser.get(path)).partition(";")[0].partition("=")
        sent = {"Cookie": f"{name}={value}", **PAGE}
        assert "signed out" not in browser.get("/", headers=sent).text
        platform.credentials.revoke_all("me")
        told = browser.get("/", headers=sent).html.find(class_="banner").get_text()
        assert self.ENDED in told
        assert (self.ELSEWHERE in told) is elsewhere
        platform.close()

    def test_who_was_never_signed_in_or_signed_out_themselves_is_told_nothing(
        self, platform: Platform, browser: TestApp
    ) -> None:
        assert self.ENDED not in browser.get("/", headers=PAGE).text
        browser.get(link(platform))
        browser.post("/sign-out", headers=OWN_PAGE)
        assert self.ENDED not in browser.get("/", headers=PAGE).text


def alive(platform: Platform, cookies: Mapping[str, str]) -> bool:
    try:
        return platform.authenticate(shown(cookies)).user_id == "me"
    except NotSignedIn:
        return False


def test_a_session_ends_30_days_after_sign_in_however_much_it_is_used(
    platform: Platform, browser: TestApp, clock: Clock
) -> None:
    browser.get(link(platform))
    cookies = dict(browser.cookies)
    for _ in range(5):
        clock.now += timedelta(days=5, hours=23)
        assert alive(platform, cookies)
    clock.now += timedelta(days=1)
    assert not alive(platform, cookies)


def test_a_session_ends_when_it_is_not_used_for_a_week(platform: Platform, browser: TestApp, clock: Clock) -> None:
    browser.get(link(platform))
    cookies = dict(browser.cookies)
    clock.now += timedelta(days=6, hours=23)
    assert alive(platform, cookies)
    clock.now += timedelta(days=6, hours=23)
    assert alive(platform, cookies)
    clock.now += timedelta(days=7)
    assert not alive(platform, cookies)
    assert sessions(platform) == [], "nobody is shown what does not work any more"
    assert platform.credentials.prune() == 1


def test_a_session_that_was_never_used_ends_too(platform: Platform, browser: TestApp, clock: Clock) -> None:
    browser.get(link(platform))
    clock.now += timedelta(days=7)
    assert not alive(platform, dict(browser.cookies))


def test_what_one_process_has_noted_counts_in_the_others(tmp_path: Path, clock: Clock) -> None:
    here, there = (memory_platform(tmp_path, clock=clock, SESSION_UNUSED="1h") for _ in range(2))
    try:
        browser = opened_by_hand(here)
        browser.get(link(here))
        cookies = dict(browser.cookies)
        for platform in (here, there, here, there):
            clock.now += timedelta(minutes=59)
            assert alive(platform, cookies)
        clock.now += timedelta(minutes=60)
        assert not alive(here, cookies)
        assert not alive(there, cookies)
    finally:
        here.close()
        there.close()


def test_a_clock_that_was_put_back_neither_ends_a_session_nor_keeps_it(
    platform: Platform, browser: TestApp, clock: Clock
) -> None:
    browser.get(link(platform))
    cookies = dict(browser.cookies)
    clock.now += timedelta(days=6)
    assert alive(platform, cookies)
    # It was wrong all the time. What is noted lies ahead, and the next use is noted all the same.
    clock.now -= timedelta(days=6)
    assert alive(platform, cookies)
    clock.now += timedelta(days=7)
    assert not alive(platform, cookies)


def test_the_times_are_settings(tmp_path: Path, clock: Clock) -> None:
    platform = memory_platform(tmp_path, clock=clock, SESSION_LIFETIME="2d", SESSION_UNUSED="36h")
    try:
        browser = opened_by_hand(platform)
        assert "max-age=172800" in set_cookie(browser.get(link(platform))).lower()
        cookies = dict(browser.cookies)
        clock.now += timedelta(hours=35)
        assert alive(platform, cookies)
        clock.now += timedelta(hours=13)
        assert not alive(platform, cookies)
    finally:
        platform.close()


@pytest.mark.parametrize("said", ["0d", "366d", "30", "1w", "never", "-1h", "9000h", "1.5h"])
def test_impossible_times_are_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(ConfigurationError, match="a time such as 12h or 30d, at most 365d"):
        memory_platform(tmp_path, SESSION_UNUSED=said)


def test_the_oldest_session_makes_room_for_the_51st(platform: Platform, clock: Clock) -> None:
    opened = []
    for _ in range(51):
        clock.now += timedelta(seconds=1)
        token = link(platform).rpartition("/")[2]
        opened.append(Sessions(platform).open(token, "A browser", PEER, None).reveal())
    assert len(sessions(platform)) == 50
    assert [alive(platform, {COOKIE: value}) for value in opened] == [False] + [True] * 50


class TestCommands:
    def run(self, platform: Platform, *arguments: str) -> Result:
        return CliRunner().invoke(session, arguments, obj=OpenedAlready(platform))

    def test_sessions_are_listed_without_what_opens_them(self, platform: Platform) -> None:
        browser = opened_by_hand(platform)
        browser.get(link(platform), headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"})
        listed = self.run(platform, "list", "--json").stdout
        (row,) = json.loads(listed)["sessions"]
        assert sorted(row) == ["browser", "createdAt", "expiresAt", "id", "lastUsedAt", "userId"]
        assert (row["userId"], row["browser"]) == ("me", "Firefox on Linux")
        table = self.run(platform, "list", "--user", "me").stdout
        assert row["id"] in table
        assert browser.cookies[COOKIE] not in listed + table
        assert self.run(platform, "list", "--user", "you").stderr == "There are no sessions.\n"

    def test_one_is_ended(self, platform: Platform, listener: Listener) -> None:
        here, there = opened_by_hand(platform), opened_by_hand(platform)
        here.get(link(platform))
        (first,) = platform.credentials.list("session")
        there.get(link(platform))
        assert self.run(platform, "end", first.id).exit_code == 0
        assert not alive(platform, dict(here.cookies))
        assert alive(platform, dict(there.cookies))
        told = listener.events[-1]
        assert isinstance(told, CredentialRevoked)
        assert (told.actor, told.kind, told.user_id, told.credential_id) == ("cli", "session", "me", first.id)
        again = self.run(platform, "end", first.id)
        assert (again.exit_code, again.stderr.startswith("Error: There is no session")) == (1, True)

    def test_a_token_is_no_session(self, platform: Platform) -> None:
        _, token = platform.credentials.issue("api_token", "me")
        assert self.run(platform, "end", token.id).exit_code == 1
        assert self.run(platform, "end-all").exit_code == 0
        assert len(platform.credentials.list("api_token")) == 1

    @pytest.mark.parametrize(("arguments", "left"), [((), []), (("--user", "me"), ["you"])])
    def test_all_are_ended_with_the_links_that_would_open_more(
        self, platform: Platform, arguments: tuple[str, ...], left: list[str]
    ) -> None:
        for user in ("me", "me", "you"):
            opened_by_hand(platform).get(link(platform, user))
        unused = link(platform, "me")
        ended = self.run(platform, "end-all", "--json", *arguments)
        assert len(json.loads(ended.stdout)["ended"]) == 3 - len(left)
        assert sessions(platform) == left
        opened_by_hand(platform).get(unused, status=410)
        noted = [(entry.what, entry.user_id) for entry in platform.audit.newest(100)]
        assert noted.count(("session.ended", "me")) == 2
        assert noted.count(("session.ended", "you")) == 1 - len(left)


@pytest.mark.parametrize("value", ["dead", "", "x" * 5000, "caf\xe9", '"quoted"'])
def test_a_dead_cookie_is_simply_signed_out(platform: Platform, browser: TestApp, value: str) -> None:
    with pytest.raises(NotSignedIn):
        platform.authenticate(Credentials({}, {COOKIE: value}))
    sent = {"Cookie": f"{COOKIE}={value}".encode().decode("latin-1"), **PAGE}
    answer = browser.get("/dashboard", headers=sent)
    assert (answer.status_int, answer.location.removeprefix("http://localhost")) == (303, "/")
    assert browser.get("/", headers=sent).status_int == 200
    api = browser.get("/api/instances", headers={"Cookie": f"{COOKIE}=dead"}, status=401)
    assert api.json["code"] == "not_signed_in"
    # And the way back in is open.
    browser.get(link(platform), headers=sent, status=303)


def test_a_dead_cookie_does_not_stand_in_the_way_of_a_token(platform: Platform) -> None:
    token, _ = platform.credentials.issue("api_token", "me", prefix="cd_")
    sent = Credentials({"authorization": f"Bearer {token.reveal()}"}, {COOKIE: "dead"})
    assert platform.authenticate(sent).provider == "api_tokens"


def test_an_api_token_is_no_session_cookie(platform: Platform) -> None:
    token, _ = platform.credentials.issue("api_token", "me", prefix="cd_")
    with pytest.raises(NotSignedIn):
        platform.authenticate(Credentials({}, {COOKIE: token.reveal()}))


def test_sign_out_ends_the_session_and_takes_the_cookie_back(platform: Platform, browser: TestApp) -> None:
    browser.get(link(platform))
    kept = dict(browser.cookies)
    answer = browser.post("/sign-out", headers=OWN_PAGE)
    assert (answer.status_int, answer.location.removeprefix("http://localhost")) == (303, "/")
    assert "expires=Thu, 01 Jan 1970" in set_cookie(answer)
    assert COOKIE not in browser.cookies
    assert sessions(platform) == []
    with pytest.raises(NotSignedIn):
        platform.authenticate(shown(kept))
    assert browser.get("/dashboard", headers=PAGE).status_int == 303


def test_signing_out_twice_leads_to_the_landing_page(browser: TestApp) -> None:
    answer = browser.post("/sign-out", headers=OWN_PAGE)
    assert (answer.status_int, answer.location.removeprefix("http://localhost")) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
def test_another_site_cannot_sign_anybody_out(platform: Platform, browser: TestApp, headers: dict[str, str]) -> None:
    browser.get(link(platform))
    assert browser.post("/sign-out", headers=headers | PROGRAM, status=403).json["code"] == "cross_origin"
    assert sessions(platform) == ["me"]


def test_signing_out_is_never_a_get(platform: Platform, browser: TestApp) -> None:
    browser.get(link(platform))
    browser.get("/sign-out", status=405)
    assert sessions(platform) == ["me"]


def test_the_link_is_printed_alone(platform: Platform) -> None:
    result = ask_for_link(platform, "me")
    assert len(result.stdout.split()) == 1
    assert result.stderr == ""
    described = json.loads(ask_for_link(platform, "me", "--json").stdout)
    assert sorted(described) == ["expiresAt", "url", "userId"]
    assert described["userId"] == "me"


@pytest.mark.parametrize("user", ["", "a\nb", "x" * 101])
def test_an_impossible_user_gets_no_link(platform: Platform, user: str) -> None:
    result = ask_for_link(platform, user)
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_serving_process_forgets_what_expired(platform: Platform, clock: Clock, listener: Listener) -> None:
    link(platform)
    platform.credentials.issue("api_token", "me", prefix="cd_")
    clock.now += timedelta(hours=1)
    platform.host.startup(platform)
    assert platform.credentials.prune() == 0
    assert len(platform.credentials.list("api_token")) == 1


def test_observers_are_told_and_learn_no_secret(platform: Platform, browser: TestApp, listener: Listener) -> None:
    path = link(platform)
    browser.get(path)
    session = browser.cookies[COOKIE]
    browser.post("/sign-out", headers=OWN_PAGE)
    told = [
        (type(event).__name__, event.kind, event.actor, event.user_id)
        for event in listener.events
        if isinstance(event, CredentialIssued | CredentialRevoked)
    ]
    assert told == [
        ("CredentialIssued", "sign_in_link", "cli", "me"),
        ("CredentialRevoked", "sign_in_link", "me", "me"),
        ("CredentialIssued", "session", "me", "me"),
        ("CredentialRevoked", "session", "me", "me"),
    ]
    assert path.rpartition("/")[2] not in repr(listener.events)
    assert session not in repr(listener.events)


def test_without_the_plugin_there_is_no_local_sign_in(tmp_path: Path) -> None:
    platform = memory_platform(tmp_path, DISABLED_PLUGINS="local_auth")
    try:
        browser = TestApp(create_app(platform))
        browser.get("/sign-in/anything", status=404)
        browser.post("/sign-out", headers=OWN_PAGE, status=404)
    finally:
        platform.close()


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/18.0 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140.0 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("", "A browser"),
        ("<script>\0" * 1000, "A browser"),
    ],
)
def test_a_session_is_called_by_its_browser(user_agent: str, said: str) -> None:
    assert browser_of(user_agent) == said
