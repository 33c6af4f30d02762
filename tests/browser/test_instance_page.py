"""Walks over the page of a bot."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.bot_pages import HOSTILE, lines, running, said, view_of
from tests.browser.chromium import DESK, PHONE, Screen, everywhere
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.test_dashboard import HTMX_SAYS_SO_TOO, refresh
from tests.browser.visitor import Visitor

KEY = "sk-never-to-be-seen-again"


@everywhere
def test_everything_about_a_bot(visit: Visit, site: LiveSite, user: str, screen: Screen) -> None:
    bot = running(site, user, apiKey=KEY, config={"greeting": "Hello"}, region="here")
    site.engine.order("write", bot, *HOSTILE)
    visitor = visit(site)
    page = visitor.page
    page.get_by_role("link", name="Helper").first.click()
    expect(page).to_have_title("Helper | ClawDeploy")
    expect(page.get_by_text("You asked for this bot to be made.")).to_be_visible()
    expect(lines(page).first).to_be_visible()
    visitor.inspect()
    refresh(page)
    page.get_by_role("link", name="Back to Dashboard").click()
    expect(page).to_have_title("Dashboard | ClawDeploy")


@pytest.mark.parametrize("screen", [PHONE, DESK], ids=str)
def test_it_is_stopped_started_restarted_and_deleted(visit: Visit, site: LiveSite, user: str, screen: Screen) -> None:
    """Nothing moves meanwhile: a layout shift fails the walk."""
    bot = running(site, user)
    visitor = visit(site)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    for action, told, status in (
        ("Stop", "“Helper” has stopped.", "stopped"),
        ("Start", "“Helper” is running.", "running"),
        ("Restart", "“Helper” has restarted.", "running"),
    ):
        page.get_by_role("button", name=f"{action} Helper", exact=True).click()
        expect(page.get_by_text(told)).to_be_visible()
        expect(page.get_by_text(f"You asked it to {action.lower()}.")).to_be_visible()
        expect(page.locator(f".state .badge.{status}")).to_be_visible()
    delete = page.get_by_role("button", name="Delete Helper")
    delete.click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete “Helper”?")
    page.keyboard.press("Escape")
    expect(delete).to_be_focused()
    delete.click()
    page.get_by_role("button", name="Delete this bot").click()
    expect(page).to_have_title("Dashboard | ClawDeploy")
    expect(page.get_by_text("The bot was deleted.")).to_be_visible()
    visitor.open(f"/dashboard/instances/{bot}", status=404)
    expect(page).to_have_title("Instance not found | ClawDeploy")
    visitor.inspect()


def test_deleting_it_with_a_double_click(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    page.get_by_role("button", name="Delete Helper").click()
    page.get_by_role("button", name="Delete this bot").dblclick(no_wait_after=True)
    expect(page).to_have_title("Dashboard | ClawDeploy")
    expect(page.get_by_text("The bot was deleted.")).to_be_visible()


def test_a_bot_that_crashed_says_why_and_is_tried_again(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    site.engine.order("crash", bot, 3)
    site.wait_for(user, bot, status="error")
    refresh(page)
    expect(page.locator(".state")).to_contain_text("It ended by itself with exit code 3.")
    # Whichever comes first, what the engine tells or the next look at it.
    expect(page.get_by_text(re.compile(", (noticed by the server|told by Docker)"))).to_be_visible()
    visitor.inspect()
    page.get_by_role("button", name="Try again Helper").click()
    expect(page.locator(".state .badge.running")).to_be_visible()
    expect(page.locator(".state")).to_contain_text("All is well")


def test_a_refusal_is_told_and_nothing_is_lost(visitor: Visitor, site: LiveSite, user: str) -> None:
    visitor.expect_trouble("^request: POST .* 503$")
    visitor.forgive(HTMX_SAYS_SO_TOO)
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    site.engine.order("fail", "stop", "The disk is full.")
    page.get_by_role("button", name="Stop Helper").click()
    expect(page.get_by_role("alert").filter(has_text="The disk is full.")).to_be_visible()
    expect(page.get_by_role("button", name="Stop Helper")).not_to_have_attribute("aria-busy", "true")


def test_deleted_in_another_tab_it_says_so(visitor: Visitor, site: LiveSite, user: str) -> None:
    visitor.expect_trouble("^request: GET .* 404$")
    visitor.forgive(HTMX_SAYS_SO_TOO)
    visitor.forgive("layout shift")
    bot = running(site, user)
    visitor.open(f"/dashboard/instances/{bot}")
    site.call(user, "DELETE", f"/api/instances/{bot}")
    visitor.page.evaluate("htmx.trigger('#live', 'refresh')")
    expect(visitor.page.get_by_role("alert")).to_contain_text("This bot was deleted.")
    visitor.page.get_by_role("alert").get_by_role("link").click()
    expect(visitor.page).to_have_title("Dashboard | ClawDeploy")


def test_a_refresh_takes_nothing_from_whoever_does_something(visitor: Visitor, site: LiveSite, user: str) -> None:
    """Typed text, focus, what is open, what is selected, what was searched for and where one reads."""
    bot = running(site, user)
    site.engine.order("write", bot, *(f"line {number}" for number in range(300)))
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page)).to_have_count(301)
    page.get_by_role("searchbox").fill("line 1")
    expect(said(page)).to_have_text("111 of 301 lines, following")
    page.get_by_text("Set Bot Token").click()
    page.get_by_label("New Bot Token").fill("half a to")
    page.get_by_label("Instance Name").fill("half a na")
    view = view_of(page)
    view.evaluate(
        "view => { view.scrollTop = 100; getSelection().selectAllChildren(view.querySelectorAll('.line')[11]); }"
    )
    site.engine.order("write", bot, "line 1001", "another")
    page.get_by_label("Instance Name").focus()
    site.call(user, "POST", f"/api/instances/{bot}/stop")
    refresh(page)
    expect(page.locator(".state .badge.stopped")).to_be_visible()
    expect(said(page)).to_have_text("112 of 304 lines, the bot is stopped")
    expect(page.get_by_label("Instance Name")).to_have_value("half a na")
    expect(page.get_by_label("New Bot Token")).to_have_value("half a to")
    expect(page.get_by_label("Instance Name")).to_be_focused()
    assert view.evaluate("view => view.scrollTop") == 100
    assert page.evaluate("getSelection().toString()") == "line 10"


def test_two_tabs_and_the_back_button(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open("/dashboard")
    page.get_by_role("link", name="Helper").first.click()
    expect(page.locator(".state .badge.running")).to_be_visible()
    other = visitor.new_tab()
    other.goto(f"/dashboard/instances/{bot}")
    other.get_by_label("Instance Name").fill("Other")
    other.get_by_role("button", name="Rename").click()
    other.get_by_role("button", name="Stop Other").click()
    expect(other.locator(".state .badge.stopped")).to_be_visible()
    refresh(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Other")
    expect(page.locator(".state .badge.stopped")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text("Other: Stopped.")
    page.go_back()
    expect(page).to_have_title("Dashboard | ClawDeploy")
    page.go_forward()
    expect(page.locator(".state .badge.stopped")).to_be_visible()
    expect(page).to_have_title("Other | ClawDeploy")
    # The address of a form that was sent, opened again.
    other.goto(f"/dashboard/instances/{bot}/rename")
    expect(other).to_have_title("Other | ClawDeploy")


def test_all_that_has_happened(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(page.get_by_text("The container is being made.")).to_have_count(0)
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_text("The container is being made.")).to_be_visible()
    refresh(page)
    expect(page.get_by_text("The container is being made.")).to_be_visible()
    page.get_by_role("link", name="Show less").click()
    expect(page.get_by_text("The container is being made.")).to_have_count(0)


def test_everything_works_without_scripts(visit: Visit, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("write", bot, *(f"line {number}" for number in range(200)), *HOSTILE)
    visitor = visit(site, java_script_enabled=False)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    visitor.inspect()
    expect(lines(page)).to_have_count(100)
    # The latest are seen first.
    view_of(page).scroll_into_view_if_needed()
    expect(lines(page).last).to_be_in_viewport()
    page.get_by_label("Instance Name").fill("Other")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("The bot is now called “Other”.")).to_be_visible()
    page.get_by_text("Set API Key").click()
    page.get_by_label("New API Key").fill(KEY)
    page.get_by_role("button", name="Save").filter(visible=True).click()
    expect(page.get_by_text("The secret of “Other” was replaced.")).to_be_visible()
    page.get_by_role("button", name="Restart Other").click()
    expect(page.get_by_text("“Other” has restarted.")).to_be_visible()
    page.get_by_role("button", name="Stop Other").click()
    expect(page.get_by_text("“Other” has stopped.")).to_be_visible()
    page.get_by_role("link", name="Reload").click()
    expect(page.locator(".state .badge.stopped")).to_be_visible()
    page.locator("summary", has_text="Delete this bot").click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page).to_have_title("Dashboard | ClawDeploy")
    expect(page.get_by_text("The bot was deleted.")).to_be_visible()
