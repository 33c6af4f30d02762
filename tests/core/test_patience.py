"""Who waits, how long, and for whom nobody waits."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from clawdeploy.core import engine_health
from clawdeploy.core.engine_health import EngineHealth
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.patience import LOOKS_EVERY, MOST_LONG, MOST_SHORT, SHORT_WAIT, Patience
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime

Outcome = Future[None]


@pytest.fixture
def slow() -> Iterator[SlowRuntime]:
    """Give a runtime whose pings hang until it is released."""
    runtime = SlowRuntime(MemoryRuntime(), ["ping"], patience=60)
    yield runtime
    runtime.release()


def done() -> Outcome:
    outcome = Outcome()
    outcome.set_result(None)
    return outcome


def waited(patience: Patience, outcome: Outcome, seconds: float) -> tuple[bool | str, float]:
    """Return what came of waiting, and how long it took."""
    begun = time.monotonic()
    try:
        came: bool | str = patience.wait(outcome, seconds)
    except RuntimeUnavailable as error:
        came = error.detail
    return came, time.monotonic() - begun


def test_an_outcome_is_waited_for() -> None:
    patience = Patience(EngineHealth(MemoryRuntime().ping))
    assert patience.wait(done(), 0)
    outcome = Outcome()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(waited, patience, outcome, 60)
        outcome.set_result(None)
        assert waiting.result(10)[0] is True
    patience.wait_long(done())


def test_an_engine_that_is_merely_slow_is_waited_for_as_long_as_was_asked() -> None:
    patience = Patience(EngineHealth(MemoryRuntime().ping))
    came, seconds = waited(patience, Outcome(), 1.2)
    assert came is False
    assert 1.2 <= seconds < 2
    assert waited(patience, Outcome(), 0)[1] < 0.5


def test_an_engine_that_turns_out_not_to_answer_is_not_waited_for() -> None:
    broken = BrokenRuntime(MemoryRuntime(), error=RuntimeUnavailable("Nothing answers at /engine."))
    patience = Patience(EngineHealth(broken.ping))
    came, seconds = waited(patience, Outcome(), 60)
    assert came == "Nothing answers at /engine."
    assert seconds < 2 * LOOKS_EVERY + 0.5
    with pytest.raises(RuntimeUnavailable):
        patience.wait_long(Outcome())


@pytest.mark.parametrize("seconds", [SHORT_WAIT, 60.0])
def test_a_hung_engine_is_given_up_also_by_those_who_would_have_gone_before(
    slow: SlowRuntime, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_health, "GIVEN_UP_SECONDS", SHORT_WAIT)
    patience = Patience(EngineHealth(slow.ping))
    came, took = waited(patience, Outcome(), seconds)
    assert came == "Docker does not answer."
    assert took < LOOKS_EVERY + SHORT_WAIT + LOOKS_EVERY + 0.5
    assert waited(patience, Outcome(), 0)[0] == "Docker does not answer."


def test_few_wait_long_some_shortly_and_the_others_not_at_all() -> None:
    patience = Patience(EngineHealth(MemoryRuntime().ping))
    outcome = Outcome()
    with ThreadPoolExecutor(MOST_LONG + MOST_SHORT + 4) as threads:
        waiting = [threads.submit(waited, patience, outcome, 60.0) for _ in range(MOST_LONG + MOST_SHORT + 4)]
        gone = wait(waiting, SHORT_WAIT + 1).done
        seconds = sorted(each.result()[1] for each in gone)
        assert len(gone) == MOST_SHORT + 4
        assert seconds[3] < SHORT_WAIT / 2
        assert seconds[4] >= SHORT_WAIT
        outcome.set_result(None)
        assert sum(each.result(10)[0] is True for each in waiting) == MOST_LONG
    assert patience.wait(done(), 60)
