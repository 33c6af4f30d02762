"""Signing in with Clerk, in a real browser, with a local Frontend API: sign-in, stale tokens, handshakes, sign-out."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import PHONE, Screen
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor
from tests.plugins.clerk.frontend_api import FrontendApi, Instance
from tests.plugins.clerk.surroundings import serving
from tests.web.serving import HOST, free_port

numbers = count(1)
with_either = pytest.mark.parametrize("clerk", ["live", "trial"], indirect=True)
"""Marks a walk that is another one with a development instance: its handshake comes back in the address."""


class ClerkSite:
    """A server that signs people in with an instance, and its Frontend API."""

    def __init__(self, folder: Path, api: FrontendApi, **settings: str) -> None:
        port = free_port()
        api.instance.origin = f"http://{HOST}:{port}"
        self.api = api
        given: dict[str, Any] = {**api.settings(), "PORT": str(port), **settings}
        self.site = LiveSite(folder, **given)


@pytest.fixture(scope="module")
def clerk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClerkSite]:
    """A server with a live instance, or one with a trial; all walks share them."""
    kind: str = getattr(request, "param", "live")
    host = {"live": "clerk.example.org", "trial": "brave-fox-12.clerk.accounts.dev"}[kind]
    with serving(Instance(host, live=kind == "live")) as api:
        clerk = ClerkSite(tmp_path_factory.mktemp("clerk-site"), api)
        with closing(clerk.site):
            yield clerk
            assert clerk.site.complaints() == ""


@pytest.fixture
def ann(clerk: ClerkSite, visit: Visit) -> Visitor:
    """Somebody whom nobody knows yet, who has signed in at Clerk and is on the dashboard."""
    visitor = visit(clerk.site, user=newcomer(clerk), signed_in=False)
    visitor.open("/dashboard")
    visitor.page.get_by_role("button", name="Continue with Google").click()
    has_loaded(visitor)
    return visitor


def newcomer(clerk: ClerkSite) -> str:
    """Return the name of a new person, who is the next one to sign in at Clerk."""
    clerk.api.person = f"user_ann{next(numbers)}"
    return clerk.api.person


def has_loaded(visitor: Visitor) -> None:
    """Wait until Clerk's script has come and has set its cookies: what a test sets before that would be overwritten."""
    expect(visitor.page.get_by_role("button", name="Open user menu")).to_be_visible()


def cookie(visitor: Visitor, name: str) -> str:
    found = [each.get("value", "") for each in visitor.context.cookies() if each.get("name") == name]
    return found[0] if found else ""


def set_cookie(visitor: Visitor, name: str, value: str) -> None:
    visitor.context.add_cookies([{"name": name, "value": value, "url": visitor.site.origin}])


@with_either
def test_somebody_signs_in_where_they_wanted_to_be_and_signs_out(clerk: ClerkSite, visit: Visit) -> None:
    person = newcomer(clerk)
    visitor = visit(clerk.site, signed_in=False)
    visitor.open("/dashboard?status=running&q=a%26b")
    assert visitor.page.url == f"{clerk.site.origin}/?next=%2Fdashboard%3Fstatus%3Drunning%26q%3Da%2526b"
    button = visitor.page.get_by_role("button", name="Continue with Google")
    expect(button).to_be_in_viewport()
    assert button.evaluate("one => getComputedStyle(one).color") == "rgb(10, 20, 30)", "its styles are let in"
    button.click()
    has_loaded(visitor)
    assert visitor.page.url == f"{clerk.site.origin}/dashboard?status=running&q=a%26b"
    expect(visitor.page.get_by_text("Signed in as")).to_be_hidden()  # Clerk's own button shows who it is, by name.
    expect(visitor.page.get_by_role("button", name="Open user menu")).to_have_attribute("data-user", person)
    is_renewed_on_the_way(clerk, visitor)
    signs_out(clerk, visitor)


def is_renewed_on_the_way(clerk: ClerkSite, visitor: Visitor) -> None:
    """A new tab after lunch has a stale token: one redirect to Clerk and back, and the page is there."""
    set_cookie(visitor, "__session", clerk.api.instance.token(age=600))
    before = len([each for each in clerk.api.asked if "handshake" in each])
    visitor.open("/dashboard/account")
    assert visitor.page.url == f"{clerk.site.origin}/dashboard/account"
    assert len([each for each in clerk.api.asked if "handshake" in each]) == before + 1


def signs_out(clerk: ClerkSite, visitor: Visitor) -> None:
    has_loaded(visitor)
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_role("button", name="Continue with Google")).to_be_visible()
    assert visitor.page.url == f"{clerk.site.origin}/"
    assert cookie(visitor, "__session") == ""
    visitor.open("/dashboard")
    assert visitor.page.url == f"{clerk.site.origin}/?next=%2Fdashboard"


@pytest.mark.parametrize("screen", [PHONE, Screen(1440, 900, "dark")], ids=str)
def test_the_pages_are_as_good_as_with_local_sign_in(clerk: ClerkSite, visit: Visit, screen: Screen) -> None:
    assert screen
    visitor = visit(clerk.site, signed_in=False)
    visitor.open("/")
    expect(visitor.page.get_by_role("button", name="Continue with Google")).to_be_visible()
    visitor.inspect()
    visitor.page.get_by_role("button", name="Continue with Google").click()
    has_loaded(visitor)
    visitor.inspect()


def test_who_was_signed_out_at_clerk_comes_to_the_landing_page(clerk: ClerkSite, ann: Visitor) -> None:
    clerk.api.clients.clear()  # At Clerk, that is, and not in this browser.
    set_cookie(ann, "__session", clerk.api.instance.token(age=600))
    ann.open("/dashboard/account")
    assert ann.page.url == f"{clerk.site.origin}/?next=%2Fdashboard%2Faccount"
    expect(ann.page.get_by_role("button", name="Continue with Google")).to_be_visible()


def test_who_has_to_do_something_at_clerk_first_is_led_there(
    clerk: ClerkSite, ann: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as until_done:
        until_done.setattr(clerk.api, "status", "pending")
        set_cookie(ann, "__session", clerk.api.instance.token(age=600))
        before = len([each for each in clerk.api.asked if "handshake" in each])
        ann.open("/dashboard/account")
        assert ann.page.url == f"{clerk.site.origin}/?next=%2Fdashboard%2Faccount"
        assert len([each for each in clerk.api.asked if "handshake" in each]) == before + 1
        expect(ann.page.get_by_role("button", name="Continue with Google")).to_be_visible()
    clerk.api.person = ann.user
    ann.page.get_by_role("button", name="Continue with Google").click()
    has_loaded(ann)
    assert ann.page.url == f"{clerk.site.origin}/dashboard/account"


def test_the_pages_own_requests_go_on_with_a_fresh_token(clerk: ClerkSite, ann: Visitor) -> None:
    bot = clerk.site.create(ann.user, name="Helper")
    ann.open("/dashboard")
    has_loaded(ann)
    set_cookie(ann, "__session", clerk.api.instance.token(age=600))
    ann.expect_trouble("request: POST .*/stop 401$")
    ann.page.get_by_role("button", name="Stop").first.click()
    expect(ann.page.get_by_text("is being stopped").or_(ann.page.get_by_text("has stopped")).first).to_be_visible()
    clerk.site.wait_for(ann.user, bot["id"], status="stopped")
    expect(ann.page.get_by_text("You are signed out")).to_have_count(0)
    # Of too many that fail from one address the server says that instead.
    ann.expect_trouble("request: POST .*/start 429$")
    ann.page.route("**/start", lambda route: route.fulfill(status=429, body="{}"), times=1)
    with ann.page.expect_response(lambda answer: answer.url.endswith("/start") and answer.status != 429):
        ann.page.get_by_role("button", name="Start Helper", exact=True).click()
    clerk.site.wait_for(ann.user, bot["id"], status="running")


def test_a_form_that_leads_on_waits_for_a_token(clerk: ClerkSite, ann: Visitor) -> None:
    ann.open("/dashboard/account")
    has_loaded(ann)
    set_cookie(ann, "__session", clerk.api.instance.token(age=600))
    # As the real one does, which knows that its token is about to end.
    ann.page.evaluate(
        "() => { const { getToken } = Clerk.session; Clerk.session.getToken = () => getToken({ skipCache: true }); }"
    )
    ann.page.get_by_label("Name").fill("Home automation")
    ann.page.get_by_role("button", name="Create token").click()
    expect(ann.page.get_by_text("Copy it now.")).to_be_visible()


def test_a_server_that_does_not_accept_the_session_is_no_endless_loop(tmp_path: Path, visit: Visit) -> None:
    with serving(Instance()) as api:
        clerk = ClerkSite(tmp_path, api, CLERK_AUTHORIZED_PARTIES="http://127.0.0.1:1")
        with closing(clerk.site):
            visitor = visit(clerk.site, signed_in=False)
            visitor.open("/dashboard")
            visitor.page.get_by_role("button", name="Continue with Google").click()
            expect(visitor.page.get_by_text("this server does not accept it")).to_be_visible()


def test_another_sites_address_is_not_gone_to(clerk: ClerkSite, ann: Visitor) -> None:
    for address in ("//evil.example.org", "https://evil.example.org", "/\\evil.example.org", "javascript:alert(1)"):
        ann.page.goto(f"{clerk.site.origin}/")
        set_cookie(ann, "__session", "x")
        ann.page.goto(f"{clerk.site.origin}/?next={address}")
        expect(ann.page.get_by_text("You are signed in.")).to_be_visible()
        assert ann.page.url.startswith(clerk.site.origin)


def test_without_clerk_the_pages_are_there_and_say_so(clerk: ClerkSite, ann: Visitor, visit: Visit) -> None:
    """The scripts come from elsewhere: when they do not arrive, nothing else is held up, and it is said at once."""
    ann.context.route("**/npm/**", lambda route: route.abort())
    ann.expect_trouble("request: GET .*/npm/")
    ann.forgive("request|console error")
    bot = clerk.site.create(ann.user, name="Helper")
    clerk.site.wait_for(ann.user, bot["id"], status="running")
    ann.open("/dashboard")
    ann.page.get_by_role("button", name="Stop").first.click()
    clerk.site.wait_for(ann.user, bot["id"], status="stopped")
    stranger = visit(clerk.site, signed_in=False)
    stranger.context.route("**/npm/**", lambda route: route.abort())
    stranger.expect_trouble("request: GET .*/npm/")
    stranger.forgive("request|console error")
    stranger.open("/dashboard")
    expect(stranger.page.get_by_text("Signing in does not work right now")).to_be_visible()
