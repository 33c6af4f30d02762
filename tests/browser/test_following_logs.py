"""Walks over logs that go on while they are read, and over engines that cannot tell them."""

import socket

import pytest
from playwright.sync_api import expect

from tests.browser.bot_pages import lines, running, said
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

HIDE = """() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
FIRST_BYTE_MILLISECONDS = 1_000
SHOW = "() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }"


def answered(port: int, request_line: bytes) -> bytes:
    """Send a request to a bot, whatever it is made of, and return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request_line + b" HTTP/1.0\r\n\r\n")
        return connection.makefile("rb").read()


def test_new_lines_come_by_themselves_unless_paused(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(said(page)).to_have_text("1 line, following")
    site.engine.order("write", bot, "same", "same", "same")
    expect(lines(page)).to_have_count(4)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("4 lines, paused")).to_be_visible()
    site.engine.order("write", bot, "later")
    page.get_by_role("button", name="Resume").click()
    expect(lines(page)).to_have_text(["started", "same", "same", "same", "later"])


def test_an_engine_that_cannot_tell_is_said_and_recovers(visitor: Visitor, site: LiveSite, user: str) -> None:
    visitor.expect_trouble("^request: GET .*/logs.* 503$")
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(said(page)).to_have_text("1 line, following")
    site.engine.order("fail", "logs", "The disk is full")
    expect(page.get_by_text("The logs cannot be read right now. The disk is full. Trying again…")).to_be_visible()
    visitor.inspect()
    site.engine.order("succeed")
    expect(said(page)).to_have_text("1 line, following")


def test_an_engine_that_hangs_does_not_hold_up_the_page(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("hold", "logs")
    page = visitor.page
    for _ in range(3):
        visitor.open(f"/dashboard/instances/{bot}")
        assert page.evaluate("performance.getEntriesByType('navigation')[0].responseStart") < FIRST_BYTE_MILLISECONDS
    # What is seen: whoever has scripts need not load the page again.
    expect(said(page)).to_have_text("The logs could not be read in time.", use_inner_text=True)
    visitor.inspect()
    site.engine.order("release", "logs")
    expect(said(page)).to_have_text("1 line, following")


def test_without_a_container_there_is_an_explanation(visitor: Visitor, site: LiveSite, user: str) -> None:
    site.engine.order("fail", "create", "The disk is full.")
    bot = site.create(user, name="Helper")["id"]
    site.wait_for(user, bot, status="error")
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(page.get_by_text("There are no logs yet: the bot has no container.")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_be_hidden()
    visitor.inspect()
    site.engine.order("succeed")
    page.get_by_role("button", name="Try again Helper").click()
    expect(lines(page)).to_have_text(["started"])
    expect(page.get_by_role("link", name="Download")).to_be_visible()


def test_a_new_container_begins_a_new_log(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    site.engine.order("write", bot, "the old one")
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page)).to_have_text(["started", "the old one"])
    site.engine.order("vanish", bot)
    site.wait_for(user, bot, status="error")
    visitor.forgive("^request: GET .*/logs")
    page.evaluate("htmx.trigger('#live', 'refresh')")
    page.get_by_role("button", name="Try again Helper").click()
    expect(lines(page)).to_have_text(["started", "the old one", "… (a new container)", "started"])


def test_only_new_lines_are_asked_for_and_added(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(said(page)).to_have_text("1 line, following")
    lines(page).first.evaluate("line => { line.id = 'kept'; }")
    with page.expect_request("**/logs?tail=200"):
        site.engine.order("write", bot, *(f"line {number}" for number in range(100)))
        expect(lines(page)).to_have_count(101)
    expect(page.locator("#kept")).to_have_text("started")


def test_a_hidden_page_asks_for_nothing(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(said(page)).to_have_text("1 line, following")
    page.clock.install()
    page.evaluate(HIDE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(120_000)
    assert asked == []
    site.engine.order("write", bot, "meanwhile")
    page.evaluate(SHOW)
    expect(lines(page)).to_have_text(["started", "meanwhile"])


@pytest.mark.engine
def test_those_of_a_real_container(visit: Visit, docker_site: LiveSite, user: str) -> None:
    bot = docker_site.create(user, name="Real")["id"]
    found = docker_site.wait_for(user, bot, status="running")
    visitor = visit(docker_site)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    expect(lines(page).first).to_be_visible(timeout=3_000)
    for ask in (b"GET /<script>alert(1)</script>", b"GET /\xff\xfe\x1b[31m\xe2\x80\xae", b"GET /" + b"x" * 6_000):
        answered(found["port"], ask)
    expect(lines(page).filter(has_text='] "GET /<script>alert(1)</script>')).to_be_visible()
    expect(page.get_by_text("x" * 1_000).last).to_be_attached()
    page.get_by_role("button", name="Pause").click()
    answered(found["port"], b"GET /later")
    page.get_by_role("searchbox").fill('] "get /<script>alert(1)')
    expect(lines(page)).to_have_count(1)
    visitor.inspect()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Resume").click()
    expect(lines(page).filter(has_text='] "GET /later')).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert "<script>alert(1)</script>" in download.value.path().read_text()
    page.get_by_role("button", name="Stop Real").click()
    expect(page.locator(".state .badge.stopped")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Start Real", exact=True).click()
    expect(page.locator(".state .badge.running")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Delete Real").click()
    visitor.inspect()
    page.get_by_role("button", name="Delete this bot").click()
    expect(page).to_have_title("Dashboard | ClawDeploy", timeout=15_000)
