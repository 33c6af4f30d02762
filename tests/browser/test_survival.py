"""Walks in which something is really killed, and comes back, while somebody looks at a bot."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeSite, Visit
from tests.browser.sites import STANDIN_IMAGE, LiveSite
from tests.browser.visitor import Visitor
from tests.private_engine import PrivateEngine

HEALS_WITHIN = 60_000
"""Milliseconds; the longest pause between two tries of a page is half of that."""


def look_again(page: Page) -> None:
    page.evaluate("htmx.trigger('#live', 'refresh')")


def badge(page: Page, said: str) -> None:
    expect(page.locator("#live [data-status-of]")).to_have_text(said, timeout=HEALS_WITHIN)


def opened(visit: Visit, site: LiveSite, user: str) -> tuple[str, Visitor]:
    """Make a bot, and open its page in a window that is not surprised when nobody answers."""
    bot: str = site.create(user, name="Helper")["id"]
    site.wait_for(user, bot, status="running")
    visitor = visit(site)
    visitor.forgive("^(request|console error)")
    visitor.forgive("layout shift")
    visitor.open(f"/dashboard/instances/{bot}")
    badge(visitor.page, "Running")
    return bot, visitor


@pytest.mark.engine
def test_the_engine_is_killed_and_comes_back(
    visit: Visit, make_site: MakeSite, private_engine: PrivateEngine, user: str
) -> None:
    private_engine.load(STANDIN_IMAGE)
    site = make_site(on_docker=True, DOCKER_HOST=private_engine.address)
    bot, visitor = opened(visit, site, user)
    page = visitor.page
    private_engine.kill()
    site.wait_for_engine(connected=False)
    look_again(page)
    silent = page.get_by_text("Docker has not answered since")
    expect(silent).to_be_visible()
    badge(page, "Running")
    visitor.inspect()
    page.get_by_role("button", name="Stop Helper", exact=True).click()
    expect(page.get_by_text("What was asked for is kept")).to_be_visible()
    private_engine.start()
    site.wait_for(user, bot, status="stopped")
    site.wait_for_engine()
    look_again(page)
    expect(silent).to_be_hidden()
    badge(page, "Stopped")
    page.get_by_role("button", name="Start Helper", exact=True).click()
    badge(page, "Running")
    expect(page.locator("[data-logs-lines] .line").first).to_be_visible()
    assert site.complaints() == ""


@pytest.mark.engine
def test_the_server_is_killed_and_started_again(visit: Visit, make_site: MakeSite, user: str) -> None:
    site = make_site(on_docker=True)
    _, visitor = opened(visit, site, user)
    page = visitor.page
    site.served.kill()
    look_again(page)
    lost = page.get_by_role("alert").filter(has_text="The server does not answer")
    expect(lost).to_be_visible()
    site.served.start()
    expect(lost).to_be_hidden(timeout=HEALS_WITHIN)
    badge(page, "Running")
    page.get_by_role("button", name="Stop Helper", exact=True).click()
    badge(page, "Stopped")
    assert site.complaints() == ""
