"""Walks over the account page."""

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import SCREENS, Screen
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor


@pytest.mark.parametrize("screen", [SCREENS[0], SCREENS[-1]], ids=str)
def test_a_token_is_made_copied_and_revoked(visit: Visit, site: LiveSite, screen: Screen) -> None:
    visitor = visit(site)
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Account").click()
    expect(page).to_have_title("Account | ClawDeploy")
    expect(page.get_by_text("You have no API tokens.")).to_be_visible()
    visitor.inspect()
    page.get_by_label("Name").fill("Backup script")
    page.get_by_role("button", name="Create token").click()
    value = page.locator("#made").inner_text()
    assert value.startswith("cd_")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == value
    visitor.inspect()
    # A reload makes no second token, and shows the first no more.
    page.reload()
    expect(page.get_by_role("button", name="Revoke Backup script")).to_have_count(1)
    assert value not in page.content()
    page.get_by_role("button", name="Revoke Backup script").click()
    expect(page.get_by_text("The token was revoked")).to_be_visible()
    expect(page.get_by_text("You have no API tokens.")).to_be_visible()


def test_another_browser_is_signed_out_from_here(visit: Visit, site: LiveSite) -> None:
    here, there = visit(site), visit(site)
    here.open("/dashboard/account")
    expect(here.page.get_by_text("This browser")).to_have_count(1)
    others = here.page.get_by_role("listitem").filter(has_text="Chrome on Linux").filter(has_not_text="This browser")
    others.get_by_role("button").click()
    expect(here.page.get_by_text("That browser is signed out.")).to_be_visible()
    there.open("/dashboard")
    assert there.page.url == f"{site.origin}/"


def test_who_ends_their_own_session_is_signed_out(visitor: Visitor, site: LiveSite) -> None:
    visitor.open("/dashboard/account")
    own = visitor.page.get_by_role("listitem").filter(has_text="This browser")
    own.get_by_role("button").click()
    visitor.page.wait_for_url(f"{site.origin}/")
