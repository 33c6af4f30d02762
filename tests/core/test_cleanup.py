"""Clean-up removes what is surely rubbish and nothing else, and leaves to people what may be somebody's bot."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from clawdeploy.core.contracts import Status
from clawdeploy.core.errors import RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.events import InstanceDeleted
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.orphans import SPEC, plant, used_lately
from tests.core.surroundings import OWNER, Clock, Surroundings, made
from tests.platforms import GOOD

TEN_MINUTES = timedelta(minutes=10)


class Journal(WrappedRuntime):
    """Remembers which calls were made; none may come while a transaction is open."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.calls: list[str] = []
        self.in_transaction: Callable[[], bool] = bool

    def before(self, call: str) -> None:
        assert not self.in_transaction(), call
        self.calls.append(call)

    @property
    def changes(self) -> list[str]:
        return [call for call in self.calls if call in ("create", "start", "stop", "remove", "discard")]


@pytest.fixture
def journal(surroundings: Surroundings) -> Journal:
    return Journal(surroundings.memory)


@pytest.fixture
def platform(surroundings: Surroundings, journal: Journal) -> Platform:
    platform = surroundings.open(journal)
    journal.in_transaction = platform.database.peewee.in_transaction
    return platform


@pytest.fixture
def now(surroundings: Surroundings, platform: Platform) -> datetime:
    """The present moment; a server has used the database for an hour."""
    now = platform.clock()
    used_lately(surroundings, now)
    return now


def ids(memory: MemoryRuntime) -> set[str]:
    return {part.instance_id for part in memory.holdings()}


# -- what is removed -------------------------------------------------------------------------------------------------


def test_what_is_due_goes_with_all_that_belongs_to_it(
    surroundings: Surroundings, platform: Platform, journal: Journal, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bot = made(platform)
    neighbour = MemoryRuntime("theirs", engine=surroundings.memory.engine)
    plant(neighbour, "neighbour", now - 2 * TEN_MINUTES)
    plant(surroundings.memory, "lost", now - TEN_MINUTES)
    before = (surroundings.memory.observe(bot), neighbour.holdings())
    journal.calls.clear()
    platform.cleanup.sweep()
    assert journal.changes == ["stop", "remove", "discard"]
    assert ids(surroundings.memory) == {bot}
    assert (surroundings.memory.observe(bot), neighbour.holdings()) == before
    assert (
        f"container lost, volume /data, secret files of lost, made at {now - TEN_MINUTES}, was removed. " in caplog.text
    )
    assert "No bot in the database has this id." in caplog.text


def test_what_is_not_due_yet_stays(surroundings: Surroundings, platform: Platform, now: datetime) -> None:
    plant(surroundings.memory, "lost", now - TEN_MINUTES + timedelta(seconds=30))
    platform.cleanup.sweep()
    assert ids(surroundings.memory) == {"lost"}


def test_what_may_be_somebodys_bot_is_told_of_once(
    surroundings: Surroundings, platform: Platform, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    plant(surroundings.memory, "lost", now - timedelta(hours=2))
    platform.cleanup.sweep()
    assert caplog.text.count("container lost, volume /data, secret files of lost") == 1
    assert "is left alone. No bot in the database has this id. It was made while no server used" in caplog.text
    assert "`clawdeploy gc --yes` removes it" in caplog.text
    platform.cleanup.sweep()
    assert caplog.text.count("is left alone") == 1
    assert ids(surroundings.memory) == {"lost"}


def test_what_was_made_a_moment_ago_is_not_told_of(
    surroundings: Surroundings, platform: Platform, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """An engine whose clock is ahead of ours makes things in our future."""
    plant(surroundings.memory, "lost", now + timedelta(seconds=3))
    platform.cleanup.sweep()
    assert "left alone" not in caplog.text


def test_the_operator_may_have_everything_removed(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    plant(surroundings.memory, "old", now - timedelta(hours=2))
    plant(surroundings.memory, "new", now)
    assert [platform.cleanup.remove(each) for each in platform.leftovers.find()] == [True, True]
    assert ids(surroundings.memory) == set()


def test_a_row_is_looked_for_once_more(
    surroundings: Surroundings, platform: Platform, journal: Journal, now: datetime
) -> None:
    bot, table = made(platform), surroundings.rows.instance
    row = surroundings.row(bot)
    with surroundings.looking().transaction():
        table.delete().where(table.id == bot).execute()
    (leftover,) = platform.leftovers.find()
    with surroundings.looking().transaction():
        table.create(**row.__data__)
    journal.calls.clear()
    assert not platform.cleanup.remove(leftover)
    assert journal.changes == []


def test_what_a_process_made_that_had_been_frozen_is_removed(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    """Its claim lapsed and its bot was deleted before it went on and made a container."""
    slow = SlowRuntime(surroundings.memory, calls=("create",))
    frozen = surroundings.open(slow, WAIT_SECONDS=0)
    bot = frozen.instances.create(OWNER, GOOD).id
    assert slow.entered.wait(10)
    surroundings.set_row(bot, claim=None)
    platform.instances.delete(OWNER, bot)
    assert surroundings.count("instance") == 0
    slow.release()
    assert eventually(lambda: ids(surroundings.memory) == {bot}, 10)
    surroundings.memory.engine.containers[bot].made_at = now - TEN_MINUTES
    platform.cleanup.sweep()
    assert ids(surroundings.memory) == set()


# -- what is left to others ------------------------------------------------------------------------------------------


def test_a_bot_that_was_deleted_is_completed_by_the_sync_and_not_by_the_clean_up(
    surroundings: Surroundings, platform: Platform, journal: Journal, now: datetime
) -> None:
    bot = made(platform)
    with pytest.raises(RuntimeUnavailable):
        surroundings.open(BrokenRuntime(surroundings.memory)).instances.delete(OWNER, bot)
    surroundings.memory.engine.containers[bot].made_at = now - TEN_MINUTES
    assert surroundings.row(bot).status == Status.DELETED
    journal.calls.clear()
    platform.cleanup.sweep()
    assert journal.changes == []
    platform.reconciler.sync(patience=10)
    assert surroundings.witness.until(InstanceDeleted).instance_id == bot
    assert (ids(surroundings.memory), surroundings.count("instance")) == (set(), 0)


def test_what_the_engine_does_not_let_go_is_tried_again(
    surroundings: Surroundings, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    class Clinging(BrokenRuntime):
        """Only one instance's things cannot be removed."""

        def discard(self, instance_id: str) -> None:
            return super().discard(instance_id) if instance_id == "first" else self.inner.discard(instance_id)

    clinging = Clinging(surroundings.memory, RuntimeFailure("Its volume is in use."), calls=("discard",))
    platform = surroundings.open(clinging)
    plant(surroundings.memory, "first", now - timedelta(minutes=30))
    plant(surroundings.memory, "second", now - timedelta(minutes=20))
    platform.cleanup.sweep()
    assert ids(surroundings.memory) == {"first"}
    assert "volume /data, secret files could not be removed yet: Its volume is in use." in caplog.text
    clinging.mend()
    platform.cleanup.sweep()
    assert ids(surroundings.memory) == set()


# -- a second container of one bot -----------------------------------------------------------------------------------


@pytest.fixture
def bot(surroundings: Surroundings, platform: Platform, now: datetime) -> str:
    """A bot with a second container, made by hand ten minutes ago."""
    bot = made(platform)
    surroundings.memory.copy(bot)
    surroundings.memory.engine.containers[f"copy of {bot}"].made_at = now - TEN_MINUTES
    return bot


def test_the_second_container_goes_and_the_bot_runs_on(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    before = (surroundings.memory.observe(bot), surroundings.row(bot).__data__)
    journal.calls.clear()
    platform.cleanup.sweep()
    assert journal.changes == ["stop", "remove"]
    assert list(surroundings.memory.engine.containers) == [bot]
    assert (surroundings.memory.observe(bot), surroundings.row(bot).__data__) == before
    assert platform.reconciler.sync() == []


def test_it_waits_while_the_bot_is_worked_on(
    surroundings: Surroundings, platform: Platform, journal: Journal, now: datetime, bot: str
) -> None:
    for fields in ({"claim": "somebody", "claim_until": now + timedelta(seconds=10)}, {"operation": "restart"}):
        surroundings.set_row(bot, **{"claim": None, "claim_until": None, **fields})
        journal.calls.clear()
        platform.cleanup.sweep()
        assert journal.changes == []
        assert surroundings.row(bot).claim == fields.get("claim")


def test_the_one_that_became_the_first_meanwhile_stays(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    (leftover,) = platform.leftovers.find()
    containers = surroundings.memory.engine.containers
    containers[bot] = containers.pop(f"copy of {bot}")
    assert not platform.cleanup.remove(leftover)
    del containers[bot]
    assert not platform.cleanup.remove(leftover), "without a first one nobody knows which it is"
    assert "remove" not in journal.calls
    assert surroundings.row(bot).claim is None


def test_a_delete_leaves_no_second_container_behind(surroundings: Surroundings, platform: Platform, bot: str) -> None:
    platform.instances.delete(OWNER, bot)
    platform.cleanup.sweep()
    assert ids(surroundings.memory) == set()


# -- when ------------------------------------------------------------------------------------------------------------


def wait_for_span(surroundings: Surroundings, until: datetime) -> None:
    def extended() -> bool:
        span = surroundings.rows.span
        with surroundings.looking().reading():
            return bool(span.select().where(span.until >= until).exists())

    assert eventually(extended, 20)


def test_a_server_removes_it_by_itself(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock, SYNC_SECONDS=1, CLEANUP_GRACE_SECONDS=1)
    platform.start_background()
    wait_for_span(surroundings, clock() - timedelta(seconds=10))
    planted = clock()
    plant(surroundings.memory, "lost", planted)
    for _ in range(2):
        clock.advance(seconds=10)
        wait_for_span(surroundings, clock() - timedelta(seconds=1))
    assert eventually(lambda: ids(surroundings.memory) == set(), 20)


def test_only_one_process_looks_for_leftovers(surroundings: Surroundings) -> None:
    journals = [Journal(surroundings.memory) for _ in range(3)]
    for journal in journals:
        surroundings.open(journal, SYNC_SECONDS=1, CLEANUP_GRACE_SECONDS=1).start_background()
    assert eventually(lambda: sum(journal.calls.count("holdings") for journal in journals) > 1, 20)
    assert sorted("holdings" in journal.calls for journal in journals) == [False, False, True]
    assert eventually(lambda: surroundings.count("span") == 3, 10), "each has been here since its start"


@pytest.mark.parametrize(("grace", "again"), [(600, False), (1, True)])
def test_it_looks_once_a_minute_or_with_a_short_grace_period_more_often(
    surroundings: Surroundings, journal: Journal, grace: int, again: bool
) -> None:
    platform = surroundings.open(journal, CLEANUP_GRACE_SECONDS=grace)

    def looked_again() -> bool:
        platform.cleanup.begin()
        return journal.calls.count("holdings") > 1

    assert eventually(looked_again, within=1.5) == again


def test_a_sweep_that_fails_spoils_nothing(surroundings: Surroundings, caplog: pytest.LogCaptureFixture) -> None:
    class FailsInTurn(WrappedRuntime):
        """Two times it cannot be said what there is: once as it may be, once as it must not."""

        errors = [RuntimeUnavailable(), KeyError("a defect")]  # noqa: RUF012 -- one test, one instance

        def before(self, call: str) -> None:
            if call == "holdings" and self.errors:
                raise self.errors.pop(0)

    clock = Clock()
    now = clock()
    platform = surroundings.open(FailsInTurn(surroundings.memory), SYNC_SECONDS=1, CLEANUP_GRACE_SECONDS=1)
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now - TEN_MINUTES, SPEC)
    platform.start_background()
    assert eventually(lambda: ids(surroundings.memory) == set(), 20)
    assert "Clean-up was not possible: Docker does not answer" in caplog.text
    assert "Clean-up was not possible: The runtime failed unexpectedly (KeyError)" in caplog.text
    assert "Sync" not in caplog.text


def test_a_process_that_ends_begins_no_other_removal(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    plant(surroundings.memory, "lost", now - TEN_MINUTES)
    platform.cleanup.close()
    platform.cleanup.sweep()
    assert ids(surroundings.memory) == {"lost"}
