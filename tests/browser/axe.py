"""Accessibility, looked at by axe-core."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCRIPT = Path(__file__).with_name("vendor").joinpath("axe.min.js").read_text("utf-8")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

# Something that is still fading in has other colours than it is going to have.
AT_REST = """() => Promise.all(
    document.getAnimations()
        .filter((one) => one.playState === "running" && Number.isFinite(one.effect.getComputedTiming().endTime))
        .map((one) => one.finished.catch(() => null))
).then(() => null)"""

RUN = """([within, tags]) => axe.run(within ?? document, {
    runOnly: tags, resultTypes: ["violations"], elementRef: false, preload: false,
}).then((result) => result.violations)"""


def violations(page: Page, within: str | None = None) -> list[str]:
    """Return a description of each violation on a page, or within the elements of a selector.

    The script is evaluated through the DevTools protocol, to which the page's Content-Security-Policy does not apply.
    """
    page.evaluate(AT_REST)
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT + "\n;null")
    return [_describe(found) for found in page.evaluate(RUN, [within, list(TAGS)])]


def _describe(violation: dict[str, Any]) -> str:
    lines = [f"{violation['id']} ({violation['impact']}): {violation['help']}"]
    for node in violation["nodes"]:
        why = " ".join(str(node.get("failureSummary", "")).split())
        lines.append(f"  {' '.join(map(str, node['target']))}: {why}\n    {node['html']}")
    return "\n".join(lines)
