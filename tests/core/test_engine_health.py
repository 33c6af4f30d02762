"""One question to the engine, however many ask, and nobody waits for an engine that hangs."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from clawdeploy.core.engine_health import FRESH_SECONDS, GIVEN_UP_SECONDS, KEEP_SECONDS, LOST_SECONDS, EngineHealth
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from clawdeploy.plugins.memory_runtime import MemoryRuntime

# Long enough that a test which waits for it by mistake fails by its time limit.
FOR_EVER = 1000.0


class Hours:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """Counts the pings that pass through, and how many are under way."""

    def __init__(self, runtime: MemoryRuntime | SlowRuntime | BrokenRuntime) -> None:
        self._runtime = runtime
        self.begun = 0
        self.ended = 0

    def __call__(self) -> None:
        self.begun += 1
        try:
            self._runtime.ping()
        finally:
            self.ended += 1


@pytest.fixture
def clock() -> Hours:
    """Return a clock that stands still until it is turned."""
    return Hours()


@pytest.fixture
def slow() -> Iterator[SlowRuntime]:
    """Give a runtime whose pings hang until it is released."""
    runtime = SlowRuntime(MemoryRuntime(), ["ping"], patience=60)
    yield runtime
    runtime.release()


def test_what_was_found_is_good_for_a_few_seconds(clock: Hours) -> None:
    runtime = BrokenRuntime(MemoryRuntime())
    ping = Counted(runtime)
    health = EngineHealth(ping, clock=clock)
    assert not health.connected(FOR_EVER)
    runtime.mend()
    clock.now += LOST_SECONDS - 0.1
    assert not health.connected(FOR_EVER)
    assert ping.begun == 1
    clock.now += 0.1
    assert health.connected(FOR_EVER)
    runtime.broken = True
    clock.now += KEEP_SECONDS - 0.1
    assert health.connected(FOR_EVER)
    clock.now += 0.1
    assert not health.connected(FOR_EVER)
    assert ping.begun == 3


def test_all_who_ask_at_once_share_one_ping(slow: SlowRuntime) -> None:
    ping = Counted(slow)
    health = EngineHealth(ping)
    with ThreadPoolExecutor(64) as callers:
        answers = [callers.submit(health.connected, FOR_EVER) for _ in range(64)]
        assert slow.entered.wait(10)
        slow.release()
        assert all(answer.result(10) for answer in answers)
    assert ping.begun == 1


def test_an_engine_that_hangs_is_waited_for_once_and_not_by_each_caller(slow: SlowRuntime, clock: Hours) -> None:
    ping = Counted(slow)
    health = EngineHealth(ping, clock=clock)
    begun = time.monotonic()
    assert not health.connected(), "nothing is known"
    assert 0.9 < time.monotonic() - begun < 2
    clock.now += 1.0
    begun = time.monotonic()
    for _ in range(1000):
        assert not health.connected()
    assert time.monotonic() - begun < 0.9
    assert ping.begun == 1, "the one that hangs"
    slow.release()
    assert eventually(health.connected, within=10)


def test_while_the_engine_hangs_the_last_known_answer_counts_but_not_for_ever(slow: SlowRuntime, clock: Hours) -> None:
    slow.calls = []
    health = EngineHealth(slow.ping, clock=clock)
    assert health.connected(FOR_EVER)
    slow.calls = ["ping"]
    clock.now += KEEP_SECONDS
    assert health.connected(0.01), "the last known"
    clock.now += GIVEN_UP_SECONDS - 0.1
    assert health.connected(0.01)
    assert not health.is_silent()
    clock.now += 0.1
    assert not health.connected(0.01), "a ping that was not answered in all that time is an answer, too"
    assert health.is_silent()
    assert health.silent_for() == GIVEN_UP_SECONDS
    slow.release()
    assert eventually(health.connected, within=10)


def test_an_engine_of_which_nothing_is_known_yet_is_not_said_to_be_silent(slow: SlowRuntime, clock: Hours) -> None:
    health = EngineHealth(slow.ping, clock=clock)
    assert health.silent_for(0.01) is None
    clock.now += GIVEN_UP_SECONDS
    assert health.silent_for(0.01) == GIVEN_UP_SECONDS
    slow.release()
    assert eventually(health.connected, within=10)


def test_a_defect_of_a_runtime_is_no_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def fail() -> None:
        raise ZeroDivisionError

    assert not EngineHealth(fail).connected(FOR_EVER)
    assert "ended with ZeroDivisionError" in caplog.text


def test_since_when_the_engine_is_silent_is_known_until_it_answers_again(clock: Hours) -> None:
    runtime = BrokenRuntime(MemoryRuntime())
    health = EngineHealth(Counted(runtime), clock=clock)
    assert health.silent_for(FOR_EVER) == 0.0
    clock.now += 60
    assert health.silent_for() == 60.0
    runtime.mend()
    assert eventually(health.answers, within=10)
    assert health.silent_for() is None


def test_nobody_waits_to_hear_again_that_the_engine_is_silent(slow: SlowRuntime, clock: Hours) -> None:
    runtime = BrokenRuntime(slow)
    health = EngineHealth(runtime.ping, clock=clock)
    assert not health.connected(FOR_EVER)
    runtime.mend()
    clock.now += LOST_SECONDS
    begun = time.monotonic()
    assert health.silent_for(FOR_EVER) == LOST_SECONDS
    assert time.monotonic() - begun < 1.0, "the new ping hangs"
    assert slow.entered.wait(10)


def test_what_must_be_so_now_is_asked_now(clock: Hours) -> None:
    runtime = BrokenRuntime(MemoryRuntime())
    ping = Counted(runtime)
    health = EngineHealth(ping, clock=clock)
    assert not health.answers(FOR_EVER)
    runtime.mend()
    assert health.answers(FOR_EVER)
    assert ping.begun == 2
    assert health.answers_at_once()


def test_an_engine_that_does_not_say_in_time_that_it_answers_does_not(slow: SlowRuntime, clock: Hours) -> None:
    health = EngineHealth(slow.ping, clock=clock)
    assert not health.answers(0.01)
    assert not health.answers_at_once()
    assert not health.is_silent(), "nothing is known yet"
    slow.release()
    assert health.answers(FOR_EVER)


def test_whoever_looks_again_and_again_has_the_engine_asked_anew(clock: Hours) -> None:
    runtime = BrokenRuntime(MemoryRuntime())
    ping = Counted(runtime)
    health = EngineHealth(ping, clock=clock)
    runtime.mend()
    assert health.connected(FOR_EVER)
    runtime.broken = True
    clock.now += FRESH_SECONDS - 0.1
    assert not health.turns_out_silent()
    assert ping.begun == 1
    clock.now += 0.1
    assert eventually(health.turns_out_silent, within=10)
    assert ping.begun == 2


def test_the_log_tells_when_the_engine_is_lost_and_when_it_is_back(
    clock: Hours, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "clawdeploy.core.engine_health")
    runtime = BrokenRuntime(MemoryRuntime(), error=RuntimeUnavailable("Nothing answers at /engine."))
    health = EngineHealth(runtime.ping, clock=clock)
    for _ in range(3):
        assert not health.answers(FOR_EVER)
    clock.now += 42
    runtime.mend()
    for _ in range(3):
        assert health.answers(FOR_EVER)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["The engine does not answer: Nothing answers at /engine.", "The engine answers again, after 42 s"]
