"""Walks over the pages that need nothing: where one is when there is nothing yet, and the way out."""

from playwright.sync_api import expect

from tests.browser.chromium import Screen, everywhere
from tests.browser.visitor import Visitor


@everywhere
def test_the_empty_dashboard_and_the_way_out(visitor: Visitor, screen: Screen) -> None:
    expect(visitor.page).to_have_title("Dashboard | ClawDeploy")
    expect(visitor.page.get_by_text("No bots yet")).to_be_visible()
    visitor.inspect()
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url(visitor.site.origin + "/")
    visitor.open("/dashboard")
    assert visitor.page.url == visitor.site.origin + "/"
