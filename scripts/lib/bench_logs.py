"""Measure how soon a browser shows what a bot on the real Docker Engine has written."""

import http.client
import os
import sys
import tempfile
from pathlib import Path

from bench_pages import USER, print_table, watch
from playwright.sync_api import sync_playwright
from with_chromium import run

from tests.browser.chromium import DESK, launch
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

LINES = 1000


def write(port: int) -> str:
    """Let a bot write a line for each request; returns what is to be seen in its last one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for number in range(LINES):
        connection.request("GET", f"/line-{number + 1}.")
        connection.getresponse().read()
    connection.close()
    return f"/line-{LINES}."


def main(rounds: int) -> None:
    """Serve with one bot, measure, and remove it."""
    with tempfile.TemporaryDirectory(prefix="clawdeploy-bench-") as folder, sync_playwright() as playwright:
        browser = launch(playwright)
        site = LiveSite(Path(folder), on_docker=True, SYNC_SECONDS="30")
        try:
            bot = site.create(USER, name="Shop assistant")["id"]
            last = write(site.wait_for(USER, bot, status="running")["port"])
            visitor = Visitor(browser, site, USER, DESK).sign_in()
            sys.stdout.write(f"{rounds} rounds, Chromium {browser.version}, {os.cpu_count()} CPUs, Docker Engine\n")
            times = [watch(visitor, f"/dashboard/instances/{bot}", last) for _ in range(rounds)]
            visitor.close()
        finally:
            site.close()
            browser.close()
    print_table(
        {
            "page of a bot: first byte": [first for first, _ in times],
            f"page of a bot: last of {LINES} lines seen": [seen for _, seen in times],
        }
    )


if __name__ == "__main__":
    run(lambda: main(int(sys.argv[1])))
