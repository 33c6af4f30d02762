"""Walks of somebody who does too much: they read when to go on, and lose nothing."""

from playwright.sync_api import expect

from tests.browser.bot_pages import running
from tests.browser.conftest import MakeSite, Visit

TOO_MUCH = "You have asked for changes once within 10 minutes, which is the most. Try again in"
SAYS_SO_TOO = "^console error: (Response Status Error Code|htmx:)"


def test_a_button_says_when_to_press_it_again(make_site: MakeSite, visit: Visit, user: str) -> None:
    site = make_site(RATE_LIMIT="1/10minutes")
    bot = running(site, user)
    visitor = visit(site)
    visitor.expect_trouble("^request: POST .*/stop 429$")
    visitor.forgive(SAYS_SO_TOO)
    visitor.open(f"/dashboard/instances/{bot}")
    visitor.page.get_by_role("button", name="Stop Helper").click()
    expect(visitor.page.get_by_role("alert").filter(has_text=TOO_MUCH)).to_be_visible()
    assert site.instance(user, bot)["status"] == "running"
    visitor.inspect()


def test_a_form_keeps_what_was_typed(make_site: MakeSite, visit: Visit, user: str) -> None:
    site = make_site(RATE_LIMIT="1/10minutes")
    site.create(user)
    visitor = visit(site)
    visitor.expect_trouble("^request: POST .*/dashboard/new 429$")
    visitor.forgive("^request: POST .*/dashboard/new/check 429$")
    visitor.open("/dashboard/new")
    name = visitor.page.get_by_label("Instance Name")
    name.fill("Second")
    name.press("Enter")
    expect(visitor.page.get_by_role("group", name=TOO_MUCH)).to_be_focused()
    expect(name).to_have_value("Second")
    visitor.inspect()


def test_without_scripts_it_is_a_page(make_site: MakeSite, visit: Visit, user: str) -> None:
    site = make_site(RATE_LIMIT="1/10minutes")
    bot = running(site, user)
    visitor = visit(site, java_script_enabled=False)
    visitor.expect_trouble("^request: POST .*/stop 429$")
    visitor.open(f"/dashboard/instances/{bot}")
    visitor.page.get_by_role("button", name="Stop Helper").click()
    expect(visitor.page.get_by_role("heading", name="Too many requests in a short time")).to_be_visible()
    expect(visitor.page.get_by_text(TOO_MUCH)).to_be_visible()
    expect(visitor.page.get_by_role("link", name="Back to Dashboard")).to_be_visible()
    visitor.inspect()


def test_whoever_is_signed_out_is_told_that_however_often_it_is_asked(make_site: MakeSite, visit: Visit) -> None:
    site = make_site(SIGN_IN_LIMIT="1/10minutes")
    visitor = visit(site)
    visitor.expect_trouble("^request: GET .* 401$")
    visitor.expect_trouble("^request: GET .* 429$")
    visitor.forgive(SAYS_SO_TOO)
    visitor.forgive("layout shift")
    page, other = visitor.page, visitor.new_tab()
    other.goto("/dashboard")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url(f"{site.origin}/")
    for status in (401, 429):
        with page.expect_response(lambda answer, status=status: answer.status == status):  # type: ignore[misc]
            page.evaluate("htmx.trigger('#live', 'refresh')")
        expect(page.get_by_role("alert")).to_contain_text("You are signed out")
