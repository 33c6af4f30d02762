"""Walks of people who do not live at UTC."""

import re

from playwright.sync_api import Page, expect

from tests.browser.bot_pages import running
from tests.browser.chromium import PHONE
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.test_dashboard import refresh

HERE = re.compile(r"^\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d GMT\+5:30$")
UTC = re.compile(r"^\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC$")
MINUTES_AHEAD = 330


def minutes(told: str) -> int:
    """Return the time of the day in what is told of a moment."""
    hour, minute = told.split(", ")[1][:5].split(":")
    return int(hour) * 60 + int(minute)


def check_all(page: Page) -> None:
    """Check that every moment of a page is told in the zone of Kolkata, and in UTC by its title."""
    times = page.locator("time")
    expect(times.first).to_have_text(HERE)
    for time in times.all():
        expect(time).to_have_text(HERE)
        expect(time).to_have_attribute("title", UTC)
        utc = minutes(time.get_attribute("title") or "")
        assert (minutes(time.inner_text()) - utc) % (24 * 60) == MINUTES_AHEAD


def test_moments_are_told_in_the_zone_of_the_browser(visit: Visit, site: LiveSite, user: str) -> None:
    """A refresh changes none of them, and nothing moves: a layout shift fails the walk."""
    bot = running(site, user)
    visitor = visit(site, screen=PHONE, timezone_id="Asia/Kolkata")
    page = visitor.page
    for path in ("/dashboard", f"/dashboard/instances/{bot}", "/dashboard/account"):
        visitor.open(path)
        check_all(page)
        visitor.inspect()
    visitor.open(f"/dashboard/instances/{bot}")
    page.get_by_role("button", name="Stop Helper").click()
    expect(page.get_by_text("It stopped.")).to_be_visible()
    refresh(page)
    check_all(page)


def test_without_scripts_they_are_told_in_utc(visit: Visit, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    visitor = visit(site, timezone_id="Asia/Kolkata", java_script_enabled=False)
    visitor.open(f"/dashboard/instances/{bot}")
    for time in visitor.page.locator("time").all():
        expect(time).to_have_text(UTC)
