"""While the engine is away: what is known gets old, what was asked for waits, and nobody is kept waiting."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core import bot_logs, engine_health
from clawdeploy.core.contracts import Operation, Status, Wish
from clawdeploy.core.errors import PUT_OFF, RateLimited, RuntimeUnavailable
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from tests.core.surroundings import OWNER, Clock, Surroundings, made
from tests.platforms import GOOD

SOON = 0.3
"""Instead of the seconds of the product, which ``tests/faults/test_engine_trouble.py`` waits for."""
ANSWERS_WITHIN = 2.0


# -- the age of what is known ----------------------------------------------------------------------------------------


def test_a_status_is_as_old_as_the_last_look_at_everything(surroundings: Surroundings) -> None:
    clock = Clock()
    platform, other = surroundings.open(clock=clock), surroundings.open(clock=clock)
    instance_id = made(platform)
    fresh = platform.instances.get(OWNER, instance_id)
    assert fresh.status_as_of == fresh.status_since, "it was looked at when it became so"
    clock.advance(minutes=5)
    before = clock()
    other.reconciler.sync()
    known = platform.instances.get(OWNER, instance_id)
    assert before <= known.status_as_of <= clock()
    assert known.status_since == fresh.status_since
    assert platform.instances.list(OWNER).instances == [known]
    clock.advance(minutes=5)
    assert platform.instances.get(OWNER, instance_id).status_as_of == known.status_as_of
    assert platform.instances.stop(OWNER, instance_id).status_as_of > known.status_as_of


def test_it_stands_still_for_a_bot_that_does_not_answer(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    instance_id = made(platform)
    platform.reconciler.sync()
    known = platform.instances.get(OWNER, instance_id)
    clock.advance(minutes=5)
    surroundings.memory.ready = False
    platform.reconciler.sync()
    assert platform.instances.get(OWNER, instance_id) == known, "once may be bad luck, but it is no news that it runs"
    surroundings.memory.ready = True
    platform.reconciler.sync()
    assert platform.instances.get(OWNER, instance_id).status_as_of > known.status_as_of


@pytest.mark.parametrize("stopped", [False, True])
def test_it_stands_still_for_a_bot_that_cannot_be_looked_at(surroundings: Surroundings, stopped: bool) -> None:
    """An engine may list everything and hang in what it is asked about a single container."""
    clock = Clock()
    runtime = BrokenRuntime(surroundings.memory, calls=["observe"])
    runtime.mend()
    platform = surroundings.open(runtime, clock=clock)
    instance_id, other = made(platform), made(platform)
    if stopped:
        platform.instances.stop(OWNER, instance_id)
    platform.reconciler.sync()
    known = platform.instances.get(OWNER, instance_id)
    surroundings.memory.mend(instance_id) if stopped else surroundings.memory.crash(instance_id)
    runtime.broken = True
    for _ in range(2):
        clock.advance(minutes=5)
        platform.reconciler.sync()
        assert platform.instances.get(OWNER, instance_id) == known
        assert platform.instances.get(OWNER, other).status_as_of > known.status_as_of
    if stopped:
        surroundings.memory.stop(known.container_id or "", 1)
    else:
        surroundings.memory.mend(instance_id)
    platform.reconciler.sync()
    assert platform.instances.get(OWNER, instance_id).status_as_of > known.status_as_of
    runtime.mend()
    clock.advance(minutes=5)
    surroundings.memory.crash(instance_id)
    platform.reconciler.sync()
    last = platform.instances.get(OWNER, instance_id)
    assert (last.status, last.status_as_of > known.status_as_of) == (known.status if stopped else Status.ERROR, True)


def test_it_stands_still_while_the_engine_does_not_answer(surroundings: Surroundings) -> None:
    clock = Clock()
    runtime = BrokenRuntime(surroundings.memory)
    runtime.mend()
    platform = surroundings.open(runtime, clock=clock)
    instance_id = made(platform)
    platform.reconciler.sync()
    known = platform.instances.get(OWNER, instance_id)
    clock.advance(minutes=5)
    runtime.broken = True
    for _ in range(2):
        with pytest.raises(RuntimeUnavailable):
            platform.reconciler.sync()
    with pytest.raises(RuntimeUnavailable):
        platform.instances.stop(OWNER, instance_id)
    assert platform.instances.get(OWNER, instance_id).status_as_of == known.status_as_of
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert platform.instances.get(OWNER, instance_id).status_as_of > known.status_as_of


def test_a_look_that_was_slow_makes_nothing_older(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    instance_id = made(platform)
    clock.advance(minutes=5)
    platform.reconciler.sync()
    known = platform.instances.get(OWNER, instance_id)
    clock.advance(seconds=-1)
    platform.reconciler.sync()
    assert platform.instances.get(OWNER, instance_id) == known


# -- what was asked for ----------------------------------------------------------------------------------------------


def stop(platform: Platform, instance_id: str) -> None:
    with pytest.raises(RuntimeUnavailable):
        platform.instances.stop(OWNER, instance_id)


def test_what_cannot_go_on_is_not_said_to_be_going_on(surroundings: Surroundings) -> None:
    platform = surroundings.open(BrokenRuntime(surroundings.memory, calls=("start",)))
    instance = platform.instances.create(OWNER, GOOD)
    row = surroundings.row(instance.id)
    assert (row.status, row.reason, row.operation, row.claim) == ("error", "runtime_unavailable", "create", None)
    assert row.wish == Wish.RUN


def test_what_was_last_known_of_a_bot_stays(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    platform = surroundings.open(BrokenRuntime(surroundings.memory))
    stop(platform, instance_id)
    known = platform.instances.get(OWNER, instance_id)
    assert (known.status, known.operation, known.reason) == (Status.RUNNING, Operation.STOP, "runtime_unavailable")


def test_nothing_is_tried_while_the_engine_is_away_and_everything_as_soon_as_it_is_back(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ids = [made(surroundings.open()) for _ in range(3)]
    runtime = BrokenRuntime(surroundings.memory)
    platform = surroundings.open(runtime)
    for each in ids:
        stop(platform, each)
    before = [surroundings.row(each).__data__ for each in ids]
    entries, said = surroundings.count("activity"), len(caplog.records)
    for _ in range(5):
        platform.reconciler.resume()
    assert [surroundings.row(each).__data__ for each in ids] == before
    assert surroundings.count("activity") == entries
    assert len(caplog.records) == said, "nor is it said again and again"
    runtime.mend()

    def resumed() -> bool:
        platform.reconciler.resume()
        return all(surroundings.row(each).status == "stopped" for each in ids)

    assert eventually(resumed, 4), "sooner than the pause between two tries, which did not begin"


def test_what_is_put_off_again_for_the_same_reason_is_not_written_again(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    instance_id = made(surroundings.open())
    platform = surroundings.open(BrokenRuntime(surroundings.memory, calls=("observe",)))
    stop(platform, instance_id)
    before, entries = surroundings.row(instance_id).__data__, surroundings.count("activity")
    for _ in range(3):
        platform.reconciler.sync(patience=10)
    assert surroundings.row(instance_id).__data__ == before
    assert surroundings.count("activity") == entries
    assert caplog.text.count("is put off") == 1


# -- an engine that hangs --------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Surroundings]:
    """Give a database: these take long, and which one it is makes no difference."""
    made_so = Surroundings(tmp_path, f"sqlite:///{tmp_path / 'clawdeploy.db'}")
    yield made_so
    made_so.close()


@pytest.fixture
def hung(site: Surroundings, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowRuntime]:
    """Give an engine that answers nothing until it is released, and that is soon given up."""
    monkeypatch.setattr(engine_health, "GIVEN_UP_SECONDS", SOON)
    made_so = SlowRuntime(site.memory, ["ping", "observe", "logs", "observe_all"])
    yield made_so
    made_so.release()


Ask = Callable[[Platform, str], object]


@pytest.mark.parametrize(
    "ask",
    [
        lambda platform, bot: platform.instances.stop(OWNER, bot),
        lambda platform, bot: platform.instances.patch(OWNER, bot, {"status": "stopped"}),
        lambda platform, bot: platform.instances.delete(OWNER, bot),
    ],
)
def test_a_change_is_refused_in_time_and_made_when_the_engine_is_back(
    site: Surroundings, hung: SlowRuntime, ask: Ask
) -> None:
    instance_id = made(site.open())
    platform = site.open(hung)
    begun = time.monotonic()
    with pytest.raises(RuntimeUnavailable) as refused:
        ask(platform, instance_id)
    assert time.monotonic() - begun < ANSWERS_WITHIN
    assert refused.value.detail.endswith(f". {PUT_OFF}")
    hung.release()
    assert eventually(lambda: all(row.operation is None for row in _rows(site)), 10)
    assert [row.status for row in _rows(site)] in (["stopped"], [])


def test_a_create_is_answered_with_the_bot_as_it_is(site: Surroundings, hung: SlowRuntime) -> None:
    platform = site.open(hung)
    begun = time.monotonic()
    instance = platform.instances.create(OWNER, GOOD)
    assert time.monotonic() - begun < ANSWERS_WITHIN
    assert (instance.status, instance.operation) == (Status.PENDING, Operation.CREATE)
    hung.release()
    site.reaches(instance.id, status="running", operation=None)


def test_of_those_who_ask_for_a_sync_two_wait_for_bots_that_hang(site: Surroundings) -> None:
    """Each of them holds a thread, and a script may ask again and again."""
    made(site.open())
    hanging = SlowRuntime(site.memory, calls=("probe",))
    platform = site.open(hanging)
    with ThreadPoolExecutor(2) as pool:
        asked = []
        for _ in range(2):
            hanging.entered.clear()
            asked.append(pool.submit(platform.sync_now, "sync"))
            assert hanging.entered.wait(10)
        with pytest.raises(RateLimited, match="it still goes on"):
            platform.sync_now("sync")
        hanging.release()
        assert [each.result(10) for each in asked] == [[], []]
    assert platform.sync_now("sync") == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda platform, bot: platform.instances.logs(OWNER, bot, 1),
        lambda platform, bot: platform.sync_now("sync"),
    ],
)
def test_what_needs_the_engine_for_its_answer_is_refused_in_time(
    site: Surroundings, hung: SlowRuntime, ask: Ask
) -> None:
    instance_id = made(site.open())
    platform = site.open(hung)
    begun = time.monotonic()
    with pytest.raises(RuntimeUnavailable):
        ask(platform, instance_id)
    assert time.monotonic() - begun < ANSWERS_WITHIN


def test_an_engine_that_answers_and_does_not_tell_the_log_is_given_up(
    site: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot_logs, "PATIENCE_SECONDS", SOON)
    instance_id = made(site.open())
    runtime = SlowRuntime(site.memory, ["logs"])
    begun = time.monotonic()
    with pytest.raises(RuntimeUnavailable, match="takes long"):
        site.open(runtime).instances.logs(OWNER, instance_id, 1)
    assert time.monotonic() - begun < ANSWERS_WITHIN
    runtime.release()


def _rows(site: Surroundings) -> list[Any]:
    with site.looking().reading():
        return list(site.rows.instance.select())
