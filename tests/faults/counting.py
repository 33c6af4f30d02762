"""How many faults were injected and how many invariants were broken, over a whole run; also over several processes.

A test that injects faults asks for the fixture ``faults``. The run ends with one line that sums all of them up.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

import pytest

INJECTED, BROKEN = "faults_injected", "invariants_broken"


class Faults:
    """What one test counts; ``found`` are the invariants that it has found broken, as sentences."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.count = 0
        self.found: list[str] = []
        self.tell = tell
        """Shows a line at once, so that one sees how far a long test is."""

    def injected(self, times: int = 1) -> None:
        """Count faults that have really hit something."""
        self.count += times

    def broken(self, found: Sequence[str]) -> None:
        """Count broken invariants, such as an oracle returns; the test fails when it ends, if there is one."""
        self.found += found


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """Count for the summary. A test that has found something broken fails, and one that injected nothing, too."""
    terminal = request.config.pluginmanager.getplugin("terminalreporter")
    capturing = request.config.pluginmanager.getplugin("capturemanager")

    def tell(line: str) -> None:
        # There is no terminal in the processes of pytest-xdist, and what is quick is not looked at.
        if terminal is not None and capturing is not None and request.node.get_closest_marker("prove"):
            with capturing.global_and_fixture_disabled():
                terminal.write_line(f"  {line}")

    counted = Faults(tell)
    yield counted
    # Properties travel with the report, also from one process of pytest-xdist to the other.
    request.node.user_properties += [(INJECTED, counted.count), (BROKEN, len(counted.found))]
    if counted.found:
        pytest.fail("\n".join(counted.found), pytrace=False)
    assert counted.count, "No fault was injected, so that nothing is proved."


class Summary:
    """Sums up what tests have counted, and says it at the very end of a run of those marked ``prove``."""

    def __init__(self) -> None:
        self.sums = {INJECTED: 0, BROKEN: 0}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a test has counted, at its end."""
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name in self.sums:
                    self.sums[name] += int(str(value))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Say it, after all that pytest says."""
        if config.getoption("markexpr") == "prove" and not hasattr(config, "workerinput"):
            injected, broken = self.sums.values()
            sys.stdout.write(f"Faults injected: {injected}\nInvariants broken: {broken}\n")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.pluginmanager.register(Summary(), "faults-summary")
