"""Creations are refused when their owner has enough bots or the computer has too little left, to the last one."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Room, Status
from clawdeploy.core.errors import ConfigurationError, HostFull, RuntimeUnavailable, TooManyInstances
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import CORE_SETTINGS, DISK_RESERVE_MB, MAX_INSTANCES_PER_USER, MEMORY_RESERVE_MB
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime
from tests.core.surroundings import OWNER, STRANGER, Surroundings
from tests.platforms import GOOD

MEBIBYTE = 2**20
NEEDS = 256


def create(platform: Platform, owner: str = OWNER) -> str:
    return platform.instances.create(owner, GOOD).id


def tried(platform: Platform) -> str:
    try:
        return create(platform)
    except TooManyInstances:
        return ""


def test_each_user_may_have_25_bots_unless_somebody_says_otherwise() -> None:
    def configured(**environment: str) -> Config:
        return Config(CORE_SETTINGS, {f"CLAWDEPLOY_{name}": value for name, value in environment.items()})

    usual = configured()
    assert (usual[MAX_INSTANCES_PER_USER], usual[MEMORY_RESERVE_MB], usual[DISK_RESERVE_MB]) == (25, 256, 1024)
    none = configured(MAX_INSTANCES_PER_USER="0", MEMORY_RESERVE_MB="off", DISK_RESERVE_MB="0")
    assert (none[MAX_INSTANCES_PER_USER], none[MEMORY_RESERVE_MB], none[DISK_RESERVE_MB]) == (0, None, 0)
    for name in ("MEMORY_RESERVE_MB", "DISK_RESERVE_MB"):
        with pytest.raises(ConfigurationError, match="a whole number of megabytes, or off"):
            configured(**{name: "1 GB"})


def test_one_more_than_there_may_be_is_refused_and_stores_nothing(surroundings: Surroundings) -> None:
    platform = surroundings.open(MAX_INSTANCES_PER_USER="3")
    bots = [create(platform) for _ in range(3)]
    with pytest.raises(TooManyInstances) as refused:
        create(platform)
    assert refused.value.detail == (
        "You have 3 bots, and each user may have 3 bots on this server. Delete one to make another."
    )
    assert (surroundings.count("instance"), len(surroundings.memory.engine.containers)) == (3, 3)
    assert surroundings.count("secret") == 0
    assert create(platform, STRANGER), "others have their own"
    platform.instances.delete(OWNER, bots[0])
    assert create(platform)


def test_what_is_refused_leaves_its_key_free(surroundings: Surroundings) -> None:
    platform = surroundings.open(MAX_INSTANCES_PER_USER="1")
    first = platform.instances.create_once(OWNER, GOOD, "first")
    surroundings.reaches(first.id, operation=None)
    assert platform.instances.create_once(OWNER, GOOD, "first").id == first.id, "it has been made, and is no other one"
    with pytest.raises(TooManyInstances):
        platform.instances.create_once(OWNER, GOOD, "second")
    platform.instances.delete(OWNER, first.id)
    assert platform.instances.create_once(OWNER, GOOD, "second").status is not Status.ERROR


def test_a_bot_counts_until_it_is_gone(surroundings: Surroundings) -> None:
    """Or who deletes and creates while the engine is away would have any number of containers."""
    runtime = BrokenRuntime(surroundings.memory, calls=("remove",))
    runtime.mend()
    platform = surroundings.open(runtime, MAX_INSTANCES_PER_USER="1")
    bot = create(platform)
    runtime.broken = True
    with pytest.raises(RuntimeUnavailable):
        platform.instances.delete(OWNER, bot)
    with pytest.raises(TooManyInstances, match="You have 1 bot, 1 of them still being deleted, and each user may have"):
        create(platform)
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert create(platform)


@pytest.mark.parametrize("most", [3, 0])
def test_it_is_exact_with_many_at_once_through_several_workers(surroundings: Surroundings, most: int) -> None:
    workers = [surroundings.open(MAX_INSTANCES_PER_USER=str(most)) for _ in range(3)]
    create(workers[0])
    with ThreadPoolExecutor(12) as threads:
        made = list(threads.map(lambda at: tried(workers[at % 3]), range(12)))
    assert len([each for each in made if each]) == (most or 13) - 1
    assert surroundings.count("instance") == (most or 13)


def full(surroundings: Surroundings, left: Room, **settings: Any) -> str:
    """Return why a creation is refused when that much is left; nothing when it is not."""
    surroundings.memory.engine.room = left
    try:
        create(surroundings.open(**settings))
    except HostFull as refused:
        return refused.detail
    return ""


@pytest.mark.parametrize(
    ("left", "settings", "refusal"),
    [
        (Room(), {}, ""),
        (Room(memory_bytes=512 * MEBIBYTE), {}, ""),
        (
            Room(memory_bytes=512 * MEBIBYTE - 1),
            {},
            "This computer has 511 MB of memory left, of which 256 MB have to stay free, and a bot needs 256 MB.",
        ),
        (Room(memory_bytes=256 * MEBIBYTE), {"MEMORY_RESERVE_MB": "0"}, ""),
        (
            Room(memory_bytes=100 * MEBIBYTE),
            {"MEMORY_RESERVE_MB": "0"},
            "This computer has 100 MB of memory left, and a bot needs 256 MB.",
        ),
        (Room(memory_bytes=1), {"MEMORY_RESERVE_MB": "off"}, ""),
        (Room(disk_bytes=1024 * MEBIBYTE), {}, ""),
        (
            Room(disk_bytes=310 * MEBIBYTE),
            {},
            "This computer has 310 MB of disk space left, and 1,024 MB have to stay free.",
        ),
        (Room(disk_bytes=310 * MEBIBYTE), {"DISK_RESERVE_MB": "300"}, ""),
        (Room(disk_bytes=1), {"DISK_RESERVE_MB": "off"}, ""),
    ],
)
def test_a_computer_that_is_full_takes_no_more(
    surroundings: Surroundings, left: Room, settings: Mapping[str, Any], refusal: str
) -> None:
    advice = " Delete or stop a bot, or try again later."
    assert full(surroundings, left, **settings) == (refusal and refusal + advice)
    assert surroundings.count("instance") == (0 if refusal else 1)


def test_what_is_about_to_start_counts_as_well(surroundings: Surroundings) -> None:
    """Of eight at once no more get in than there is memory for, although none has used any yet."""
    surroundings.memory.engine.room = Room(memory_bytes=(256 + 3 * NEEDS) * MEBIBYTE)
    runtime = SlowRuntime(surroundings.memory, calls=("create",))
    workers = [surroundings.open(runtime, WAIT_SECONDS="0") for _ in range(2)]

    def try_one(at: int) -> str:
        try:
            return create(workers[at % 2])
        except HostFull as refused:
            return refused.detail

    try:
        with ThreadPoolExecutor(8) as threads:
            said = list(threads.map(try_one, range(8)))
        refusals = [each for each in said if " " in each]
        assert len(refusals) == 5
        assert set(refusals) == {
            "This computer has 1,024 MB of memory left, of which 256 MB have to stay free and 768 MB are for 3 bots "
            "being started, and a bot needs 256 MB. Delete or stop a bot, or try again later."
        }
    finally:
        runtime.release()


def test_an_engine_that_does_not_say_stands_in_nobodys_way(surroundings: Surroundings) -> None:
    runtime = BrokenRuntime(surroundings.memory, calls=("room",))
    assert create(surroundings.open(runtime))


def test_one_that_takes_long_to_say_it_is_not_waited_for(surroundings: Surroundings) -> None:
    runtime = SlowRuntime(surroundings.memory, calls=("room",))
    try:
        assert create(surroundings.open(runtime))
    finally:
        runtime.release()


def test_starting_what_is_there_is_never_refused(surroundings: Surroundings) -> None:
    platform = surroundings.open(MAX_INSTANCES_PER_USER="1")
    bot = create(platform)
    platform.instances.stop(OWNER, bot)
    surroundings.memory.engine.room = Room(memory_bytes=1, disk_bytes=1)
    assert platform.instances.start(OWNER, bot).status is Status.RUNNING


def test_an_owner_can_see_it_before(surroundings: Surroundings) -> None:
    platform = surroundings.open(MAX_INSTANCES_PER_USER="2")
    create(platform)
    usage = platform.quotas.usage(OWNER)
    assert (usage.used, usage.most, usage.refusal) == (1, 2, "")
    create(platform)
    assert platform.quotas.usage(OWNER).refusal.startswith("You have 2 bots, and each user may have 2 bots")
    assert platform.quotas.usage(STRANGER).refusal == ""
    assert surroundings.open(MAX_INSTANCES_PER_USER="0").quotas.usage(OWNER).refusal == ""
