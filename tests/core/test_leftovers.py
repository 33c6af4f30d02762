"""What is left over is found, whatever it is, and what becomes of it depends on when it was made."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import pytest

from clawdeploy.core.contracts import Holding
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.leftovers import JUST_MADE, MADE_UNSEEN, NO_DATE, SECOND_CONTAINER, UNKNOWN_ID
from clawdeploy.core.platform import Platform
from clawdeploy.core.spans import LONGEST_SILENCE
from clawdeploy.core.testing import BrokenRuntime
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.orphans import SPEC, plant, used, used_lately
from tests.core.surroundings import Clock, Surroundings, made

GRACE = 300


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def now(clock: Clock) -> datetime:
    return clock()


@pytest.fixture
def platform(surroundings: Surroundings, clock: Clock) -> Platform:
    return surroundings.open(clock=clock, CLEANUP_GRACE_SECONDS=GRACE)


def test_what_has_a_row_is_not_left_over(surroundings: Surroundings, platform: Platform) -> None:
    running, deleted = made(platform), made(platform)
    surroundings.set_row(deleted, wish="delete", status="deleted", operation="delete")
    assert {part.instance_id for part in surroundings.memory.holdings()} == {running, deleted}
    assert platform.leftovers.find() == []


def test_what_has_none_is_named_with_all_that_belongs_to_it(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now - timedelta(minutes=2))
    (leftover,) = platform.leftovers.find()
    assert leftover.what == "container lost, volume /data, secret files"
    assert (leftover.instance_id, leftover.made_at) == ("lost", now - timedelta(minutes=2))
    assert (leftover.why, leftover.second) == (UNKNOWN_ID, False)


@pytest.mark.parametrize("gone", ["container", "volume", "secret files"])
def test_a_part_alone_is_left_over_too(
    surroundings: Surroundings, platform: Platform, now: datetime, gone: str
) -> None:
    plant(surroundings.memory, "lost", now)
    engine = surroundings.memory.engine
    for kind, things in (
        ("container", engine.containers),
        ("volume", engine.volumes),
        ("secret files", engine.secrets),
    ):
        if kind != gone:
            things.clear()
    assert [part.kind for leftover in platform.leftovers.find() for part in leftover.parts] == [gone]


def test_anothers_are_none_of_ours(surroundings: Surroundings, platform: Platform, now: datetime) -> None:
    used_lately(surroundings, now)
    plant(MemoryRuntime("theirs", engine=surroundings.memory.engine), "lost", now)
    assert platform.leftovers.find() == []


def test_what_was_made_while_a_server_ran_is_removed_after_the_grace_period(
    surroundings: Surroundings, platform: Platform, clock: Clock, now: datetime
) -> None:
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now - timedelta(minutes=2))
    (leftover,) = platform.leftovers.find()
    assert leftover.removed_at == now - timedelta(minutes=2) + timedelta(seconds=GRACE)
    assert leftover.fate.startswith("A server removes it by itself, after 20")
    assert not platform.leftovers.is_due(leftover)
    clock.advance(seconds=GRACE - 120)
    assert platform.leftovers.is_due(leftover)


def test_of_what_was_made_a_moment_ago_it_is_not_known_yet(
    surroundings: Surroundings, platform: Platform, clock: Clock, now: datetime
) -> None:
    """Not even when an engine's clock is ahead of ours; a server notes only every few seconds that it is there."""
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now + timedelta(seconds=3))
    assert (platform.leftovers.find()[0].removed_at, platform.leftovers.find()[0].kept) == (None, JUST_MADE)
    assert "backup" in platform.leftovers.find()[0].fate
    clock.advance(seconds=3 + LONGEST_SILENCE.total_seconds())
    assert platform.leftovers.find()[0].kept == MADE_UNSEEN


def test_the_grace_period_is_that_of_the_newest_part(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now - timedelta(minutes=30))
    secrets = next(key for key in surroundings.memory.engine.made_at if len(key) == 2)
    surroundings.memory.engine.made_at[secrets] = now - timedelta(minutes=1)
    assert platform.leftovers.find()[0].removed_at == now - timedelta(minutes=1) + timedelta(seconds=GRACE)


def test_what_was_made_while_no_server_ran_is_left_alone(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    used(surroundings, now - timedelta(hours=3), now - timedelta(hours=2))
    used(surroundings, now - timedelta(hours=1), now)
    plant(surroundings.memory, "lost", now - timedelta(minutes=90))
    (leftover,) = platform.leftovers.find()
    assert (leftover.removed_at, leftover.kept) == (None, MADE_UNSEEN)
    assert leftover.fate.endswith("It is left alone; `clawdeploy gc --yes` removes it.")
    assert not platform.leftovers.is_due(leftover)


def test_a_database_that_knows_of_no_use_leaves_everything_alone(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    plant(surroundings.memory, "lost", now - timedelta(days=1))
    assert platform.leftovers.find()[0].kept == MADE_UNSEEN


def test_a_bot_that_a_backup_does_not_know_and_that_goes_on_writing_is_left_alone(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    """Engines say of a volume that it was made when something was last written into it."""
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now - timedelta(hours=2))
    volume = next(key for key in surroundings.memory.engine.made_at if "/data" in key)
    surroundings.memory.engine.made_at[volume] = now - timedelta(minutes=10)
    assert platform.leftovers.find()[0].kept == MADE_UNSEEN


def test_what_nobody_knows_the_date_of_is_left_alone(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now - timedelta(minutes=10))
    surroundings.memory.engine.made_at.clear()
    (leftover,) = platform.leftovers.find()
    assert (leftover.removed_at, leftover.kept) == (None, NO_DATE)
    assert leftover.made_at == now - timedelta(minutes=10)
    surroundings.memory.engine.containers.clear()
    assert platform.leftovers.find()[0].made_at is None


def test_a_second_container_of_a_bot_is_left_over(
    surroundings: Surroundings, platform: Platform, now: datetime
) -> None:
    """One row, one container: the one that bears its name, however somebody came to make another."""
    used_lately(surroundings, now)
    instance_id = made(platform)
    second = surroundings.memory.copy(instance_id)
    surroundings.memory.engine.containers[f"copy of {instance_id}"].made_at = now - timedelta(minutes=2)
    assert surroundings.memory.observe_all()[instance_id].container_id != second
    (leftover,) = platform.leftovers.find()
    assert [part.container_id for part in leftover.parts] == [second]
    assert (leftover.instance_id, leftover.second, leftover.why) == (instance_id, True, SECOND_CONTAINER)
    assert leftover.removed_at == now - timedelta(minutes=2) + timedelta(seconds=GRACE)


def test_a_bot_that_is_made_meanwhile_is_not_left_over(surroundings: Surroundings) -> None:
    class MadeMeanwhile(WrappedRuntime):
        """A bot is made right before the engine says what there is."""

        def holdings(self) -> Collection[Holding]:
            made(other)
            return super().holdings()

    other = surroundings.open()
    platform = surroundings.open(MadeMeanwhile(surroundings.memory))
    assert platform.leftovers.find() == []
    assert len(surroundings.memory.observe_all()) == 1


def test_the_oldest_comes_first(surroundings: Surroundings, platform: Platform, now: datetime) -> None:
    for hours, instance_id in ((1, "c"), (3, "a"), (2, "b")):
        plant(surroundings.memory, instance_id, now - timedelta(hours=hours), SPEC)
    plant(surroundings.memory, "dateless", now)
    del surroundings.memory.engine.containers["dateless"]
    surroundings.memory.engine.made_at.clear()
    assert [each.instance_id for each in platform.leftovers.find()] == ["a", "b", "c", "dateless"]


def test_it_is_told_to_programs(surroundings: Surroundings, platform: Platform, now: datetime) -> None:
    used_lately(surroundings, now)
    plant(surroundings.memory, "lost", now - timedelta(hours=2), SPEC)
    dumped: dict[str, Any] = platform.leftovers.find()[0].dump()
    at = (now - timedelta(hours=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    parts = [{"kind": "container", "name": "lost", "madeAt": at}, {"kind": "secret files", "name": "", "madeAt": at}]
    assert dumped == {
        "id": "lost", "parts": parts, "madeAt": at, "removedAt": None, "reason": f"{UNKNOWN_ID} {MADE_UNSEEN}",
    }  # fmt: skip


def test_an_engine_that_cannot_be_asked_is_no_empty_one(surroundings: Surroundings) -> None:
    with pytest.raises(RuntimeUnavailable):
        surroundings.open(BrokenRuntime(surroundings.memory)).leftovers.find()
