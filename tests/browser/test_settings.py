"""Walks over what can be changed about a bot: its name and its secrets."""

from playwright.sync_api import expect

from tests.browser.bot_pages import running
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

KEY = "sk-never-to-be-seen-again"


def test_it_is_renamed(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    page.get_by_label("Instance Name").fill("Zoë <3")
    page.get_by_role("button", name="Rename").click()
    expect(page).to_have_title("Zoë <3 | ClawDeploy")
    expect(page.get_by_text("The bot is now called “Zoë <3”.")).to_be_visible()
    expect(page.get_by_text("You changed the name.")).to_be_visible()
    expect(page.get_by_label("Instance Name")).to_be_in_viewport()
    page.get_by_label("Instance Name").evaluate("input => { input.value = '\\u2060'; }")
    visitor.expect_trouble("^request: POST .* 400$")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_label("Instance Name")).to_be_focused()
    expect(page.get_by_label("Instance Name")).to_have_accessible_description(
        "A name needs at least one character that can be seen."
    )
    visitor.inspect()


def test_a_secret_is_set_replaced_and_removed(visitor: Visitor, site: LiveSite, user: str) -> None:
    visitor.expect_trouble("^request: POST .* 400$")
    bot = running(site, user, apiKey=KEY)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    page.get_by_text("Set Bot Token").click()
    page.get_by_label("New Bot Token").fill("nonsense")
    page.get_by_label("New Bot Token").press("Enter")
    expect(page.get_by_label("New Bot Token")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("This is not a Telegram bot token.")).to_be_visible()
    visitor.inspect()
    page.get_by_label("New Bot Token").fill("123456789:" + "AbCdE" * 7)
    page.get_by_label("New Bot Token").press("Enter")
    expect(page.get_by_text("The secret of “Helper” was replaced.")).to_be_visible()
    expect(page.get_by_role("heading", name="Secrets")).to_be_in_viewport()
    visitor.inspect()
    expect(page.get_by_text("You asked it to restart. One of its secrets was changed.")).to_be_visible()
    expect(page.locator(".state")).to_contain_text("All is well: it runs and answers.")
    page.get_by_text("Replace or remove API Key").click()
    page.get_by_role("button", name="Remove API Key").click()
    expect(page.get_by_text("The secret of “Helper” was removed.")).to_be_visible()
    expect(page.get_by_text("Not set")).to_have_count(1)
    assert KEY not in page.content()
