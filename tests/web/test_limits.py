"""Too many changes of a user are refused, and too many failures to sign in from one place; all else goes on."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import falcon
import pytest
import webtest

from clawdeploy.core.contracts import Route
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.platform import Platform
from clawdeploy.web import limits
from tests.core.surroundings import Clock
from tests.platforms import GOOD
from tests.web.forms import submit
from tests.web.isolation import statements
from tests.web.people import SYNC_SECRET, Caller, Site, problem

WITH_SECRET = {"x_sync_secret": SYNC_SECRET.encode().decode("latin-1")}
Make = Callable[..., Site]
NOWHERE = "/api/instances/doesnotexist2345"
LIMITED = "which is the most. Try again in "


class Door:
    """A route of a plugin that anybody may use, and one for those who are signed in."""

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {}


class Doors:
    @hookimpl
    def register_routes(self, platform: Platform) -> list[Route]:
        return [Route("/api/open", Door(), "public"), Route("/api/own", Door())]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Open a site with the usual limits, unless others are given."""
    made: list[Site] = []

    def site(**settings: Any) -> Site:
        usual = {"SYNC_SECRET": SYNC_SECRET, "RATE_LIMIT": "", "SIGN_IN_LIMIT": ""}
        made.append(Site(tmp_path, plugins={"doors": Doors()}, **{**usual, **settings}))
        return made[-1]

    yield site
    for each in made:
        each.close()


def refused(answer: webtest.TestResponse) -> int:
    """Check that an answer says that it was too much, and return after how many seconds it is not."""
    said = problem(answer, 429, "rate_limited")
    seconds = int(answer.headers["Retry-After"])
    assert said["detail"].endswith(f"{LIMITED}{seconds} seconds." if seconds > 1 else f"{LIMITED}1 second.")
    return seconds


class TestChanges:
    def test_the_sixty_first_within_a_minute_is_refused(self, make: Make) -> None:
        ann = make().program()
        for number in range(60):
            answer = ann.send("PATCH", NOWHERE, {"name": "x"})
            assert answer.status_int == 404
            assert answer.headers["RateLimit-Policy"] == '"per-minute";q=60;w=60'
            assert answer.headers["RateLimit"].startswith(f'"per-minute";r={59 - number};t=')
        answer = ann.send("PATCH", NOWHERE, {"name": "x"})
        seconds = refused(answer)
        assert 1 <= seconds <= 60
        assert answer.headers["RateLimit-Policy"] == '"per-minute";q=60;w=60'
        assert answer.headers["RateLimit"] == f'"per-minute";r=0;t={seconds}'

    def test_whoever_has_done_too_much_may_still_sign_out(self, make: Make) -> None:
        site = make(RATE_LIMIT="1/minute")
        ann = site.browser()
        assert [submit(ann, "/dashboard/new").status_int for _ in range(2)] == [400, 429]
        answer = submit(ann, "/sign-out")
        assert answer.status_int == 303
        assert "RateLimit" not in answer.headers

    def test_what_was_refused_is_not_done(self, make: Make) -> None:
        site = make(RATE_LIMIT="1/minute")
        ann = site.program()
        made = ann.create()
        before = site.everything()
        for method, path, fields in (
            ("POST", "/api/instances", GOOD),
            ("PATCH", f"/api/instances/{made['id']}", {"name": "other"}),
            ("DELETE", f"/api/instances/{made['id']}", None),
            ("POST", f"/api/instances/{made['id']}/stop", None),
        ):
            refused(ann.send(method, path, fields))
        assert site.everything() == before

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", "/api/instances", b"{", 400),
            ("POST", "/api/instances", b"x" * 70_000, 413),
            ("POST", "/api/instances?what=1", b"{}", 400),
            ("POST", f"{NOWHERE}/stop", None, 404),
            ("PATCH", NOWHERE, b"{}", 404),
            ("DELETE", NOWHERE, None, 404),
            ("PUT", NOWHERE, b"{}", 405),
            ("PUT", "/api/own", None, 200),
            ("POST", "/dashboard/new/check", b"name=x", 200),
            ("POST", "/sign-out", None, 303),
        ],
    )
    def test_whatever_comes_of_it_counts(
        self, make: Make, method: str, path: str, body: bytes | None, status: int
    ) -> None:
        ann = make(RATE_LIMIT="1/minute").program()
        kind = "application/x-www-form-urlencoded" if path.startswith("/dashboard") else "application/json"
        first = ann.call(method, path, body, content_type=kind)
        assert first.status_int == status
        assert first.headers["RateLimit"] == '"per-minute";r=0;t=60'
        assert ann.call(method, path, body, content_type=kind).status_int == 429

    def test_reads_do_not_count_and_are_not_limited(self, make: Make) -> None:
        ann = make(RATE_LIMIT="1/minute").program()
        made = ann.create()
        refused(ann.post("/api/instances", GOOD))
        for path in ("/api/instances", f"/api/instances/{made['id']}", "/dashboard", "/dashboard/new"):
            answer = ann.get(path)
            assert answer.status_int == 200
            assert "RateLimit" not in answer.headers
        assert ann.call("OPTIONS", "/api/instances").status_int == 200

    def test_a_repeated_request_counts_like_any_other(self, make: Make) -> None:
        ann = make(RATE_LIMIT="2/minute").program()
        first, again, third = (ann.post("/api/instances", GOOD, idempotency_key="k") for _ in range(3))
        assert (first.status_int, again.status_int, again.json) == (201, 201, first.json)
        assert again.headers["Idempotency-Replayed"] == "true"
        refused(third)

    def test_a_key_that_was_refused_is_free(self, make: Make) -> None:
        clock = Clock()
        ann = make(RATE_LIMIT="1/minute", clock=clock).program()
        ann.create()
        refused(ann.post("/api/instances", GOOD, idempotency_key="k"))
        clock.advance(seconds=61)
        assert ann.post("/api/instances", GOOD, idempotency_key="k").status_int == 201

    def test_each_user_has_a_limit_and_all_their_credentials_share_it(self, make: Make) -> None:
        site = make(RATE_LIMIT="2/minute")
        site.program("ann").create()
        assert submit(site.browser("ann"), "/dashboard/new/check", name="x").status_int == 200
        refused(site.program("ann").post("/api/instances", GOOD))
        assert site.program("bob").post("/api/instances", GOOD).status_int == 201

    def test_another_site_uses_nothing_up(self, make: Make) -> None:
        site = make(RATE_LIMIT="1/minute")
        ann = site.browser()
        for _ in range(3):
            answer = ann.post("/api/instances", GOOD, origin="https://evil.example", host="localhost")
            problem(answer, 403, "cross_origin")
            assert "RateLimit" not in answer.headers
        assert ann.post("/api/instances", GOOD, sec_fetch_site="same-origin").status_int == 201

    def test_who_is_nobody_s_user_is_not_counted_as_one(self, make: Make) -> None:
        site = make(RATE_LIMIT="1/minute")
        for _ in range(3):
            answer = site.anybody().post("/api/admin/sync", **WITH_SECRET)
            assert answer.status_int == 200
            assert "RateLimit" not in answer.headers
            assert site.anybody().call("PUT", "/api/open").status_int == 200

    def test_several_rates_are_told(self, make: Make) -> None:
        ann = make(RATE_LIMIT="1/minute;5/2hours").program()
        assert ann.send("DELETE", NOWHERE).headers["RateLimit"] == '"per-minute";r=0;t=60, "per-2-hours";r=4;t=7200'
        answer = ann.send("DELETE", NOWHERE)
        refused(answer)
        assert answer.headers["RateLimit-Policy"] == '"per-minute";q=1;w=60, "per-2-hours";q=5;w=7200'
        assert '"per-2-hours";r=4;t=' in answer.headers["RateLimit"]

    def test_it_can_be_turned_off(self, make: Make) -> None:
        ann = make(RATE_LIMIT="0").program()
        for _ in range(70):
            answer = ann.send("DELETE", NOWHERE)
            assert answer.status_int == 404
            assert not {"RateLimit", "RateLimit-Policy", "Retry-After"} & set(answer.headers)

    def test_while_the_database_is_away_a_change_says_that(self, make: Make) -> None:
        clock = Clock()
        ann = make(clock=clock).program()
        assert ann.get("/api/instances").status_int == 200
        clock.error = DatabaseUnavailable("gone")
        problem(ann.post("/api/instances", GOOD), 503, "database_unavailable")


class TestPeople:
    @pytest.fixture
    def ann(self, make: Make) -> Caller:
        site = make(RATE_LIMIT="1/minute")
        ann = site.browser()
        ann.headers["X-Bot"] = site.program("bob").create()["id"]
        assert submit(ann, "/dashboard/new/check", name="x").status_int == 200
        return ann

    @pytest.mark.parametrize("path", ["/dashboard/new", "/dashboard/instances/{}/stop", "/dashboard/account/api_token"])
    def test_a_form_gets_a_page_that_says_when_to_try_again(self, ann: Caller, path: str) -> None:
        answer = submit(ann, path.format(ann.headers["X-Bot"]))
        assert (answer.status_int, answer.content_type) == (429, "text/html")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        page = answer.html.get_text(" ", strip=True)
        assert "Too many requests in a short time" in page
        assert "You have asked for changes once within a minute" in page
        assert f"Try again in {answer.headers['Retry-After']} second" in page
        assert "What you asked for was not done." in page
        assert answer.html.find("a", string="Back to Dashboard")["href"] == "/dashboard"

    def test_a_script_gets_the_sentence_that_it_shows(self, ann: Caller) -> None:
        answer = submit(ann, "/dashboard/new", script=True, name="x")
        assert 1 <= refused(answer) <= 60

    def test_the_pages_still_open(self, ann: Caller) -> None:
        assert ann.get("/dashboard").status_int == 200


class TestSigningIn:
    def test_failures_from_one_address_are_limited(self, make: Make) -> None:
        site = make()
        for _ in range(20):
            problem(site.forger().get("/api/instances"), 401, "invalid_credentials")
        answer = site.forger().get("/api/instances")
        assert 1 <= refused(answer) <= 60
        assert "From your network address, signing in has failed 20 times within a minute" in answer.json["detail"]
        assert "RateLimit" not in answer.headers

    @pytest.mark.parametrize("kind", ["nothing", "token", "cookie", "secret", "link"])
    def test_every_way_to_fail_counts(self, make: Make, kind: str) -> None:
        site = make(SIGN_IN_LIMIT="1/minute")
        anybody = site.anybody()

        def fail() -> webtest.TestResponse:
            if kind == "secret":
                return anybody.post("/api/admin/sync", x_sync_secret="guessed")
            if kind == "link":
                return anybody.get("/sign-in/" + "x" * 43, accept="application/json")
            sent = {"token": {"authorization": "Bearer cd_guess"}, "cookie": {"cookie": "clawdeploy_session=guess"}}
            return anybody.get("/api/instances", **sent.get(kind, {}))

        assert fail().status_int in (401, 410)
        refused(fail())
        refused(site.forger().post("/api/instances", GOOD))

    def test_whoever_has_a_good_credential_is_let_in_all_the_same(self, make: Make) -> None:
        site = make(SIGN_IN_LIMIT="1/minute")
        site.forger().get("/api/instances")
        for _ in range(3):
            refused(site.forger().get("/api/instances"))
            assert site.program().post("/api/instances", GOOD).status_int == 201
            assert site.browser().get("/dashboard").status_int == 200
            assert site.anybody().post("/api/admin/sync", **WITH_SECRET).status_int == 200
            assert site.anybody().get("/api/health").status_int == 200

    def test_a_link_that_fails_too_often_is_told_on_a_page(self, make: Make) -> None:
        browser = make(SIGN_IN_LIMIT="1/minute").anybody()
        browser.headers["Accept"] = "text/html"
        assert browser.get("/sign-in/" + "x" * 43).status_int == 410
        answer = browser.get("/sign-in/" + "x" * 43)
        assert (answer.status_int, answer.content_type) == (429, "text/html")
        assert "From your network address, signing in has failed once within a minute" in answer.text

    def test_whoever_is_signed_out_is_led_to_the_landing_page_and_has_failed_nothing(self, make: Make) -> None:
        site = make(SIGN_IN_LIMIT="1/minute")
        browser = site.anybody()
        browser.headers["Accept"] = "text/html"
        for _ in range(3):
            assert browser.get("/dashboard").headers["Location"] == "/"
        assert site.forger().get("/api/instances").status_int == 401

    def test_every_address_has_its_own(self, make: Make) -> None:
        site = make(SIGN_IN_LIMIT="1/minute", TRUSTED_PROXIES="127.0.0.1")

        def fail(said: str) -> object:
            return site.forger().get("/api/instances", x_forwarded_for=said).status_int

        assert [fail("192.0.2.1"), fail("192.0.2.2"), fail("192.0.2.1")] == [401, 401, 429]
        assert [fail("1.1.1.1, 192.0.2.3"), fail("2.2.2.2, 192.0.2.3")] == [401, 429]
        assert [fail("2001:db8::1"), fail("2001:db8::2"), fail("2001:db8:0:1::")] == [401, 429, 401]

    def test_an_address_that_somebody_invents_is_not_believed(self, make: Make) -> None:
        site = make(SIGN_IN_LIMIT="1/minute")
        said = [site.forger().get("/api/instances", x_forwarded_for=f"192.0.2.{n}").status_int for n in range(3)]
        assert said == [401, 429, 429]

    def test_the_failures_of_a_user_s_address_are_no_changes_of_the_user(self, make: Make) -> None:
        site = make(SIGN_IN_LIMIT="1/minute", RATE_LIMIT="1/minute")
        site.forger().post("/api/instances", GOOD)
        refused(site.forger().post("/api/instances", GOOD))
        assert site.program().post("/api/instances", GOOD).status_int == 201

    def test_it_can_be_turned_off(self, make: Make) -> None:
        site = make(SIGN_IN_LIMIT="0")
        assert {site.forger().get("/api/instances").status_int for _ in range(40)} == {401}

    def test_a_flood_does_not_ask_the_database_each_time(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        """It would keep everybody waiting who has something to store."""
        for limit, first, others, entries in (("1/minute", 401, 429, 2), ("0", 401, 401, 1)):
            site = make(SIGN_IN_LIMIT=limit)
            noted = len(site.platform.audit.newest(100))
            forger = site.forger()
            assert [forger.get("/api/instances").status_int for _ in range(2)] == [first, others]
            with statements(logging.getLogger("peewee")) as done:
                assert {forger.get("/api/instances").status_int for _ in range(40)} == {others}
            assert [statement for statement, _ in done if "rate_limit" in statement or "audit" in statement] == []
            assert len(site.platform.audit.newest(100)) == noted + entries
            with monkeypatch.context() as patch:
                patch.setattr(limits, "REMEMBERED_SECONDS", -1.0)
                site.close()
                site = make(SIGN_IN_LIMIT=limit)
                with statements(logging.getLogger("peewee")) as done:
                    assert {site.forger().get("/api/instances").status_int for _ in range(3)} == {others}
                assert [statement for statement, _ in done if "rate_limit" in statement or "audit" in statement] != []

    def test_a_failure_that_cannot_be_counted_is_a_failure_all_the_same(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock = Clock()
        site = make(clock=clock)
        clock.error = DatabaseUnavailable("gone")
        problem(site.anybody().get("/api/instances"), 401, "not_signed_in")
        assert "could not be counted: gone" in caplog.text


def test_no_program_mistakes_the_answer(make: Make) -> None:
    """The problem document of a refusal has the usual members and no others."""
    ann = make(RATE_LIMIT="1/minute").program()
    ann.send("DELETE", NOWHERE)
    said = json.loads(ann.send("DELETE", NOWHERE).body)
    assert set(said) == {"type", "title", "status", "detail", "code", "requestId"}
