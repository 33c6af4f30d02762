"""The end of every script that drives Chromium: a sentence for whoever has none, and no traceback for Ctrl-C."""

import sys
from collections.abc import Callable

from tests.browser.chromium import ChromiumMissing


def run(main: Callable[[], None]) -> None:
    """Run ``main``; what a person can do about comes as a sentence, with exit code 1."""
    try:
        main()
    except ChromiumMissing as missing:
        sys.exit(str(missing))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
