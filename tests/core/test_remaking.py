"""What an owner changes reaches the bot at its next start, also when that takes another container."""

from dataclasses import replace

import pytest

from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import (
    Bot,
    ContainerSpec,
    Limits,
    Operation,
    Probe,
    Secret,
    SecretFile,
    SeededFile,
    Status,
)
from clawdeploy.core.errors import RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime
from tests.core.plain_blueprint import SPEC, Journal, Plain, mounted
from tests.core.surroundings import OWNER, TELEGRAM_TOKEN, Clock, Surroundings, made
from tests.platforms import GOOD


@pytest.fixture
def platform(plain_platform: Platform) -> Platform:
    return plain_platform


@pytest.fixture
def bot(platform: Platform, journal: Journal) -> str:
    instance_id = made(platform, blueprint="plain")
    journal.done.clear()
    return instance_id


@pytest.mark.parametrize("change", [{"botToken": TELEGRAM_TOKEN}, {"name": "Renamed"}])
def test_a_start_brings_what_changed(platform: Platform, journal: Journal, bot: str, change: dict[str, str]) -> None:
    platform.instances.stop(OWNER, bot)
    platform.instances.patch(OWNER, bot, change)
    journal.done.clear()
    assert platform.instances.start(OWNER, bot).status is Status.RUNNING
    assert journal.done == ["remove", "create", "start"]


def test_one_that_was_made_before_this_was_known_is_made_anew(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    """What an update finds: the column is new, and the container is there, made in nobody knows which way."""
    platform.close()
    looking = surroundings.looking()
    with looking.transaction():
        looking.peewee.execute_sql("ALTER TABLE instance DROP COLUMN made_from")
        looking.peewee.execute_sql("DELETE FROM schema_migration WHERE name = '0005_made_from'")
    updated = surroundings.open(journal, plugins={"plain": Plain()})
    assert updated.applied_migrations == ["0005_made_from"]
    assert updated.instances.restart(OWNER, bot).status is Status.RUNNING
    assert journal.done == ["stop", "remove", "create", "start"]


def test_one_that_a_runtime_made_in_another_way_is_made_anew(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    """As after an update that hardens containers, or when ports are to be bound to another address."""
    platform.close()
    journal.profile = "another network"
    updated = surroundings.open(journal, plugins={"plain": Plain()})
    updated.reconciler.sync(patience=10)
    assert journal.done == [], "a sync never does"
    before = updated.instances.get(OWNER, bot)
    for done in (["stop", "remove", "create", "start"], ["stop", "start"]):
        after = updated.instances.restart(OWNER, bot)
        assert (after.status, after.host_port) == (Status.RUNNING, before.host_port)
        assert journal.done == done
        journal.done.clear()


@pytest.mark.parametrize("ended", [True, False])
def test_one_that_was_made_after_the_backup_that_is_restored_is_made_anew(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str, ended: bool
) -> None:
    """It was made from what the restored database does not say."""
    then = {**surroundings.row(bot).__data__}
    platform.instances.patch(OWNER, bot, {"name": "Renamed"})
    platform.instances.restart(OWNER, bot)
    platform.close()
    surroundings.set_row(then.pop("id"), **then)
    if ended:
        surroundings.memory.end_with_engine()
    restored = surroundings.open(journal, plugins={"plain": Plain()})
    restored.reconciler.sync(patience=10)
    journal.done.clear()
    assert restored.instances.restart(OWNER, bot).status is Status.RUNNING
    assert surroundings.memory.engine.containers[bot].spec.environment == {"NAME": "test"}
    assert restored.instances.restart(OWNER, bot).status is Status.RUNNING
    assert journal.done == ["stop", "remove", "create", "start", "stop", "start"]


def test_one_that_somebody_made_by_hand_with_another_port_is_made_anew(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    """Its owner is told an address at which nobody answers, or somebody else's program."""
    before = platform.instances.get(OWNER, bot)
    containers = surroundings.memory.engine.containers
    elsewhere = containers[bot].host_port + 1
    containers[bot] = replace(containers[bot], id="made by hand", host_port=elsewhere, started_at=utc_now())
    platform.reconciler.sync(patience=10)
    assert journal.done == [], "a sync never does"
    seen = platform.instances.get(OWNER, bot)
    assert (seen.status, seen.reason) == (Status.CREATING, "waiting_until_ready")
    after = platform.instances.restart(OWNER, bot)
    assert (after.status, after.host_port) == (Status.RUNNING, before.host_port)
    assert journal.done == ["stop", "remove", "create", "start"]
    assert surroundings.memory.observe(bot).host_port == before.host_port


@pytest.mark.parametrize("call", ["stop", "remove", "create", "start"])
def test_what_the_engine_interrupts_is_finished_later(surroundings: Surroundings, bot: str, call: str) -> None:
    runtime = BrokenRuntime(surroundings.memory, calls=(call,))
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    platform.instances.patch(OWNER, bot, {"botToken": TELEGRAM_TOKEN})
    with pytest.raises(RuntimeUnavailable):
        platform.instances.restart(OWNER, bot)
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert mounted(surroundings, bot) == {"/run/botToken": TELEGRAM_TOKEN}


def test_what_the_engine_refuses_to_remove_is_made_anew_later(
    surroundings: Surroundings, journal: Journal, bot: str
) -> None:
    clock = Clock()
    runtime = BrokenRuntime(journal, RuntimeFailure("It is busy."), calls=("remove",))
    platform = surroundings.open(runtime, plugins={"plain": Plain()}, clock=clock)
    platform.instances.patch(OWNER, bot, {"name": "Renamed"})
    refused = platform.instances.restart(OWNER, bot)
    assert (refused.status, refused.reason) == (Status.ERROR, "runtime_failure")
    runtime.mend()
    clock.advance(seconds=11)
    platform.reconciler.sync(patience=10)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert surroundings.memory.engine.containers[bot].spec.environment == {"NAME": "Renamed"}
    assert journal.done == ["stop", "remove", "create", "start"]


@pytest.mark.parametrize("change", [{"botToken": TELEGRAM_TOKEN}, {"name": "Renamed"}])
def test_what_changes_before_the_first_start_reaches_the_bot(
    surroundings: Surroundings, journal: Journal, change: dict[str, str]
) -> None:
    runtime = BrokenRuntime(journal, calls=("start",))
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = platform.instances.create(OWNER, {**GOOD, "blueprint": "plain"})
    assert (bot.operation, bot.reason) == (Operation.CREATE, "runtime_unavailable")
    platform.instances.patch(OWNER, bot.id, change)
    journal.done.clear()
    runtime.mend()
    platform.reconciler.sync(patience=10)
    after = platform.instances.get(OWNER, bot.id)
    assert (after.status, after.host_port) == (Status.RUNNING, bot.host_port)
    assert journal.done == ["remove", "create", "start"]
    assert len(mounted(surroundings, bot.id)) == ("botToken" in change)
    assert surroundings.memory.engine.containers[bot.id].spec.environment == {"NAME": after.name}


def test_a_blueprint_that_never_says_the_same_twice_ends(surroundings: Surroundings, journal: Journal) -> None:
    class Fickle(Plain):
        turn = 0

        def container(self, bot: Bot) -> ContainerSpec:
            self.turn += 1
            return replace(super().container(bot), environment={"TURN": str(self.turn)})

    platform = surroundings.open(journal, plugins={"fickle": Fickle()})
    bot = made(platform, blueprint="plain")
    assert journal.done == ["create", "start"]
    journal.done.clear()
    assert platform.instances.restart(OWNER, bot).status is Status.RUNNING
    assert journal.done == ["stop", "remove", "create", "start"]


def test_a_restart_brings_what_changed_and_a_sync_does_not(platform: Platform, journal: Journal, bot: str) -> None:
    platform.instances.patch(OWNER, bot, {"name": "Renamed"})
    platform.reconciler.sync(patience=10)
    assert journal.done == []
    assert platform.instances.restart(OWNER, bot).status is Status.RUNNING
    assert journal.done == ["stop", "remove", "create", "start"]


def file(path: str, content: str = "x") -> SecretFile:
    return SecretFile(path, Secret(content))


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, images=("bot:2",)),
        replace(SPEC, environment={"B": "2", "A": "1"}),
        replace(SPEC, probe=Probe("/other")),
        replace(SPEC, seeded_files=(SeededFile("/srv/a", b"a"),)),
    ],
)
def test_what_needs_no_other_container(other: ContainerSpec) -> None:
    assert other.fixed == SPEC.fixed
    assert replace(SPEC, secret_files=(file("/a", "1"),)).fixed == replace(SPEC, secret_files=(file("/a", "2"),)).fixed


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, environment={"A": "1", "B": "3"}),
        replace(SPEC, environment={"A": "1", "B": "\ud800"}),
        replace(SPEC, secret_files=(file("/a"),)),
        replace(SPEC, secret_files=(file("/b"),)),
        replace(SPEC, limits=Limits(2**21, 0.5, 10)),
        replace(SPEC, command=("run",)),
    ],
)
def test_what_needs_another_container(other: ContainerSpec) -> None:
    assert other.fixed != SPEC.fixed
