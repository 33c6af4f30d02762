"""Walks over the dashboard: what is done with bots, and what happens around them while somebody looks."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import PHONE, Screen, everywhere
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor


def card(page: Page, name: str) -> Locator:
    """Return the card of a bot."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, exact=True))


def button(page: Page, action: str, name: str) -> Locator:
    """Return a button of a bot's card."""
    return page.get_by_role("button", name=f"{action} {name}", exact=True)


HTMX_SAYS_SO_TOO = "^console error: (Response Status Error Code|htmx:)"


def refresh(page: Page) -> None:
    """Have the page refreshed now, as its script does after a while, and wait until it is."""
    with page.expect_response(lambda answer: "hx-request" in answer.request.headers):
        page.evaluate("htmx.trigger('#live', 'refresh')")


def has_focus_somewhere(page: Page) -> bool:
    found: bool = page.evaluate("document.activeElement !== document.body")
    return found


@everywhere
def test_what_is_there(visit: Visit, site: LiveSite, user: str, screen: Screen) -> None:
    site.create(user, name="Family helper")
    stopped = site.create(user, name="Recipe collector")["id"]
    crashed = site.create(user, name="News digest")["id"]
    site.call(user, "POST", f"/api/instances/{stopped}/stop")
    site.engine.order("crash", crashed, 1)
    site.wait_for(user, crashed, status="error")
    visitor = visit(site)
    page = visitor.page
    expect(card(page, "Family helper")).to_contain_text("Running")
    expect(card(page, "Recipe collector")).to_contain_text("Stopped")
    expect(card(page, "News digest")).to_contain_text("It ended by itself with exit code 1")
    expect(button(page, "Try again", "News digest")).to_be_visible()
    visitor.inspect()
    refresh(page)
    button(page, "Delete", "News digest").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete “News digest”?")
    visitor.inspect()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button(page, "Delete", "News digest")).to_be_focused()
    # The whole card leads to the bot.
    card(page, "Recipe collector").click(position={"x": 12, "y": 12})
    expect(page).to_have_title("Recipe collector | ClawDeploy")
    page.go_back()
    expect(page).to_have_title("Dashboard | ClawDeploy")


def test_stop_start_restart_and_delete_by_keyboard(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = site.create(user, name="Helper")["id"]
    site.wait_for(user, bot, status="running")
    page = visitor.page
    refresh(page)
    for action, said, status in (
        ("Stop", "“Helper” has stopped.", "Stopped"),
        ("Start", "“Helper” is running.", "Running"),
        ("Restart", "“Helper” has restarted.", "Running"),
    ):
        button(page, action, "Helper").press("Enter")
        expect(page.get_by_text(said)).to_be_visible()
        expect(card(page, "Helper")).to_contain_text(status)
        assert has_focus_somewhere(page), action
        expect(button(page, action, "Helper")).not_to_have_attribute("aria-busy", "true")
    button(page, "Delete", "Helper").press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Delete this bot")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("“Helper” was deleted.")).to_be_visible()
    expect(page.get_by_text("No bots yet")).to_be_visible()
    expect(page.locator("#content")).to_be_focused()
    assert site.call(user, "GET", "/api/instances")["instances"] == []


def test_what_makes_no_sense_says_why(visitor: Visitor, site: LiveSite, user: str) -> None:
    site.create(user, name="Helper")
    page = visitor.page
    refresh(page)
    expect(card(page, "Helper")).to_contain_text("Running")
    button(page, "Start", "Helper").click(force=True)
    expect(page.get_by_text("It is running already.")).to_be_visible()
    assert site.call(user, "GET", "/api/instances")["instances"][0]["status"] == "running"


def test_a_refusal_is_told_where_one_looks(visitor: Visitor, site: LiveSite, user: str) -> None:
    visitor.expect_trouble("^request: POST .* 503$")
    visitor.forgive(HTMX_SAYS_SO_TOO)
    site.create(user, name="Helper")
    page = visitor.page
    refresh(page)
    expect(card(page, "Helper")).to_contain_text("Running")
    site.engine.order("fail", "stop", "The disk is full.")
    button(page, "Stop", "Helper").click()
    expect(page.get_by_role("alert").filter(has_text="carried out as soon as it can be")).to_be_visible()
    visitor.inspect()


def test_a_failed_bot_is_tried_again(visitor: Visitor, site: LiveSite, user: str) -> None:
    site.engine.order("fail", "create", "The disk is full.")
    bot = site.create(user, name="Helper")["id"]
    site.wait_for(user, bot, status="error")
    page = visitor.page
    refresh(page)
    expect(card(page, "Helper")).to_contain_text("The disk is full.")
    site.engine.order("succeed")
    button(page, "Try again", "Helper").click()
    expect(card(page, "Helper")).to_contain_text("Running")


@pytest.mark.parametrize("screen", [PHONE, Screen(1440, 900, "dark")], ids=str)
def test_many_are_found(visit: Visit, site: LiveSite, user: str, screen: Screen) -> None:
    ids = [site.create(user, name=f"Assistant {number}")["id"] for number in range(26)]
    zebra = site.create(user, name="Zebra")["id"]
    site.call(user, "POST", f"/api/instances/{zebra}/stop")
    # Each status that some bot has is a link of its own above the bots, and one fewer may be a line fewer.
    for instance_id in ids:
        site.wait_for(user, instance_id, status="running")
    site.wait_for(user, zebra, status="stopped")
    visitor = visit(site)
    page = visitor.page
    expect(page.get_by_text("24 of 27")).to_be_visible()
    visitor.inspect()
    search = page.get_by_role("searchbox")
    search.press_sequentially("zeb")
    expect(page.get_by_role("heading", level=2)).to_have_text(["Zebra"])
    assert page.url.endswith("/dashboard?q=zeb")
    refresh(page)
    expect(search).to_have_value("zeb")
    expect(search).to_be_focused()
    search.fill("unicorn")
    expect(page.get_by_role("heading", name="No bot found")).to_be_visible()
    visitor.inspect()
    page.get_by_role("link", name="Show all bots").click()
    page.get_by_role("link", name="Stopped 1").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(["Zebra"])
    page.goto("/dashboard")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("heading", level=2)).to_have_count(3)
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_count(24)


def test_a_silent_engine_is_told_calmly_and_when_it_is_back(visitor: Visitor, site: LiveSite, user: str) -> None:
    site.create(user, name="Helper")
    page = visitor.page
    refresh(page)
    expect(card(page, "Helper")).to_contain_text("Running")
    site.engine.order("go_silent")
    site.wait_for_engine(connected=False)
    refresh(page)
    expect(page.get_by_text("Docker has not answered since")).to_be_visible()
    expect(card(page, "Helper")).to_contain_text("Running")
    visitor.inspect()
    visitor.forgive("layout shift")
    site.engine.order("answer_again")
    site.wait_for_engine()
    refresh(page)
    expect(page.get_by_text("Docker has not answered since")).to_be_hidden()


def test_a_lost_server_is_told_and_found_again_by_itself(visitor: Visitor) -> None:
    visitor.expect_trouble("^request: GET .*ERR_INTERNET_DISCONNECTED")
    visitor.forgive(HTMX_SAYS_SO_TOO)
    visitor.forgive("layout shift")
    page = visitor.page
    visitor.context.set_offline(True)
    page.evaluate("htmx.trigger('#live', 'refresh')")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    visitor.context.set_offline(False)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_session_that_ended_elsewhere_is_told_and_heals(visitor: Visitor, site: LiveSite) -> None:
    visitor.expect_trouble("^request: GET .* 401$")
    visitor.forgive(HTMX_SAYS_SO_TOO)
    visitor.forgive("layout shift")
    page, other = visitor.page, visitor.new_tab()
    other.goto("/dashboard")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url(f"{site.origin}/")
    page.evaluate("htmx.trigger('#live', 'refresh')")
    expect(page.get_by_role("alert")).to_contain_text("You are signed out")
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
    other.goto(site.sign_in_link(visitor.user))
    expect(page.get_by_role("alert")).to_be_hidden(timeout=40_000)


def test_two_tabs_tell_the_same(visitor: Visitor, site: LiveSite, user: str) -> None:
    site.create(user, name="Helper")
    page, other = visitor.page, visitor.new_tab()
    other.goto("/dashboard")
    refresh(page)
    expect(card(page, "Helper")).to_contain_text("Running")
    button(page, "Stop", "Helper").click()
    expect(card(page, "Helper")).to_contain_text("Stopped")
    refresh(other)
    expect(card(other, "Helper")).to_contain_text("Stopped")


def test_deleting_what_is_deleted_already_says_so_and_takes_it_away(
    visitor: Visitor, site: LiveSite, user: str
) -> None:
    bot = site.create(user, name="Helper")["id"]
    visitor.expect_trouble("^request: POST .* 404$")
    visitor.forgive(HTMX_SAYS_SO_TOO)
    page = visitor.page
    refresh(page)
    button(page, "Delete", "Helper").click()
    site.call(user, "DELETE", f"/api/instances/{bot}")
    page.get_by_role("button", name="Delete this bot").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_text("This bot is not there any more.")).to_be_visible()
    expect(page.get_by_text("No bots yet")).to_be_visible()


def test_changes_are_announced_and_what_is_open_stays_open(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = site.create(user, name="Helper")["id"]
    site.wait_for(user, bot, status="running")
    page = visitor.page
    refresh(page)
    button(page, "Delete", "Helper").click()
    site.engine.order("crash", bot, 1)
    site.wait_for(user, bot, status="error")
    visitor.forgive("layout shift")
    refresh(page)
    expect(page.locator("#announcer")).to_have_text("Helper: Error.")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button(page, "Try again", "Helper")).to_be_visible()


class TestPolling:
    """How often the page asks, with the page's own clock turned by the test."""

    @pytest.fixture
    def asked(self, visitor: Visitor) -> list[Any]:
        page = visitor.page
        page.clock.install()
        page.goto("/dashboard")
        requests: list[Any] = []
        page.on("request", lambda request: requests.append(request) if "hx-request" in request.headers else None)
        return requests

    def test_every_half_minute_while_nothing_changes(self, visitor: Visitor, asked: list[Any]) -> None:
        visitor.page.clock.run_for(29_000)
        assert asked == []
        expect(visitor.page.get_by_text("Updated 29 s ago")).to_be_visible()
        with visitor.page.expect_response("**/dashboard"):
            visitor.page.clock.run_for(1_500)
        assert len(asked) == 1

    def test_every_two_seconds_while_something_changes(
        self, visitor: Visitor, site: LiveSite, user: str, asked: list[Any]
    ) -> None:
        site.engine.order("hold", "start")
        bot = site.create(user, name="Helper")["id"]
        site.wait_for(user, bot, statusReason="starting")
        page = visitor.page
        refresh(page)
        for _ in range(3):
            with page.expect_response("**/dashboard"):
                page.clock.run_for(2_100)
        site.engine.order("release", "start")
        site.wait_for(user, bot, status="running")
        visitor.forgive("layout shift")
        with page.expect_response("**/dashboard"):
            page.clock.run_for(2_100)
        expect(card(page, "Helper")).to_contain_text("Running")
        before = len(asked)
        page.clock.run_for(20_000)
        assert len(asked) == before

    def test_never_in_a_hidden_tab_and_at_once_when_it_is_seen_again(self, visitor: Visitor, asked: list[Any]) -> None:
        page = visitor.page
        page.evaluate(
            """() => {
                window.hiddenNow = true;
                Object.defineProperty(document, "hidden", { get: () => window.hiddenNow });
                document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )
        page.clock.run_for(600_000)
        assert asked == []
        with page.expect_response("**/dashboard"):
            page.evaluate("hiddenNow = false, document.dispatchEvent(new Event('visibilitychange'))")
        assert len(asked) == 1


def test_everything_works_without_scripts(visit: Visit, site: LiveSite, user: str) -> None:
    site.create(user, name="Helper")
    visitor = visit(site, java_script_enabled=False)
    page = visitor.page
    button(page, "Stop", "Helper").click()
    expect(page.get_by_text("“Helper” has stopped.")).to_be_visible()
    page.reload()
    expect(card(page, "Helper")).to_contain_text("Stopped")
    visitor.inspect()
