"""Visits of pages: who is let in, who is sent to Clerk, who to the landing page. Through the real application."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from openapi_spec_validator import validate
from webtest import TestApp, TestResponse

from clawdeploy.plugins.clerk.publishable_key import publishable_key
from clawdeploy.plugins.local_auth.commands import sign_in
from clawdeploy.web.app import create_app
from tests.platforms import GOOD
from tests.plugins.clerk.frontend_api import ABSENT, Instance, public_pem
from tests.plugins.clerk.surroundings import platform_with, serving
from tests.plugins.surroundings import OpenedAlready

LIVE = Instance()
TRIAL = Instance("brave-fox-12.clerk.accounts.dev", live=False, origin="http://127.0.0.1:8080")
STRANGER = Instance("clerk.other.example.org")
NOW = int(time.time())
PAGE = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Dest": "document"}
DEV = "__clerk_db_jwt=dvb_1"


class Browser:
    """Asks a server that signs people in with an instance, with the cookies that a test says."""

    def __init__(self, folder: Path, instance: Instance, **settings: Any) -> None:
        environment = {
            "CLERK_PUBLISHABLE_KEY": instance.publishable_key,
            "CLERK_AUTHORIZED_PARTIES": instance.origin,
            "CLERK_JWT_KEY": public_pem(instance.key),
        }
        self._opened = platform_with(folder, environment, SIGN_IN_LIMIT="0", **settings)
        self.platform = self._opened.__enter__()
        self.app = TestApp(create_app(self.platform))
        self.host = publishable_key(instance.publishable_key).host

    def close(self) -> None:
        self._opened.__exit__(None, None, None)

    def visit(self, *cookies: str, path: str = "/dashboard", method: str = "GET", **headers: str) -> TestResponse:
        sent = {**PAGE, **({"Cookie": "; ".join(cookies)} if cookies else {})}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        # It would send what earlier answers have set.
        self.app.reset()
        return self.app.request(
            path, method=method, headers={name: value for name, value in sent.items() if value}, status="*"
        )

    def handshake(self, answer: TestResponse) -> dict[str, str]:
        """Check that an answer leads to Clerk, and return what Clerk is asked."""
        assert answer.status_int == 307, answer
        assert answer.headers["Cache-Control"] == "no-store"
        way = urlsplit(answer.headers["Location"])
        assert f"{way.scheme}://{way.netloc}{way.path}" == f"https://{self.host}/v1/client/handshake"
        asked = {name: values[0] for name, values in parse_qs(way.query, keep_blank_values=True).items()}
        assert asked["format"] == "token"
        assert asked["__clerk_api_version"]
        assert "__session" not in asked
        return asked


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("live"), LIVE, PUBLIC_ORIGIN=LIVE.origin)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("trial"), TRIAL)
    yield browser
    browser.close()


def session(instance: Instance, **changes: Any) -> str:
    return f"__session={instance.token(**changes)}"


STALE = "session-token-expired-refresh-non-eligible-no-refresh-cookie"
IN = "signed in"
OUT = "signed out"


@pytest.mark.parametrize(
    ("says", "cookies", "outcome"),
    [
        ("nothing", [], OUT),
        ("nobody", ["__client_uat=0"], OUT),
        ("good", ["{session}", "__client_uat=1"], IN),
        ("no token", ["__client_uat=1"], "client-uat-but-no-session-token"),
        ("no uat", ["{session}"], "session-token-but-no-client-uat"),
        ("uat 0", ["{session}", "__client_uat=0"], "session-token-but-no-client-uat"),
        ("stale", ["{stale}", "__client_uat=1"], STALE),
        ("early", ["{early}", "__client_uat=1"], "session-token-nbf"),
        ("from the future", ["{future}", "__client_uat=1"], "session-token-iat-in-the-future"),
        ("older than the sign-in", ["{session}", f"__client_uat={NOW + 90000}"], "session-token-iat-before-client-uat"),
        ("damaged", ["__session=x", "__client_uat=1"], OUT),
        ("another program's", ["__session=a!bc", "__client_uat=1"], OUT),
        ("another program's in three parts", ["__session=a!bc.x.y", "__client_uat=1"], OUT),
        ("another program's in no ASCII", ["__session=\u00e9\u00e9\u00e9\u00e9.x.y", "__client_uat=1"], OUT),
        ("a template's", ["{template}", "__client_uat=1"], OUT),
        ("a template's from before the sign-in", ["{template}", f"__client_uat={NOW + 3600}"], OUT),
        ("a machine's from before the sign-in", ["{machine}", f"__client_uat={NOW + 3600}"], OUT),
        ("a template's and stale", ["{stale_template}", "__client_uat=1"], OUT),
        ("another party's", ["{foreign}", "__client_uat=1"], OUT),
        ("another party's and stale", ["{stale_foreign}", "__client_uat=1"], OUT),
        ("not complete", ["{pending}", "__client_uat=1"], OUT),
        ("damaged handshake", ["__clerk_handshake=x.y.z", "{session}", "__client_uat=1"], IN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("which", ["live", "trial"])
def test_the_decision_table(
    request: pytest.FixtureRequest, which: str, says: str, cookies: list[str], outcome: str
) -> None:
    assert says
    browser, instance = request.getfixturevalue(which), {"live": LIVE, "trial": TRIAL}[which]
    made = {
        "session": session(instance),
        "stale": session(instance, age=600),
        "early": session(instance, nbf=NOW + 86_400, exp=NOW + 86_500),
        "future": session(instance, iat=NOW + 86_400, exp=NOW + 86_500),
        "template": session(instance, header={"cat": "cl_B7d4PD222AAA"}),
        "machine": session(instance, sub="mch_1"),
        "stale_template": session(instance, header={"cat": "cl_B7d4PD222AAA"}, age=600),
        "foreign": session(instance, azp="https://evil.example.org"),
        "stale_foreign": session(instance, azp="https://evil.example.org", age=600),
        "pending": session(instance, sts="pending"),
    }
    sent = [cookie.format(**made) for cookie in cookies] + ([DEV] if which == "trial" else [])
    answer = browser.visit(*sent)
    if outcome == IN:
        assert answer.status_int == 200
        assert "user_ann" in answer.text
    elif outcome == OUT:
        assert (answer.status_int, answer.headers["Location"]) == (303, "/?next=%2Fdashboard")
        assert "Set-Cookie" not in answer.headers
    else:
        asked = browser.handshake(answer)
        assert asked["__clerk_hs_reason"] == outcome
        assert asked["redirect_url"] == f"{instance.origin}/dashboard"
        assert asked["suffixed_cookies"] == "false"
        assert asked.get("__clerk_db_jwt") == ("dvb_1" if which == "trial" else None)


def test_a_trial_needs_to_know_the_browser(trial: Browser) -> None:
    for cookies in ([], [session(TRIAL), "__client_uat=1"]):
        assert trial.handshake(trial.visit(*cookies))["__clerk_hs_reason"] == "dev-browser-missing"
    answer = trial.visit(session(TRIAL), "__client_uat=1", DEV, path="/dashboard?q=x&__clerk_db_jwt=dvb_2")
    asked = trial.handshake(answer)
    assert (asked["__clerk_hs_reason"], asked["__clerk_db_jwt"]) == ("dev-browser-sync", "dvb_2")
    assert asked["redirect_url"] == f"{TRIAL.origin}/dashboard?q=x"
    answer = trial.visit(DEV, path="/dashboard?__clerk_db_jwt=dvb_3&__clerk_db_jwt=dvb_4")
    assert trial.handshake(answer)["__clerk_db_jwt"] == "dvb_3", "the first counts"


def test_a_live_instance_has_no_such_parameter(live: Browser) -> None:
    answer = live.visit(session(LIVE), "__client_uat=1", path="/dashboard?__clerk_db_jwt=dvb_2")
    assert answer.status_int == 200


def test_the_instances_own_cookies(live: Browser) -> None:
    suffix = publishable_key(LIVE.publishable_key).suffix
    own = [f"__session_{suffix}={LIVE.token(age=600)}", f"__client_uat_{suffix}=1"]
    assert live.handshake(live.visit(session(STRANGER), *own))["suffixed_cookies"] == "true"


def test_a_stale_bearer_token_of_a_visit(live: Browser) -> None:
    answer = live.visit(Authorization=f"Bearer {LIVE.token(age=600)}")
    assert live.handshake(answer)["__clerk_hs_reason"] == STALE
    assert live.visit(Authorization=f"Bearer {LIVE.token()}").status_int == 200
    refused = live.visit(session(LIVE), "__client_uat=1", Authorization=f"Bearer {STRANGER.token()}")
    assert refused.status_int == 303


def test_the_first_use_of_a_session_is_in_the_audit_trail(live: Browser) -> None:
    for _ in range(2):
        assert live.visit(session(LIVE, sub="user_eva", sid="sess_7"), "__client_uat=1").status_int == 200
        program = {"Authorization": f"Bearer {LIVE.token(sub='user_eva', sid='sess_7')}"}
        assert live.app.get("/api/instances", headers=program).status_int == 200
    stale = {"Authorization": f"Bearer {LIVE.token(sub='user_eva', sid='sess_8', age=600)}"}
    live.app.get("/api/instances", headers=stale, status=401)
    noted = live.platform.audit.newest(100, user_id="user_eva")
    assert [(entry.who, entry.what, entry.subject) for entry in noted] == [
        ("user_eva", "signed_in_with.clerk", "sess_7")
    ]
    failed = live.platform.audit.newest(1)[0]
    assert (failed.what, failed.detail) == ("sign_in.failed", "invalid_credentials: GET /api/instances")
    page = live.visit(session(LIVE, sub="user_eva"), "__client_uat=1", path="/dashboard/account")
    assert "Signed in with clerk" in page.text


def test_users_of_clerk_are_owners_like_any_others(live: Browser) -> None:
    def create(user: str, session_id: str) -> TestResponse:
        bearer = f"Bearer {LIVE.token(sub=user, sid=session_id)}"
        headers = {"Authorization": bearer, "Idempotency-Key": "clerk-owners-1"}
        return live.app.post_json("/api/instances", GOOD, headers=headers, status=201)

    first, again, other = create("user_cat", "sess_1"), create("user_cat", "sess_2"), create("user_dog", "sess_3")
    ids = [each.json["instance"]["id"] for each in (first, again, other)]
    assert ids[0] == ids[1] != ids[2], "a key is its owner's, in whatever session"
    assert [each.json["instance"]["userId"] for each in (first, other)] == ["user_cat", "user_dog"]
    left = [re.findall(r"r=(\d+)", each.headers["RateLimit"])[0] for each in (first, again, other)]
    assert left == ["59", "58", "59"], "and so is the limit of changes"
    foreign = {"Authorization": f"Bearer {LIVE.token(sub='user_dog')}"}
    assert live.app.get(f"/api/instances/{ids[0]}", headers=foreign, status=404)


def test_api_tokens_stay(live: Browser) -> None:
    token, _ = live.platform.credentials.issue("api_token", "bob", prefix="cd_")
    bearer = f"Bearer {token.reveal()}"
    assert live.app.get("/api/instances", headers={"Authorization": bearer}).status_int == 200
    assert "bob" in live.visit("__client_uat=1", Authorization=bearer).text


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"Sec_Fetch_Dest": "document"}, True),
        ({"Sec_Fetch_Dest": "iframe"}, True),
        ({"Sec_Fetch_Dest": ""}, True),
        ({"Sec_Fetch_Dest": "", "Accept": "application/json, text/html"}, False),
        ({"Sec_Fetch_Dest": "empty"}, False),
        ({"Sec_Fetch_Dest": "image"}, False),
        ({"Sec_Fetch_Dest": "document", "HX_Request": "true"}, False),
    ],
)
def test_only_what_is_shown_as_a_page_is_sent_to_clerk(live: Browser, headers: dict[str, str], asked: bool) -> None:
    answer = live.visit(session(LIVE, age=600), "__client_uat=1", **headers)
    assert (answer.status_int == 307) is asked


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_only_a_get_is_sent_to_clerk(live: Browser, method: str) -> None:
    answer = live.visit(session(LIVE, age=600), "__client_uat=1", method=method, path="/dashboard/new")
    assert answer.status_int == 303
    assert answer.headers["Location"] == ("/?next=%2Fdashboard%2Fnew" if method == "HEAD" else "/")


@pytest.mark.parametrize("path", ["/", "/robots.txt", "/api/health", "/nowhere"])
def test_only_protected_pages_are_sent_to_clerk(live: Browser, path: str) -> None:
    assert live.visit(session(LIVE, age=600), "__client_uat=1", path=path).status_int in (200, 404)


def test_the_api_never_redirects(live: Browser) -> None:
    for cookies in ([], [session(LIVE, age=600), "__client_uat=1"]):
        answer = live.visit(*cookies, path="/api/instances")
        assert (answer.status_int, answer.json["code"]) == (401, "not_signed_in")
    bad = live.app.get("/api/instances", headers={"Authorization": f"Bearer {LIVE.token(age=600)}"}, status=401)
    assert bad.json["code"] == "invalid_credentials"


def test_the_way_back_is_that_of_the_settings(live: Browser) -> None:
    answer = live.visit(
        "__client_uat=1",
        path="/dashboard?q=a%20b%26c&page=2&__clerk_handshake=x.y.z",
        Host="evil.example.org",
        X_Forwarded_Host="evil.example.org",
        X_Forwarded_Proto="http",
    )
    assert live.handshake(answer)["redirect_url"] == "https://bots.example.org/dashboard?q=a%20b%26c&page=2"


def test_a_loop_ends(live: Browser) -> None:
    cookies = [session(LIVE, age=600), "__client_uat=1"]
    for count in (1, 2, 3):
        answer = live.visit(*cookies)
        live.handshake(answer)
        cookie = answer.headers["Set-Cookie"]
        assert re.fullmatch(
            rf"__clerk_redirect_count={count}; Path=/; SameSite=Lax; HttpOnly; Max-Age=2; Secure", cookie
        )
        cookies = [*cookies[:2], cookie.partition(";")[0]]
    answer = live.visit(*cookies)
    assert (answer.status_int, answer.headers["Location"]) == (303, "/?next=%2Fdashboard")
    assert live.visit(session(LIVE), "__client_uat=1", cookies[2]).status_int == 200


# -- coming back -----------------------------------------------------------------------------------------------------


def cookies_of(answer: TestResponse) -> list[str]:
    return list(answer.headers.getall("Set-Cookie")) if "Set-Cookie" in answer.headers else []


def test_a_live_handshake_comes_back_in_a_cookie(live: Browser) -> None:
    directives = [f"{session(LIVE)}; Path=/; Secure; SameSite=Lax", "__client_uat=1; Path=/; Domain=example.org"]
    answer = live.visit(f"__clerk_handshake={LIVE.handshake(*directives)}", session(LIVE, age=600), "__client_uat=1")
    assert answer.status_int == 200
    assert "user_ann" in answer.text
    assert cookies_of(answer) == directives


def test_a_live_handshake_in_the_address_is_nothing(live: Browser) -> None:
    signed = LIVE.handshake(f"{session(LIVE, sub='user_eve')}; Path=/")
    answer = live.visit(path=f"/dashboard?__clerk_handshake={signed}")
    assert answer.status_int == 303
    assert cookies_of(answer) == []


@pytest.mark.parametrize("name", ["__clerk_handshake", "__clerk%5Fhandshake", "__clerk_db_jwt", "__clerk_help"])
def test_what_clerk_has_put_into_an_address_is_not_led_on_to(live: Browser, trial: Browser, name: str) -> None:
    for browser, counted in ((live, ()), (trial, (DEV, "__clerk_redirect_count=3"))):
        for method in ("GET", "HEAD"):
            answer = browser.visit(*counted, method=method, path=f"/dashboard?q=a%20b&{name}=x.y.z&page=2")
            assert (answer.status_int, answer.headers["Location"]) == (
                303,
                "/?next=%2Fdashboard%3Fq%3Da%2520b%26page%3D2",
            )


def test_a_trial_handshake_comes_back_in_the_address(trial: Browser) -> None:
    directives = [f"{session(TRIAL)}; Path=/", "__client_uat=1; Path=/", "__clerk_db_jwt=dvb_3; Path=/"]
    twice = f"__clerk_handshake=x.y.z&__clerk_handshake={TRIAL.handshake(*directives)}"
    assert trial.handshake(trial.visit(path=f"/dashboard?{twice}")), "the first counts"
    query = f"q=x&__clerk_handshake={TRIAL.handshake(*directives)}&__clerk_help=1"
    assert trial.visit(path=f"//dashboard?{query}").status_int == 404, "no other server's"
    answer = trial.visit(path=f"/dashboard?{query}")
    assert (answer.status_int, answer.headers["Location"]) == (307, "/dashboard?q=x")
    assert answer.headers["Cache-Control"] == "no-store"
    assert cookies_of(answer) == directives
    assert trial.visit(*(each.partition(";")[0] for each in directives)).status_int == 200


def test_who_is_signed_out_at_clerk_is_signed_out_here(live: Browser) -> None:
    """Although the browser still has a token that is good for some seconds."""
    directives = ["__session=; Path=/; Max-Age=0", "__client_uat=0; Path=/"]
    answer = live.visit(f"__clerk_handshake={LIVE.handshake(*directives)}", session(LIVE), "__client_uat=1")
    assert (answer.status_int, answer.headers["Location"]) == (303, "/?next=%2Fdashboard")
    assert cookies_of(answer) == directives


def test_who_has_to_complete_a_session_is_signed_out_and_not_asked_again(live: Browser, trial: Browser) -> None:
    live_says = [f"{session(LIVE, sts='pending')}; Path=/", "__client_uat=1; Path=/"]
    answer = live.visit(f"__clerk_handshake={LIVE.handshake(*live_says)}", session(LIVE, age=600), "__client_uat=1")
    assert (answer.status_int, answer.headers["Location"]) == (303, "/?next=%2Fdashboard")
    assert cookies_of(answer) == live_says
    trial_says = [f"{session(TRIAL, sts='pending')}; Path=/", "__client_uat=1; Path=/"]
    answer = trial.visit(DEV, path=f"/dashboard?__clerk_handshake={TRIAL.handshake(*trial_says)}")
    assert (answer.status_int, answer.headers["Location"]) == (307, "/dashboard")
    assert cookies_of(answer) == trial_says


@pytest.mark.parametrize(
    "made",
    [
        lambda: STRANGER.handshake(f"{session(LIVE)}; Path=/"),
        lambda: LIVE.sign({"handshake": [session(LIVE)]}, header={"cat": "cl_B7d4PD222AAA"}, algorithm="RS256"),
        lambda: LIVE.sign({"handshake": [session(LIVE)]}, header={"typ": "x"}, algorithm="RS256"),
        lambda: LIVE.sign({"handshake": [session(LIVE)]}, header={"kid": ABSENT}, key=STRANGER.key, algorithm="RS256"),
        lambda: LIVE.sign({"handshake": session(LIVE)}, algorithm="RS256"),
        lambda: LIVE.sign({}, algorithm="RS256"),
        lambda: LIVE.handshake(session(LIVE), exp=NOW - 600),
        lambda: LIVE.handshake(session(LIVE), iss="https://clerk.other.example.org"),
        lambda: LIVE.handshake(session(LIVE, age=600)),
        lambda: LIVE.handshake(session(LIVE, azp="https://evil.example.org")),
        lambda: LIVE.handshake(session(LIVE), "x" * 20_000),
        lambda: "x",
    ],
)
def test_a_bad_handshake_is_none(live: Browser, made: Any) -> None:
    answer = live.visit(f"__clerk_handshake={made()}", session(LIVE, age=600), "__client_uat=1")
    assert live.handshake(answer)["__clerk_hs_reason"] == STALE
    assert [cookie.partition("=")[0] for cookie in cookies_of(answer)] == ["__clerk_redirect_count"]


@pytest.mark.parametrize(
    "directive",
    [
        "clawdeploy_session=x; Path=/",
        "foo=bar; Path=/; Domain=example.org",
        "__session_other=x; Path=/",
        "__session2=x",
        "__client_uat=1\r\nX-Evil: 1",
        "__client_uat=1; Path=/\n",
        "__client_uat=1; Path=/\x00",
        "__client_uat=\x7f",
        "__client_uat=é; Path=/",
        "__client_uat=1; Evil=1",
        "__client_uat",
        "=1",
        " __client_uat=1",
        "__client_uat =1",
        7,
        None,
        ["__client_uat=1"],
    ],
)
def test_a_handshake_sets_clerks_cookies_and_no_others(live: Browser, directive: Any) -> None:
    good = f"{session(LIVE)}; Path=/; Expires=Wed, 25 Nov 2026 23:19:00 GMT; HttpOnly"
    answer = live.visit(f"__clerk_handshake={LIVE.handshake(directive, good)}", "__client_uat=1")
    assert answer.status_int == 200
    assert cookies_of(answer) == [good]


def test_no_key_is_no_sign_out(tmp_path: Path) -> None:
    environment = {
        "CLERK_PUBLISHABLE_KEY": TRIAL.publishable_key,
        "CLERK_AUTHORIZED_PARTIES": TRIAL.origin,
        "CLERK_FRONTEND_API": "http://127.0.0.1:9",
    }
    with platform_with(tmp_path, environment) as platform:
        app = TestApp(create_app(platform))
        cookies = {"Cookie": f"{session(TRIAL)}; __client_uat=1; {DEV}"}
        for path, headers in (("/dashboard", PAGE), ("/api/instances", {})):
            answer = app.get(path, headers={**headers, **cookies}, status=503)
            assert answer.headers["Retry-After"] == "10"
        assert answer.json["code"] == "sign_in_unavailable"


def test_a_handshake_with_an_unknown_key_keeps_nobody_out_while_the_service_is_away(tmp_path: Path) -> None:
    """As that of another application on the same domain, whose cookie comes here too."""
    instance = Instance(origin="http://127.0.0.1:8080")
    anothers = f"__clerk_handshake={STRANGER.sign({'handshake': []}, header={'kid': 'ins_9'}, algorithm='RS256')}"
    good, stale = (f"{session(instance, age=age)}; __client_uat=1" for age in (0, 600))
    with serving(instance) as api, platform_with(tmp_path, api.settings()) as platform:
        app = TestApp(create_app(platform))
        app.get("/dashboard", headers={**PAGE, "Cookie": good}, status=200)
        api.mood = "fails"
        for cookies, status in ((f"{anothers}; {good}", 200), (f"{anothers}; {stale}", 307), (anothers, 503)):
            answer = app.get("/dashboard", headers={**PAGE, "Cookie": cookies}, status="*")
            assert answer.status_int == status, cookies
            app.reset()


# -- instead of local sign-in ----------------------------------------------------------------------------------------


def test_clerk_is_the_only_sign_in(live: Browser) -> None:
    platform = live.platform
    value, _ = platform.credentials.issue("session", "eve")
    local = f"__Host-clawdeploy_session={value.reveal()}"
    assert live.visit(local).status_int == 303
    assert live.app.get("/api/instances", headers={"Cookie": local}, status=401)
    link, _ = platform.credentials.issue("sign_in_link", "eve")
    assert live.visit(path=f"/sign-in/{link.reveal()}").status_int == 404
    assert "session" not in platform.account.sections
    assert "api_token" in platform.account.sections


def test_the_command_line_makes_no_links(live: Browser) -> None:
    made = CliRunner().invoke(sign_in, ["ann"], obj=OpenedAlready(live.platform))
    assert made.exit_code == 1
    assert "in another way" in made.output


def test_of_repeated_cookies_the_first_counts(live: Browser) -> None:
    good, bad = session(LIVE), session(LIVE, age=600)
    for cookies, status in (((good, bad), 200), ((bad, good), 401)):
        answer = live.app.get("/api/instances", headers={"Cookie": "; ".join(cookies)}, status="*")
        assert answer.status_int == status


@pytest.mark.parametrize("query", ["__session={}", "token={}", "access_token={}", "__clerk_handshake={}"])
def test_no_parameter_is_a_token(live: Browser, query: str) -> None:
    for path in ("/dashboard", "/api/channels"):
        answer = live.visit(path=f"{path}?{query.format(LIVE.token())}")
        assert answer.status_int in (303, 401)


# -- what pages allow ------------------------------------------------------------------------------------------------


def policy(answer: TestResponse) -> dict[str, set[str]]:
    parts = (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: set(sources) for name, *sources in parts}


def test_pages_allow_what_clerk_needs_and_no_more(live: Browser) -> None:
    """As Clerk's document on the Content-Security-Policy has it, for an application that loads nothing else."""
    own = policy(live.app.get("/api/health"))
    captcha, protection = "https://challenges.cloudflare.com", "https://*.protect.clerk.com"
    opened = {
        **own,
        "script-src": {"'self'", LIVE.issuer, captcha, protection},
        "connect-src": {"'self'", LIVE.issuer, f"{protection}:*"},
        "img-src": {"'self'", "https://img.clerk.com"},
        "style-src": {"'self'", "'unsafe-inline'"},
        "worker-src": {"'self'", "blob:"},
        "frame-src": {captcha, protection},
    }
    assert policy(live.visit(path="/")) == opened
    assert policy(live.visit(session(LIVE), "__client_uat=1")) == opened
    assert policy(live.visit(path="/nowhere")) == own
    assert policy(live.app.get("/static/app.js")) == own


def test_pages_load_clerks_scripts_from_the_frontend_api(live: Browser) -> None:
    for answer in (live.visit(path="/"), live.visit(session(LIVE), "__client_uat=1")):
        found = re.findall(r'<script src="([^"]+)"', answer.text)
        packages = f"{LIVE.issuer}/npm/@clerk"
        assert found[-3:-1] == [f"{packages}/ui@1/dist/ui.browser.js", f"{packages}/clerk-js@6/dist/clerk.browser.js"]
        assert f'data-clerk-publishable-key="{LIVE.publishable_key}"' in answer.text
        script = live.app.get(found[-1])
        assert script.content_type == "text/javascript"
        assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert live.app.get("/clerk/sign-in.js").headers["Cache-Control"] == "no-cache"


def test_without_clerk_there_is_nothing_of_it(tmp_path: Path) -> None:
    with platform_with(tmp_path, {}) as platform:
        app = TestApp(create_app(platform))
        answer = app.get("/", headers=PAGE)
        assert "clerk" not in answer.text.lower()
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
        assert policy(answer) == policy(app.get("/api/health"))
        app.get("/clerk/sign-in.js", status=404)
        app.post("/api/clerk/webhook", status=404)
        assert app.get("/dashboard", headers=PAGE).headers["Location"].removeprefix("http://localhost") == "/"


def test_the_api_document_is_one_with_clerk_too(live: Browser) -> None:
    document = live.app.get("/api/openapi.json").json
    validate(document)
    assert document["components"]["securitySchemes"]["clerk"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
    assert "local" not in document["components"]["securitySchemes"]
