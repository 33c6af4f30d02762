"""What happens is measured: operations with their outcome, syncs, and every call to the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdeploy.core.contracts import Operation, Status
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.measurements import EngineCalled, Measurement, OperationEnded, SyncEnded
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.surroundings import OWNER, made
from tests.platforms import GOOD, memory_platform


class Measured:
    """A platform whose engine a test can break, and all that was measured."""

    def __init__(self, folder: Path) -> None:
        self.memory = MemoryRuntime()
        self.broken = BrokenRuntime(self.memory)
        self.broken.mend()
        self.platform: Platform = memory_platform(folder, runtime=self._runtime)
        self.heard: list[Measurement] = []
        self.platform.measurements.listen(self.heard.append)

    def _runtime(self, installation: str) -> BrokenRuntime:
        self.memory = MemoryRuntime(installation)
        self.broken = BrokenRuntime(self.memory)
        self.broken.mend()
        return self.broken

    def operations(self) -> list[tuple[Operation, str]]:
        """Return the operations that ended, with why not as wished, and forget them."""
        ended = [(one.operation, one.reason) for one in self.heard if isinstance(one, OperationEnded)]
        self.heard.clear()
        return ended

    def calls(self) -> set[tuple[str, str]]:
        """Return the calls to the engine with their outcomes."""
        return {(one.call, one.outcome) for one in self.heard if isinstance(one, EngineCalled)}


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Measured]:
    measured = Measured(tmp_path)
    yield measured
    measured.platform.close()


def test_each_operation_is_measured_once_when_it_has_settled(measured: Measured) -> None:
    instances = measured.platform.instances
    bot = made(measured.platform)
    assert measured.operations() == [(Operation.CREATE, "")]
    instances.stop(OWNER, bot)
    instances.start(OWNER, bot)
    instances.restart(OWNER, bot)
    assert measured.operations() == [(Operation.STOP, ""), (Operation.START, ""), (Operation.RESTART, "")]
    measured.platform.reconciler.sync()
    assert measured.operations() == [], "a sync that merely compares is no operation"
    instances.delete(OWNER, bot)
    assert measured.operations() == [(Operation.DELETE, "")]


def test_how_long_it_took_is_counted_from_when_it_was_taken_up(measured: Measured) -> None:
    made(measured.platform)
    (ended,) = [one for one in measured.heard if isinstance(one, OperationEnded)]
    assert 0 < ended.seconds < 20


def test_one_that_fails_is_measured_with_its_reason(measured: Measured) -> None:
    measured.memory.engine.images = set()
    measured.memory.engine.registry = set()
    assert measured.platform.instances.create(OWNER, GOOD).status == Status.ERROR
    assert measured.operations() == [(Operation.CREATE, "image_unavailable")]


def test_one_that_is_put_off_is_measured_when_it_is_made(measured: Measured) -> None:
    bot = made(measured.platform)
    measured.operations()
    measured.broken.broken = True
    with pytest.raises(RuntimeUnavailable):
        measured.platform.instances.stop(OWNER, bot)
    assert measured.operations() == []
    measured.broken.mend()
    measured.platform.reconciler.sync(patience=20)
    assert measured.operations() == [(Operation.STOP, "")]


def test_syncs_are_measured_with_what_they_found(measured: Measured) -> None:
    bot = made(measured.platform)
    measured.memory.vanish(bot)
    measured.heard.clear()
    measured.platform.reconciler.sync()
    measured.platform.reconciler.sync()
    measured.broken.broken = True
    with pytest.raises(RuntimeUnavailable):
        measured.platform.reconciler.sync()
    assert [(one.done, one.changes) for one in measured.heard if isinstance(one, SyncEnded)] == [
        (True, 1),
        (True, 0),
        (False, 0),
    ]


def test_calls_to_the_engine_are_measured_and_the_breaker_shows(measured: Measured) -> None:
    platform = measured.platform
    made(platform)
    assert {("create", "done"), ("start", "done"), ("observe", "done")} <= measured.calls()
    assert not platform.engine_is_cut_off()
    measured.heard.clear()
    measured.broken.broken = True
    for _ in range(2):
        with pytest.raises(RuntimeUnavailable):
            platform.reconciler.sync()
    assert measured.calls() == {("observe_all", "unavailable"), ("observe_all", "refused")}
    assert platform.engine_is_cut_off()
    measured.broken.mend()
    platform.reconciler.sync()
    assert not platform.engine_is_cut_off()


def test_a_listener_that_fails_harms_nobody(measured: Measured, caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Measurement) -> None:
        raise KeyError("a defect")

    measured.platform.measurements.listen(fails)
    made(measured.platform)
    assert measured.operations() == [(Operation.CREATE, "")]
    assert "A OperationEnded could not be noted" in caplog.text


def test_instances_are_counted_by_status(measured: Measured) -> None:
    made(measured.platform)
    measured.platform.instances.stop(OWNER, made(measured.platform))
    census = measured.platform.census()
    assert {status: number for status, number in census.by_status.items() if number} == {
        Status.RUNNING: 1,
        Status.STOPPED: 1,
    }
    assert set(census.by_status) == set(Status)
    assert census.under_way == 0
