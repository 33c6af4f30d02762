"""Real processes on one database: they never interleave, and what a killed one left is finished by another."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import ContainerState
from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable, InstanceNotFound, NoContainer, OperationInProgress
from clawdeploy.core.holders import is_dead
from clawdeploy.core.lease import Lease
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from tests.core.folder_runtime import FolderRuntime
from tests.core.surroundings import OWNER, Surroundings, made
from tests.platforms import GOOD, memory_platform


def platform_of(folder: Path, url: str, runtime: FolderRuntime) -> Platform:
    return memory_platform(folder, runtime=lambda installation: runtime, DATABASE_URL=url)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Makes processes that start fast: the modules are imported once, in a process without threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def started(context: ForkServerContext, work: Callable[..., None], *arguments: object) -> ForkServerProcess:
    process = context.Process(target=work, args=arguments)
    process.start()
    return process


# -- two at once -----------------------------------------------------------------------------------------------------


def shake(folder: Path, url: str, instance_id: str, seed: int, together: Barrier) -> None:
    """Operate one instance at random, from several threads, as a server process would."""
    chance = random.Random(seed)
    platform = platform_of(folder, url, FolderRuntime(folder / "engine", duration=0.008))
    wishes = [chance.choice(["start", "stop", "running", "stopped", "sync"]) for _ in range(30)]

    def operate(wish: str) -> None:
        # Whoever is refused comes again, so that neither process is through before the other had a turn.
        while True:
            try:
                if wish == "sync":
                    platform.reconciler.sync(patience=10)
                elif wish in ("start", "stop"):
                    getattr(platform.instances, wish)(OWNER, instance_id)
                else:
                    platform.instances.patch(OWNER, instance_id, {"status": wish})
            except OperationInProgress:
                continue
            except NoContainer:
                pass
            return

    together.wait(30)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(operate, wishes))
    platform.close()


def test_operations_of_two_processes_never_interleave(surroundings: Surroundings, processes: ForkServerContext) -> None:
    runtime = FolderRuntime(surroundings.folder / "engine")
    platform = surroundings.open(runtime)
    instance_id = made(platform)
    together = processes.Barrier(2)
    both = [
        started(processes, shake, surroundings.folder, surroundings.url, instance_id, seed, together) for seed in (1, 2)
    ]
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert runtime.overlaps == []
    assert len({process_id for process_id, *_ in runtime.journal}) == 3, "both must have had their turns"
    platform.reconciler.sync(patience=10)
    row = surroundings.row(instance_id)
    seen = runtime.observe(instance_id).state
    assert (row.operation, row.claim) == (None, None)
    assert (row.status, seen) in {("running", ContainerState.RUNNING), ("stopped", ContainerState.EXITED)}
    assert row.wish == ("run" if row.status == "running" else "stop")


def test_interleaving_would_be_noticed(tmp_path: Path) -> None:
    runtime = FolderRuntime(tmp_path, duration=0.2)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: runtime.discard("one"), range(2)))
    assert runtime.overlaps == ["discard one"]
    FolderRuntime(tmp_path).discard("two")
    assert len(runtime.overlaps) == 1


def make_some(folder: Path, url: str) -> None:
    platform = platform_of(folder, url, FolderRuntime(folder / "engine"))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: made(platform), range(10)))
    platform.close()


def test_two_processes_give_no_port_twice(surroundings: Surroundings, processes: ForkServerContext) -> None:
    runtime = FolderRuntime(surroundings.folder / "engine")
    platform = surroundings.open(runtime)
    both = [started(processes, make_some, surroundings.folder, surroundings.url) for _ in range(2)]
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    instances = platform.instances.list(OWNER).instances
    ports = {instance.host_port for instance in instances}
    assert (len(instances), len(ports)) == (20, 20)
    assert {seen.host_port for seen in runtime.observe_all().values()} == ports


# -- one that is killed ----------------------------------------------------------------------------------------------


def hang(folder: Path, url: str, call: str, instance_id: str, where: str) -> None:
    """Begin an operation in which the engine never answers."""
    platform = platform_of(folder, url, FolderRuntime(folder / "engine", hang=where))
    if call == "create":
        platform.instances.create(OWNER, {**GOOD, "apiKey": "sk-1"})
    else:
        getattr(platform.instances, call)(OWNER, instance_id)


@pytest.mark.parametrize(
    ("call", "where"),
    [
        ("create", "before create"),
        ("create", "after create"),
        ("create", "before start"),
        ("create", "after start"),
        ("start", "after start"),
        ("stop", "before stop"),
        ("stop", "after stop"),
        ("delete", "after stop"),
        ("delete", "after remove"),
        ("delete", "before discard"),
    ],
)
def test_what_a_killed_process_left_is_finished_by_another(
    surroundings: Surroundings, processes: ForkServerContext, call: str, where: str
) -> None:
    runtime = FolderRuntime(surroundings.folder / "engine")
    platform = surroundings.open(runtime)
    instance_id = "" if call == "create" else made(platform)
    if call == "start":
        platform.instances.stop(OWNER, instance_id)
    process = started(processes, hang, surroundings.folder, surroundings.url, call, instance_id, where)
    assert eventually(lambda: runtime.hangs, within=20)
    with surroundings.looking().reading():
        (row,) = surroundings.rows.instance.select()
    before = len(runtime.journal)
    platform.reconciler.sync(patience=10)
    assert len(runtime.journal) == before, "it is alive, and its claim holds"
    refused = InstanceNotFound if call == "delete" else (OperationInProgress, NoContainer)
    with pytest.raises(refused):
        platform.instances.stop(OWNER, row.id)
    process.kill()
    assert eventually(lambda: is_dead(row.claim), within=20)
    platform.reconciler.sync(patience=10)
    process.join(20)
    if call == "delete":
        assert (surroundings.count("instance"), surroundings.count("secret")) == (0, 0)
        assert runtime.observe_all() == {}
        return
    instance = platform.instances.get(OWNER, row.id)
    assert (instance.status, instance.operation) == ("stopped" if call == "stop" else "running", None)
    ((known, seen),) = runtime.observe_all().items()
    assert (known, seen.container_id, seen.host_port) == (row.id, instance.container_id, instance.host_port)
    assert surroundings.row(row.id).claim is None
    assert runtime.overlaps == []
    assert platform.instances.stop(OWNER, row.id).status == "stopped"


def test_an_owner_need_not_wait_for_a_sync_when_a_process_was_killed(
    surroundings: Surroundings, processes: ForkServerContext
) -> None:
    runtime = FolderRuntime(surroundings.folder / "engine")
    platform = surroundings.open(runtime)
    instance_id = made(platform)
    process = started(processes, hang, surroundings.folder, surroundings.url, "stop", instance_id, "before stop")
    assert eventually(lambda: runtime.hangs, within=20)
    process.kill()
    process.join(20)
    assert platform.instances.start(OWNER, instance_id).status == "running"
    platform.instances.delete(OWNER, instance_id)
    assert runtime.observe_all() == {}


def look_after(folder: Path, url: str, ready: Event) -> None:
    """Watch, as the one process that has the lease, until it is killed."""
    platform = platform_of(folder, url, FolderRuntime(folder / "engine"))
    platform.start_background()
    database = Database(url, folder)
    assert eventually(lambda: leases(database) != [], within=20)
    ready.set()
    threading.Event().wait()


def leases(database: Database) -> list[str]:
    with database.reading():
        return [row.holder for row in database.tables.lease.select()]


def test_the_lease_of_a_killed_process_is_free_at_once(
    surroundings: Surroundings, processes: ForkServerContext
) -> None:
    ready = processes.Event()
    process = started(processes, look_after, surroundings.folder, surroundings.url, ready)
    assert ready.wait(20)
    lease = Lease(surroundings.looking(), surroundings.rows.lease, utc_now, "reconciler")
    assert not lease.hold()
    process.kill()
    process.join(20)
    assert lease.hold()


def freeze(process: ForkServerProcess, database: Database) -> None:
    """Freeze a process between its transactions: in one, it would keep a whole SQLite locked, for whomever."""

    def writable() -> bool:
        with suppress(DatabaseUnavailable), database.transaction():
            return True
        return False

    for _ in range(5):
        os.kill(process.pid or 0, signal.SIGSTOP)
        if writable():
            return
        os.kill(process.pid or 0, signal.SIGCONT)
        assert eventually(writable, within=20), "it ends the transaction that it was in"
    raise AssertionError("it is always in a transaction")


def test_while_the_holder_of_the_lease_is_frozen_another_notices_a_crash_within_fifteen_seconds(
    surroundings: Surroundings, processes: ForkServerContext
) -> None:
    runtime = FolderRuntime(surroundings.folder / "engine")
    platform = surroundings.open(runtime)
    instance_id, ready = made(platform), processes.Event()
    process = started(processes, look_after, surroundings.folder, surroundings.url, ready)
    assert ready.wait(20)
    platform.start_background()
    (frozen,) = leases(surroundings.looking())
    freeze(process, surroundings.looking())
    try:
        runtime.crash(instance_id, exit_code=3)
        began = time.monotonic()
        assert eventually(lambda: platform.instances.get(OWNER, instance_id).reason == "crashed", within=15)
        assert time.monotonic() - began > 1, "it was still the other's to look"
        assert leases(surroundings.looking()) != [frozen]
        assert not is_dead(frozen), "it was only frozen"
    finally:
        os.kill(process.pid or 0, signal.SIGCONT)
        process.kill()
        process.join(20)
