"""Measure how soon a browser shows the pages of somebody with 100 bots."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from figures import table
from playwright.sync_api import Browser, Error, Page, sync_playwright
from with_chromium import run

from tests.browser.chromium import DESK, launch
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

USER = "ann"
BOTS = 100
LOG_LINES = 1000
PATIENCE_MILLISECONDS = 10_000
# Looks at every frame until a text can be seen, and keeps the moment, in milliseconds since the navigation began.
SEEN = """(text) => {
    const look = () => {
        if (document.body?.innerText.includes(text)) window.seenAfter = performance.now();
        else requestAnimationFrame(look);
    };
    look();
}"""
FIRST_BYTE = "() => performance.getEntriesByType('navigation')[0].responseStart"


@contextmanager
def served() -> Iterator[tuple[Browser, LiveSite]]:
    """Start a browser, and a server that looks at its engine as often as one in use; both are gone with the block."""
    with tempfile.TemporaryDirectory(prefix="clawdeploy-bench-") as folder, sync_playwright() as playwright:
        browser = launch(playwright)
        site = LiveSite(Path(folder), SYNC_SECONDS="30")
        try:
            yield browser, site
        finally:
            site.close()
            browser.close()


def create_bots(site: LiveSite) -> tuple[str, str]:
    """Give the user a hundred bots and return name and id of the newest."""
    names = [f"Shop assistant {number + 1}" for number in range(BOTS)]
    made = [site.create(USER, name=name)["id"] for name in names]
    return names[-1], made[-1]


def watch(visitor: Visitor, path: str, text: str) -> tuple[float, float | None]:
    """Open a page in a fresh tab; returns milliseconds to its first byte and until a text was seen, if it was."""
    page: Page = visitor.context.new_page()
    try:
        page.add_init_script(f"({SEEN})({json.dumps(text)})")
        answer = page.goto(path)
        if answer is None or answer.status != HTTPStatus.OK:
            return page.evaluate(FIRST_BYTE), None
        try:
            # As a function: a text would be evaluated, which our pages do not allow.
            page.wait_for_function("() => window.seenAfter", timeout=PATIENCE_MILLISECONDS)
        except Error:
            return page.evaluate(FIRST_BYTE), None
        return page.evaluate(FIRST_BYTE), page.evaluate("window.seenAfter")
    finally:
        page.close()


def time_pages(browser: Browser, site: LiveSite, rounds: int) -> None:
    """Print how soon the dashboard and a log are to be seen."""
    newest, bot = create_bots(site)
    site.engine.order("write", bot, *(f"line {number + 1} of the log" for number in range(LOG_LINES)))
    visitor = Visitor(browser, site, USER, DESK).sign_in()
    bots = [watch(visitor, "/dashboard", newest) for _ in range(rounds)]
    logs = [watch(visitor, f"/dashboard/instances/{bot}", f"line {LOG_LINES} of the log") for _ in range(rounds)]
    visitor.close()
    rows: dict[str, list[float | None]] = {
        f"dashboard of {BOTS} bots: first byte": [first for first, _ in bots],
        f"dashboard of {BOTS} bots: bots seen": [seen for _, seen in bots],
        "page of a bot: first byte": [first for first, _ in logs],
        f"page of a bot: {LOG_LINES} log lines seen": [seen for _, seen in logs],
    }
    print_table(rows)


def print_table(rows: dict[str, list[float | None]]) -> None:
    """Print the figures of pages, in milliseconds."""
    sys.stdout.write(table("milliseconds", rows, width=40, digits=0))


def main(rounds: int) -> None:
    """Serve and measure."""
    with served() as (browser, site):
        sys.stdout.write(f"{rounds} rounds, Chromium {browser.version}, {os.cpu_count()} CPUs\n")
        time_pages(browser, site, rounds)


if __name__ == "__main__":
    run(lambda: main(int(sys.argv[1])))
