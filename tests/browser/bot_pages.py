"""What walks over the page of a bot share."""

from playwright.sync_api import Locator, Page

from tests.browser.conftest import Visit
from tests.browser.sites import LiveSite

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07plain",
    "<script>document.title='taken'</script><img src=x onerror=alert(1)>",
    "right\u202eto left",
    "x" * 300_000,
    "&amp; ${7*7} </div>",
)

TOO_LATE = "Load the page again to see them."
"""What a page says when reading its logs would hold it up for too long, which a busy machine may make it do."""
MOST_VISITS = 20


def view_of(page: Page) -> Locator:
    """Return the block in which logs are shown."""
    return page.get_by_role("region", name="Log lines")


def lines(page: Page) -> Locator:
    """Return the lines of the log that are shown."""
    return view_of(page).locator(".line:visible")


def said(page: Page) -> Locator:
    """Return what is said of the logs."""
    return page.locator("[data-logs-state]")


def visible_without_scripts(visit: Visit, site: LiveSite, bot: str) -> list[str]:
    """Return the lines that the server itself puts into the page, as soon as it can read them in time."""
    visitor = visit(site, java_script_enabled=False)
    for _ in range(MOST_VISITS):
        visitor.open(f"/dashboard/instances/{bot}")
        if TOO_LATE not in said(visitor.page).inner_text():
            return lines(visitor.page).all_inner_texts()
    raise AssertionError("The logs could never be read in time.")


def running(site: LiveSite, user: str, **fields: object) -> str:
    """Make a bot, wait until it runs and return its id."""
    bot = str(site.create(user, **{"name": "Helper", **fields})["id"])
    site.wait_for(user, bot, status="running")
    return bot
