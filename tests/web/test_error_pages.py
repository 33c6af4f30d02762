"""What people read when something went wrong: what it is, where to go on, and the id that the log has."""

from collections.abc import Iterator
from pathlib import Path

import falcon
import pytest
import webtest

from clawdeploy.core.contracts import AuthProvider, Credentials, Identity, Route
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.platform import Platform
from tests.web.people import Site
from tests.web.reading import Page, page

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
RAISED = {"defect": ValueError("hunter2"), "database": DatabaseUnavailable("db.internal")}


class Thrower:
    """Fails in the way that its address says, whatever is done to it."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, what: str) -> None:
        raise RAISED[what]

    on_post = on_get


class ThrowingRoutes:
    @hookimpl
    def register_routes(self, platform: Platform) -> list[Route]:
        return [Route("/throw/{what}", Thrower(), "public"), Route("/dashboard/throw/{what}", Thrower())]


@pytest.fixture
def thrower(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, plugins={"throwing": ThrowingRoutes()})
    yield site
    site.close()


def ways(seen: Page) -> list[str]:
    """Return where an error page leads, without the name of the product that every page has."""
    return [str(link["href"]) for link in seen.all("a") if "button" in (link.get("class") or "")]


def read(answer: webtest.TestResponse) -> Page:
    seen = Page(answer.text).check()
    assert answer.headers["X-Request-Id"] in seen.words["code"]
    assert seen.words["title"] == f"{seen.words['h1']} | ClawDeploy"
    assert {"name": "robots", "content": "noindex"} in seen.all("meta")
    return seen


def test_an_unknown_address(site: Site) -> None:
    seen = page(site.anybody(), "/nothing", 404)
    assert seen.words["title"] == "Not Found | ClawDeploy"
    assert ways(seen) == ["/"]


def test_whoever_is_signed_in_is_led_back_to_the_dashboard_from_everywhere(site: Site) -> None:
    seen = page(site.browser(), "/nothing", 404)
    assert ways(seen) == ["/dashboard"]
    assert "ann" in seen.words["bdi"]


def test_a_bot_that_is_missing_or_another_s(site: Site) -> None:
    ann = site.browser()
    others = site.program("bob").create()["id"]
    told = set()
    for address in (f"/dashboard/instances/{others}", "/dashboard/instances/nonsense"):
        seen = page(ann, address, 404)
        assert seen.words["title"] == "Instance not found | ClawDeploy"
        assert ways(seen) == ["/dashboard"]
        assert "Back to Dashboard" in seen.words["a"]
        told.add(seen.words["p"].partition("Request id")[0])
    assert len(told) == 1, "nobody can tell the one from the other"


def test_a_used_link_says_how_to_get_a_new_one(site: Site) -> None:
    answer = site.anybody().get("/sign-in/" + "x" * 43, accept=HTML)
    assert answer.status_int == 410
    seen = read(answer)
    assert "clawdeploy sign-in" in seen.words["p"]
    assert ways(seen) == ["/#sign-in"]
    assert "sign-in" in page(site.anybody(), "/").ids
    assert site.anybody().call("HEAD", "/sign-in/x").status_int == 405


def test_a_used_link_troubles_nobody_who_is_signed_in(site: Site) -> None:
    seen = read(site.browser().get("/sign-in/" + "x" * 43))
    assert "You are signed in already" in seen.words["p"]
    assert ways(seen) == ["/dashboard"]


def test_a_link_that_a_preview_opens_is_refused_with_a_page(site: Site) -> None:
    answer = site.anybody().get("/sign-in/" + "x" * 43, accept=HTML, sec_purpose="prefetch")
    assert answer.status_int == 403
    assert "does not use the sign-in link up" in read(answer).words["p"]


def test_the_address_of_a_button_is_no_page(site: Site) -> None:
    """Whoever opens it, after signing in again perhaps, reads no word of methods and headers."""
    answer = site.browser().get("/dashboard/new/check")
    assert answer.status_int == 405
    seen = read(answer)
    assert seen.words["h1"] == "There is no page here"
    assert "method" not in answer.text.lower()
    assert ways(seen) == ["/dashboard"]


@pytest.mark.parametrize(("what", "status"), [("defect", 500), ("database", 503)])
def test_what_was_only_looked_at_can_be_tried_again(thrower: Site, what: str, status: int) -> None:
    for caller, path, home in (
        (thrower.anybody(), f"/throw/{what}", "/"),
        (thrower.browser(), f"/dashboard/throw/{what}", "/dashboard"),
    ):
        answer = caller.get(f"{path}?x=1", accept=HTML)
        assert answer.status_int == status
        seen = read(answer)
        assert "Try Again" in seen.words["a"]
        assert ways(seen) == [f"{path}?x=1", home]
        assert not [inside for inside in ("hunter2", "db.internal") if inside in answer.text]


def test_what_was_sent_is_not_sent_again_by_a_link(thrower: Site) -> None:
    answer = thrower.browser().post("/dashboard/throw/database", origin="http://localhost", host="localhost")
    assert answer.status_int == 503
    seen = read(answer)
    assert "Try Again" not in seen.words["a"]
    assert "cannot be told" in seen.words["p"]
    assert ways(seen) == ["/dashboard"]


class Door:
    """An auth provider whose database is away."""

    name = "door"

    def authenticate(self, credentials: Credentials) -> Identity | None:
        raise DatabaseUnavailable


class BrokenDoor:
    @hookimpl
    def register_auth_providers(self) -> list[AuthProvider]:
        return [Door()]


def test_what_is_missing_is_told_also_while_nobody_can_be_recognized(tmp_path: Path) -> None:
    site = Site(tmp_path, plugins={"broken-door": BrokenDoor()})
    seen = page(site.anybody(), "/nothing", 404)
    assert ways(seen) == ["/"]
    site.close()
