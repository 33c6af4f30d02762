"""What all tests share."""

import faulthandler
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["tests.databases", "tests.faults.counting", "tests.private_engine"]

SECONDS_TO_END = 30
STANDARD_ERROR = 2
HERE = Path(__file__).parent
CORE = HERE / "core"
TOGETHER = ("tests/browser/", "tests/faults/")
NOT_MEASURED = ("postgres", "exhaustive")
LONG = ("tests/core/test_doctor.py", "tests/core/test_watch.py", "tests/core/test_processes.py")
"""Files that mostly wait: begun last, they would be waited for by a machine that has nothing else to do."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the random tests run with other seeds: ``--seed 7``."""
    parser.addoption("--seed", type=int, default=1, help="where the random numbers of the fault tests begin")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Give the number that the random numbers of a test begin with."""
    return int(request.config.getoption("--seed"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say whose coverage is measured and which are for ``scripts/prove``, and put the tests in order."""
    for item in items:
        if item.get_closest_marker("exhaustive") and item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.prove)
        if CORE in item.path.parents and not any(item.get_closest_marker(mark) for mark in NOT_MEASURED):
            item.add_marker(pytest.mark.measured)
    marked = {mark: {item.path for item in items if item.get_closest_marker(mark)} for mark in ("system", "engine")}
    items.sort(key=lambda item: _turn(item.nodeid, item.path in marked["system"], item.path in marked["engine"]))


def _turn(nodeid: str, system: bool, engine: bool) -> tuple[int, bool]:
    """Walks come first and whatever starts containers last: with each network of theirs Chromium loses its requests.

    Between them are the others, and in each part first the files that take long, so that no process works alone.
    """
    short = not nodeid.startswith(LONG)
    if nodeid.startswith(TOGETHER[0]):
        return 0, short
    if nodeid.startswith(TOGETHER[1]):
        return 3, short
    return (4 if system else 5) if engine else (1 if system else 2), short


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Keep the tests of a file together, because what they share is made once for each process, and some folders.

    Several walks at once, or several faults, are too much for a small machine: what is late counts as broken there.
    """
    return Scheduling(config, log)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist publishes no types
    """Gives a process one file after the other, and one process all walks, one all faults."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid) or str(super()._split_scope(nodeid))


def _together(nodeid: str) -> str | None:
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), None)


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
