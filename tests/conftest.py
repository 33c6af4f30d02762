"""What all tests share."""

import faulthandler
from typing import Any

import pytest

pytest_plugins = ["tests.databases", "tests.faults.counting", "tests.private_engine"]

SECONDS_TO_END = 30
STANDARD_ERROR = 2
TAKE_LONG = ("system", "engine", "browser")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the random tests run with other seeds: ``--seed 7``."""
    parser.addoption("--seed", type=int, default=1, help="where the random numbers of the fault tests begin")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Give the number that the random numbers of a test begin with."""
    return int(request.config.getoption("--seed"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, those of installations, servers, engines and browsers."""
    long = {item.path for item in items if any(item.get_closest_marker(mark) for mark in TAKE_LONG)}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    """Let what a test has logged pass from one test process to another, also when it is no Unicode."""
    report = yield
    report.sections = [(name, said.encode(errors="backslashreplace").decode()) for name, said in report.sections]
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Fail a run that does not end: after the summary, a thread that a test left behind would hold it up for ever.

    A process that works for another one rightly waits, for the others; that one ends it.
    """
    if hasattr(config, "workerinput"):
        return
    faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True, file=STANDARD_ERROR)
