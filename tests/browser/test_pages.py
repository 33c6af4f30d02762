"""Walks over the pages that need nothing: the way in, where one is when there is nothing yet, the way out."""

from playwright.sync_api import expect

from tests.browser.chromium import Screen, everywhere
from tests.browser.visitor import Visitor


@everywhere
def test_the_landing_page(stranger: Visitor, screen: Screen) -> None:
    stranger.open("/")
    expect(stranger.page.get_by_role("heading", level=1)).to_be_visible()
    stranger.inspect()


@everywhere
def test_the_empty_dashboard_and_the_way_out(visitor: Visitor, screen: Screen) -> None:
    expect(visitor.page).to_have_title("Dashboard | ClawDeploy")
    expect(visitor.page.get_by_text("No bots yet")).to_be_visible()
    visitor.inspect()
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url(visitor.site.origin + "/")
    visitor.open("/dashboard")
    assert visitor.page.url == visitor.site.origin + "/"


@everywhere
def test_an_address_that_does_not_exist(stranger: Visitor, screen: Screen) -> None:
    stranger.open("/nowhere", status=404)
    expect(stranger.page).to_have_title("Not Found | ClawDeploy")
    stranger.inspect()
