"""Walks over the page of a bot, and over its logs, whatever stands in them."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import Screen, everywhere
from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite
from tests.browser.test_dashboard import refresh
from tests.browser.visitor import Visitor

KEY = "sk-never-to-be-seen-again"
HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07plain",
    "<script>document.title='taken'</script><img src=x onerror=alert(1)>",
    "right\u202eto left",
    "x" * 300_000,
    "&amp; ${7*7} </div>",
)


def lines(page: Page) -> Locator:
    """Return the lines of the log that are shown."""
    return page.get_by_role("region", name="Log lines").locator(".line:visible")


def running(site: LiveSite, user: str, **fields: object) -> str:
    """Make a bot, wait until it runs and return its id."""
    bot = str(site.create(user, **{"name": "Helper", **fields})["id"])
    site.wait_for(user, bot, status="running")
    return bot


@everywhere
def test_everything_about_a_bot(visit: Visit, site: LiveSite, user: str, screen: Screen) -> None:
    bot = running(site, user, apiKey=KEY, config={"greeting": "Hello"}, region="here")
    site.engine.order("write", bot, *HOSTILE)
    visitor = visit(site)
    page = visitor.page
    page.get_by_role("link", name="Helper").first.click()
    expect(page).to_have_title("Helper | ClawDeploy")
    expect(page.get_by_text("Asked for this bot to be made.")).to_be_visible()
    expect(lines(page).first).to_be_visible()
    visitor.inspect()
    refresh(page)
    page.get_by_role("link", name="Back to Dashboard").click()
    expect(page).to_have_title("Dashboard | ClawDeploy")


def test_it_is_stopped_restarted_and_deleted(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    visitor.forgive("layout shift")
    page.get_by_role("button", name="Stop Helper").click()
    expect(page.get_by_text("“Helper” is being stopped.")).to_be_visible()
    expect(page.locator(".badge.stopped")).to_be_visible()
    expect(page.get_by_text("Asked it to stop.")).to_be_visible()
    page.get_by_role("button", name="Start Helper", exact=True).click()
    expect(page.locator("#live .badge.running").first).to_be_visible()
    page.get_by_role("button", name="Delete Helper").click()
    page.get_by_role("button", name="Delete this bot").click()
    expect(page).to_have_title("Dashboard | ClawDeploy")
    expect(page.get_by_text("The bot was deleted.")).to_be_visible()
    visitor.open(f"/dashboard/instances/{bot}", status=404)
    expect(page).to_have_title("Instance not found | ClawDeploy")
    visitor.inspect()


def test_deleted_in_another_tab_it_says_so(visitor: Visitor, site: LiveSite, user: str) -> None:
    visitor.expect_trouble("^request: GET .* 404$")
    visitor.forgive("^console error: Response Status Error Code 404")
    visitor.forgive("layout shift")
    bot = running(site, user)
    visitor.open(f"/dashboard/instances/{bot}")
    site.call(user, "DELETE", f"/api/instances/{bot}")
    visitor.page.evaluate("htmx.trigger('#live', 'refresh')")
    expect(visitor.page.get_by_role("alert")).to_contain_text("This bot was deleted.")
    visitor.page.get_by_role("alert").get_by_role("link").click()
    expect(visitor.page).to_have_title("Dashboard | ClawDeploy")


def test_it_is_renamed(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    page.get_by_label("Instance Name").fill("Zoë <3")
    page.get_by_role("button", name="Rename").click()
    expect(page).to_have_title("Zoë <3 | ClawDeploy")
    expect(page.get_by_text("The bot is now called “Zoë <3”.")).to_be_visible()
    expect(page.get_by_text("Changed the name.")).to_be_visible()


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
    page.get_by_text("Replace or remove API Key").click()
    page.get_by_role("button", name="Remove API Key").click()
    expect(page.get_by_text("The secret of “Helper” was removed.")).to_be_visible()
    expect(page.get_by_text("Not set")).to_have_count(1)
    assert KEY not in page.content()


def test_what_is_typed_survives_a_refresh(visitor: Visitor, site: LiveSite, user: str) -> None:
    bot = running(site, user)
    page = visitor.page
    visitor.open(f"/dashboard/instances/{bot}")
    page.get_by_label("Instance Name").fill("half a na")
    refresh(page)
    expect(page.get_by_label("Instance Name")).to_have_value("half a na")
    expect(page.get_by_label("Instance Name")).to_be_focused()


class TestLogs:
    def test_hostile_lines_are_text_and_bounded(self, visitor: Visitor, site: LiveSite, user: str) -> None:
        bot = running(site, user)
        site.engine.order("write", bot, *HOSTILE)
        page = visitor.page
        visitor.open(f"/dashboard/instances/{bot}")
        expect(lines(page)).to_have_count(len(HOSTILE) + 1)
        shown = lines(page).all_inner_texts()
        assert shown[1] == "red plain"
        assert shown[2] == HOSTILE[1]
        assert shown[3] == "right\ufffdto left"
        assert len(shown[4]) < 5_000
        assert "300000 characters" in shown[4]
        assert shown[5] == HOSTILE[4]
        expect(page).to_have_title("Helper | ClawDeploy")

    def test_new_lines_come_by_themselves_unless_paused(self, visitor: Visitor, site: LiveSite, user: str) -> None:
        bot = running(site, user)
        page = visitor.page
        visitor.open(f"/dashboard/instances/{bot}")
        expect(page.get_by_text("1 line, following")).to_be_visible()
        site.engine.order("write", bot, "same", "same", "same")
        expect(lines(page)).to_have_count(4)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("4 lines, paused")).to_be_visible()
        site.engine.order("write", bot, "later")
        page.get_by_role("button", name="Follow").click()
        expect(lines(page)).to_have_text(["started", "same", "same", "same", "later"])

    def test_they_are_searched_copied_and_downloaded(self, visitor: Visitor, site: LiveSite, user: str) -> None:
        bot = running(site, user)
        site.engine.order("write", bot, *(f"line {number}" for number in range(200)))
        page = visitor.page
        visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
        visitor.open(f"/dashboard/instances/{bot}")
        expect(lines(page)).to_have_count(201)
        page.get_by_role("searchbox").fill("LINE 19")
        expect(lines(page)).to_have_text(["line 19", *(f"line {number}" for number in range(190, 200))])
        expect(page.get_by_text("11 of 201 lines")).to_be_visible()
        page.locator(".logs-tools").get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.splitlines()[:2] == ["line 19", "line 190"]
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == f"clawdeploy-{bot}.log"
        assert download.value.path().read_text().splitlines()[-1] == "line 199"

    def test_who_reads_above_is_not_pulled_down(self, visitor: Visitor, site: LiveSite, user: str) -> None:
        bot = running(site, user)
        site.engine.order("write", bot, *(f"line {number}" for number in range(300)))
        page = visitor.page
        visitor.open(f"/dashboard/instances/{bot}")
        view = page.get_by_role("region", name="Log lines")
        view.scroll_into_view_if_needed()
        expect(lines(page).last).to_be_in_viewport()
        view.evaluate("view => { view.scrollTop = 0; }")
        latest = page.get_by_role("button", name="Jump to the latest")
        expect(latest).to_be_visible()
        site.engine.order("write", bot, "the last")
        expect(lines(page)).to_have_count(302)
        assert view.evaluate("view => view.scrollTop") == 0
        latest.click()
        expect(page.get_by_text("the last")).to_be_in_viewport()
        expect(latest).to_be_hidden()

    def test_an_engine_that_cannot_tell_is_said_and_recovers(self, visitor: Visitor, site: LiveSite, user: str) -> None:
        visitor.expect_trouble("^request: GET .*/logs.* 503$")
        bot = running(site, user)
        site.engine.order("fail", "logs", "The disk is full.")
        page = visitor.page
        visitor.open(f"/dashboard/instances/{bot}")
        expect(page.get_by_text("The logs cannot be read right now. The disk is full.")).to_be_visible()
        visitor.inspect()
        site.engine.order("succeed")
        expect(page.get_by_text("1 line, following")).to_be_visible()

    def test_without_a_container_there_is_an_explanation(self, visitor: Visitor, site: LiveSite, user: str) -> None:
        visitor.expect_trouble("^request: GET .*/logs.* 400$")
        site.engine.order("fail", "create", "The disk is full.")
        bot = site.create(user, name="Helper")["id"]
        site.wait_for(user, bot, status="error")
        visitor.open(f"/dashboard/instances/{bot}")
        expect(visitor.page.get_by_text("There are no logs yet: the bot has no container.")).to_be_visible()
        visitor.inspect()

    @pytest.mark.engine
    def test_those_of_a_real_container(self, visit: Visit, docker_site: LiveSite, user: str) -> None:
        bot = docker_site.create(user, name="Real")["id"]
        found = docker_site.wait_for(user, bot, status="running")
        visitor = visit(docker_site)
        page = visitor.page
        visitor.open(f"/dashboard/instances/{bot}")
        expect(lines(page).first).to_be_visible(timeout=3_000)
        page.context.request.get(f"{found['url']}?q=<script>alert(1)</script>%1b[31m", fail_on_status_code=False)
        expect(page.get_by_text("alert(1)")).to_be_visible()
        visitor.forgive("layout shift")
        page.get_by_role("button", name="Stop Real").click()
        expect(page.locator(".badge.stopped")).to_be_visible(timeout=15_000)
        page.get_by_role("button", name="Start Real", exact=True).click()
        expect(page.locator("#live .badge.running").first).to_be_visible(timeout=15_000)
        page.get_by_role("button", name="Delete Real").click()
        page.get_by_role("button", name="Delete this bot").click()
        expect(page).to_have_title("Dashboard | ClawDeploy", timeout=15_000)
