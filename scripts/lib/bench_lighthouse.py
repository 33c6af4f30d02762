"""Let Lighthouse judge the landing page and the dashboard of somebody with 100 bots."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_pages import BOTS, USER, create_bots, served
from playwright.sync_api import Browser
from with_chromium import run

from tests.browser.chromium import DESK, chromium_path
from tests.browser.sites import LiveSite
from tests.browser.visitor import Visitor

GOOD_SCORE = 0.9
CATEGORIES = ["performance", "accessibility", "best-practices", "seo"]


@dataclass(frozen=True)
class Judged:
    """What Lighthouse said about a page: points of each category, 0 to 100, and what cost points."""

    points: dict[str, int]
    complaints: list[str]


def judge(program: Path, url: str, headers: Path, *, is_desk: bool, categories: list[str]) -> Judged:
    """Let Lighthouse look at a page; ends the program when it cannot."""
    command = ["node", str(program), url, "--quiet", "--output=json", f"--extra-headers={headers}"]
    command += [f"--only-categories={','.join(categories)}", "--chrome-flags=--headless=new --no-sandbox"]
    command += ["--preset=desktop"] if is_desk else []
    done = subprocess.run(  # noqa: S603 -- our own command
        command, env={**os.environ, "CHROME_PATH": chromium_path()}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"Lighthouse failed at {url}:\n{done.stderr}")
    said = json.loads(done.stdout)
    if said.get("runtimeError"):
        sys.exit(f"Lighthouse failed at {url}: {said['runtimeError']['message']}")
    points = {name: round(100 * (each["score"] or 0)) for name, each in said["categories"].items()}
    return Judged(points, list(_complaints(said)))


def _complaints(said: dict[str, Any]) -> list[str]:
    weighty = {ref["id"] for each in said["categories"].values() for ref in each["auditRefs"] if ref["weight"]}
    found = [said["audits"][name] for name in sorted(weighty)]
    low = [audit for audit in found if audit["score"] is not None and audit["score"] < GOOD_SCORE]
    return [f"{audit['id']}: {audit['title']} {audit.get('displayValue', '')}".rstrip() for audit in low]


def judge_pages(browser: Browser, site: LiveSite, program: Path, folder: Path) -> None:
    """Print what Lighthouse thinks of the landing page, as a stranger sees it, and of the dashboard."""
    visitor = Visitor(browser, site, USER, DESK).sign_in()
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in visitor.context.cookies())
    visitor.close()
    pages: tuple[tuple[str, dict[str, str], list[str]], ...] = (
        ("/", {}, CATEGORIES),
        ("/dashboard", {"Cookie": cookies}, CATEGORIES[:-1]),
    )
    complaints = []
    sys.stdout.write(f"\n{'points':20}" + "".join(f"{name:>16}" for name in CATEGORIES) + "\n")
    for path, headers, wanted in pages:
        for is_desk in (False, True):
            given = folder / "headers.json"
            given.write_text(json.dumps(headers))
            judged = judge(program, site.origin + path, given, is_desk=is_desk, categories=wanted)
            name = f"{path} {'desk' if is_desk else 'phone'}"
            shown = "".join(f"{judged.points.get(each, '-'):>16}" for each in CATEGORIES)
            sys.stdout.write(f"{name:20}{shown}\n")
            complaints += [f"{name}: {each}\n" for each in judged.complaints]
    sys.stdout.write("".join(complaints))


def main(program: Path) -> None:
    """Serve and let judge."""
    with served() as (browser, site), tempfile.TemporaryDirectory(prefix="clawdeploy-bench-") as folder:
        create_bots(site)
        sys.stdout.write(f"Chromium {browser.version}, {os.cpu_count()} CPUs, {BOTS} bots\n")
        judge_pages(browser, site, program, Path(folder))


if __name__ == "__main__":
    run(lambda: main(Path(sys.argv[1])))
