"""Walks over what everybody sees: the landing page and its way in, and what is shown when something went wrong."""

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import DESK, PHONE, Screen, everywhere
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

LOADED = "() => performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)"
SHOWN = "(picture) => [picture.complete && picture.naturalWidth > 0, new URL(picture.currentSrc).pathname]"


@everywhere
def test_a_stranger_reads_what_it_is_and_how_to_get_in(stranger: Visitor, screen: Screen) -> None:
    page = stranger.page
    stranger.open("/")
    expect(page).to_have_title("Your own OpenClaw bot | ClawDeploy")
    stranger.inspect()
    page.get_by_role("link", name="Sign in to make a bot").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_in_viewport()
    page.get_by_text("If it does not work").click()
    expect(page.get_by_text("No such file or directory")).to_be_visible()
    stranger.inspect()


@pytest.mark.parametrize("screen", [DESK, Screen(1440, 900, "dark")], ids=str)
def test_the_picture_of_the_product_has_the_colours_of_the_page(stranger: Visitor, screen: Screen) -> None:
    stranger.open("/")
    picture = stranger.page.get_by_role("img", name="Family helper")
    expect(picture).to_be_visible()
    assert picture.evaluate(SHOWN) == [True, f"/static/product-{screen.scheme}.webp"]


def test_the_landing_page_loads_no_scripts_and_two_style_sheets(stranger: Visitor) -> None:
    stranger.open("/")
    loaded = stranger.page.evaluate(LOADED)
    assert [path for path in loaded if path.endswith(".js")] == []
    assert len([path for path in loaded if path.endswith(".css")]) == 2


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=str)
def test_the_command_is_one_line_and_selected_with_one_click(stranger: Visitor, screen: Screen) -> None:
    stranger.open("/")
    command = stranger.page.get_by_text(".venv/bin/clawdeploy sign-in me")
    lines = command.evaluate("(one) => one.getClientRects().length")
    assert lines == 1
    command.click()
    assert stranger.page.evaluate("() => String(getSelection())") == ".venv/bin/clawdeploy sign-in me"


def test_a_keyboard_gets_past_the_header(stranger: Visitor) -> None:
    stranger.open("/")
    stranger.page.keyboard.press("Tab")
    skip = stranger.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    stranger.page.keyboard.press("Enter")
    expect(stranger.page.get_by_role("main")).to_be_focused()
    stranger.page.keyboard.press("Tab")
    expect(stranger.page.get_by_role("link", name="Sign in to make a bot")).to_be_focused()


@everywhere
def test_whoever_is_signed_in_goes_on_to_their_bots(visitor: Visitor, screen: Screen) -> None:
    visitor.open("/")
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_have_count(0)
    visitor.inspect()
    visitor.page.get_by_role("link", name="Go to your bots").click()
    expect(visitor.page).to_have_title("Dashboard | ClawDeploy")


@everywhere
def test_whoever_was_signed_out_elsewhere_reads_why_and_gets_back_in(
    visitor: Visitor, visit: Visit, site: LiveSite, user: str, screen: Screen
) -> None:
    visitor.open("/dashboard/account")
    other = visit(site)
    other.open("/dashboard/account")
    other.page.get_by_role("button", name="Sign out everywhere").click()
    visitor.open("/dashboard")
    notice = visitor.page.get_by_role("status").filter(has_text="You are signed out")
    expect(notice).to_be_visible()
    visitor.inspect()
    notice.get_by_role("link", name="Sign in again").click()
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_in_viewport()
    visitor.open(site.sign_in_link(user))
    expect(visitor.page).to_have_title("Dashboard | ClawDeploy")


@everywhere
def test_an_address_that_does_not_exist(stranger: Visitor, screen: Screen) -> None:
    stranger.open("/nowhere", status=404)
    expect(stranger.page).to_have_title("Not Found | ClawDeploy")
    stranger.inspect()
    stranger.page.get_by_role("link", name="To the start page").click()
    expect(stranger.page.get_by_role("link", name="Sign in to make a bot")).to_be_visible()


@everywhere
def test_a_bot_that_does_not_exist(visitor: Visitor, screen: Screen) -> None:
    visitor.open("/dashboard/instances/nobodys", status=404)
    expect(visitor.page).to_have_title("Instance not found | ClawDeploy")
    visitor.inspect()
    visitor.page.get_by_role("link", name="Back to Dashboard").click()
    expect(visitor.page).to_have_title("Dashboard | ClawDeploy")


def test_a_link_that_was_used_leads_to_how_one_gets_another(visit: Visit, site: LiveSite, user: str) -> None:
    link = site.sign_in_link(user)
    first = visit(site, signed_in=False)
    first.open(link)
    second = visit(site, signed_in=False, screen=PHONE)
    second.open(link, status=410)
    second.inspect()
    second.page.get_by_role("link", name="How to get a new link").click()
    expect(second.page.get_by_role("heading", name="Sign in")).to_be_in_viewport()
    first.open(link, status=410)
    expect(first.page.get_by_text("You are signed in already")).to_be_visible()
    first.inspect()
    first.page.get_by_role("link", name="Back to Dashboard").click()
    expect(first.page).to_have_title("Dashboard | ClawDeploy")
