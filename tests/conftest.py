"""What all tests share."""

import faulthandler

pytest_plugins = ["tests.databases"]

SECONDS_TO_END = 30
STANDARD_ERROR = 2


def pytest_unconfigure() -> None:
    """Fail a run that does not end: after the summary, a thread that a test left behind would hold it up for ever."""
    faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True, file=STANDARD_ERROR)
