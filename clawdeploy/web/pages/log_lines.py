"""The last lines that a bot wrote, fit to stand in a page: bounded, on one line each, without what nobody can see."""

import re
from collections.abc import Callable
from threading import BoundedSemaphore

from clawdeploy.core.background import in_background
from clawdeploy.core.errors import ClawDeployError

FIRST_LINES = 100
PATIENCE_SECONDS = 0.15
"""How long a page is held up by its logs; what takes longer is left to the script, or to a reload."""
MOST_AT_ONCE = 4
LONGEST_LINE = 4_000

under_way = BoundedSemaphore(MOST_AT_ONCE)

# The same as in static/logs.js. Escape sequences that colour a terminal, set its title or move its cursor; one that
# does not end hides nothing.
ESCAPES = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]{0,200}(?:\x07|\x1b\\\\)|[ -/]*[0-~])?")
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(line: str) -> str:
    """Return a line without terminal escapes; other characters that cannot be seen are replaced, and its end is cut."""
    clean = UNSEEN.sub("\ufffd", ESCAPES.sub("", line[: LONGEST_LINE * 4].removesuffix("\r")))
    if len(clean) > LONGEST_LINE or len(line) > LONGEST_LINE * 4:
        return f"{clean[:LONGEST_LINE]}… (a line of {len(line)} characters; the download has more of it)"
    return clean


def lines_in_time(read: Callable[[], str]) -> list[str] | None:
    """Return the lines that ``read`` finds, or ``None`` when it fails, or takes longer than a page may.

    Nor is anything read while as many reads as may go on at once still do: then the engine hangs, and one page more
    that waits for it would help nobody.
    """
    if not under_way.acquire(blocking=False):
        return None

    def work() -> list[str]:
        return [printable(line) for line in read().removesuffix("\n").split("\n")]

    reading = in_background(work)
    # Also of one that could not be begun.
    reading.add_done_callback(lambda _: under_way.release())
    try:
        lines = reading.result(PATIENCE_SECONDS)
    except (TimeoutError, ClawDeployError):
        # Why it failed is told by whoever asks again: the script, or the download.
        return None
    return lines if lines != [""] else []
