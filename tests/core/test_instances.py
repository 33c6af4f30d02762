"""The use cases: what an owner can do, what a stranger cannot, and what is answered when the work takes long."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.activity import ActivityLog
from clawdeploy.core.claim_keeper import LIFETIME
from clawdeploy.core.contracts import ContainerSpec, ContainerState, Operation, Status
from clawdeploy.core.errors import (
    DatabaseUnavailable,
    InstanceNotFound,
    InvalidInput,
    NoContainer,
    OperationInProgress,
    RuntimeFailure,
    RuntimeUnavailable,
)
from clawdeploy.core.events import InstanceChanged, InstanceCreated, InstanceDeleted, StatusChanged
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from tests.core.surroundings import OWNER, STRANGER, TELEGRAM_TOKEN, Clock, Surroundings, made
from tests.platforms import GOOD


def test_what_is_created_says_everything(surroundings: Surroundings, platform: Platform) -> None:
    body = {
        **GOOD, "name": "  My bot  ", "apiKey": "sk-1", "botToken": TELEGRAM_TOKEN, "config": {"a": [1]},
        "region": "eu", "instanceType": "small", "ipAddress": "10.0.0.1",
    }  # fmt: skip
    instance = platform.instances.create(OWNER, body)
    dumped = platform.instances.dump(instance)
    assert {key: dumped[key] for key in ("userId", "name", "model", "channel", "blueprint", "status", "config")} == {
        "userId": OWNER, "name": "My bot", "model": "gpt-5.2", "channel": "telegram", "blueprint": "standin",
        "status": "running", "config": {"a": [1]},
    }  # fmt: skip
    assert (dumped["region"], dumped["instanceType"], dumped["ipAddress"]) == ("eu", "small", "10.0.0.1")
    assert (dumped["botToken"], dumped["apiKey"], dumped["credentials"]) == ("***", "***", {})
    assert dumped["url"] == f"http://127.0.0.1:{dumped['port']}/"
    assert (dumped["statusReason"], dumped["statusDetail"], dumped["operation"]) == (None, None, None)
    assert dumped["createdAt"].endswith("Z")
    assert platform.instances.get(OWNER, instance.id) == instance
    (event,) = surroundings.witness.of(InstanceCreated)
    assert (event.instance_id, event.owner, event.actor) == (instance.id, OWNER, OWNER)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:10000/"),
        ("0.0.0.0", "http://127.0.0.1:10000/"),
        ("::", "http://[::1]:10000/"),
        ("fd00::7", "http://[fd00::7]:10000/"),
        ("192.0.2.7", "http://192.0.2.7:10000/"),
    ],
)
def test_the_url_is_where_the_bot_answers(surroundings: Surroundings, address: str, url: str) -> None:
    platform = surroundings.open(BIND_ADDRESS=address, PORT_RANGE="10000-10000")
    assert platform.instances.dump(platform.instances.create(OWNER, GOOD))["url"] == url


def test_without_a_container_there_is_no_url(surroundings: Surroundings) -> None:
    surroundings.memory.engine.images = set()
    platform = surroundings.open()
    assert platform.instances.dump(platform.instances.create(OWNER, GOOD))["url"] is None


def test_an_invalid_body_stores_nothing(surroundings: Surroundings, platform: Platform) -> None:
    with pytest.raises(InvalidInput):
        platform.instances.create(OWNER, {**GOOD, "channel": "fax"})
    assert surroundings.count("instance") == 0
    assert surroundings.witness.events == []


def test_of_a_strangers_instance_nothing_can_be_seen_or_done(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform, apiKey="sk-1")
    before = surroundings.row(instance_id).__data__
    instances = platform.instances
    for attempt in (
        lambda: instances.get(STRANGER, instance_id),
        lambda: instances.patch(STRANGER, instance_id, {"name": "mine"}),
        lambda: instances.patch(STRANGER, instance_id, {"status": "stopped"}),
        lambda: instances.patch(STRANGER, instance_id, {"nonsense": 1}),
        lambda: instances.start(STRANGER, instance_id),
        lambda: instances.stop(STRANGER, instance_id),
        lambda: instances.delete(STRANGER, instance_id),
        lambda: instances.logs(STRANGER, instance_id, 10),
    ):
        with pytest.raises(InstanceNotFound):
            attempt()
    assert instances.list(STRANGER).instances == []
    assert surroundings.row(instance_id).__data__ == before
    assert surroundings.memory.observe(instance_id).state is ContainerState.RUNNING


@pytest.mark.parametrize("status", ["running", "stopped"])
def test_an_unknown_id_is_not_found(platform: Platform, status: str) -> None:
    for attempt in (
        lambda: platform.instances.get(OWNER, "nobody"),
        lambda: platform.instances.patch(OWNER, "nobody", {"status": status}),
        lambda: platform.instances.delete(OWNER, "nobody"),
    ):
        with pytest.raises(InstanceNotFound):
            attempt()


def test_a_patch_changes_what_it_names(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform, apiKey="sk-1", config={"a": 1})
    changed = platform.instances.patch(
        OWNER, instance_id, {"name": " new ", "apiKey": None, "botToken": TELEGRAM_TOKEN}
    )
    assert (changed.name, changed.config) == ("new", {"a": 1})
    assert changed.secrets_set == {"botToken"}
    (event,) = surroundings.witness.of(InstanceChanged)
    assert event.fields == ("apiKey", "botToken", "name")
    assert platform.instances.patch(OWNER, instance_id, {"config": {}}).config == {}


@pytest.mark.parametrize("body", [{}, {"apiKey": None}, {"credentials": {}}])
def test_a_patch_that_changes_nothing_tells_nothing(
    surroundings: Surroundings, platform: Platform, body: dict[str, Any]
) -> None:
    instance_id = made(platform)
    before = platform.instances.get(OWNER, instance_id)
    assert platform.instances.patch(OWNER, instance_id, body) == before
    assert not surroundings.witness.of(InstanceChanged)


def test_an_invalid_patch_changes_nothing(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    before = surroundings.row(instance_id).__data__
    with pytest.raises(InvalidInput):
        platform.instances.patch(OWNER, instance_id, {"name": "new", "apiKey": "***", "status": "stopped"})
    assert surroundings.row(instance_id).__data__ == before
    assert surroundings.memory.observe(instance_id).state is ContainerState.RUNNING


def test_a_patched_status_is_a_wish(platform: Platform) -> None:
    instance_id = made(platform)
    stopped = platform.instances.patch(OWNER, instance_id, {"status": "stopped", "name": "quiet"})
    assert (stopped.status, stopped.name) == (Status.STOPPED, "quiet")
    assert platform.instances.patch(OWNER, instance_id, {"status": "stopped"}).status == Status.STOPPED
    running = platform.instances.patch(OWNER, instance_id, {"status": "running"})
    assert (running.status, running.container_id) == (Status.RUNNING, stopped.container_id)


@pytest.mark.parametrize("status", ["running", "stopped"])
def test_a_patch_that_the_database_does_not_take_to_its_end_changes_nothing(
    surroundings: Surroundings, platform: Platform, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    instance_id = made(platform)
    surroundings.witness.events.clear()
    before, told = surroundings.row(instance_id).__data__, surroundings.count("activity")
    body = {"name": "new", "apiKey": "sk-new", "status": status}
    with monkeypatch.context() as broken:

        def fails(*_: object) -> None:
            raise DatabaseUnavailable

        broken.setattr(ActivityLog, "changed", fails)
        with pytest.raises(DatabaseUnavailable):
            platform.instances.patch(OWNER, instance_id, body)
    assert (surroundings.row(instance_id).__data__, surroundings.count("activity")) == (before, told)
    assert not surroundings.witness.events
    changed = platform.instances.patch(OWNER, instance_id, body)
    assert (changed.name, set(changed.secrets_set), changed.status.value) == ("new", {"apiKey"}, status)


def test_a_patch_gives_the_bot_its_new_secret_before_the_start(surroundings: Surroundings) -> None:
    class Listening(WrappedRuntime):
        """Notes whether the instance had its new secret when it was started."""

        secrets: frozenset[str] = frozenset()

        def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
            self.secrets = surroundings_platform.instances.get(OWNER, instance_id).secrets_set
            super().start(container_id, instance_id, spec)

    runtime = Listening(surroundings.memory)
    surroundings_platform = surroundings.open(runtime)
    instance_id = made(surroundings_platform)
    surroundings_platform.instances.stop(OWNER, instance_id)
    surroundings_platform.instances.patch(OWNER, instance_id, {"status": "running", "apiKey": "sk-new"})
    assert runtime.secrets == {"apiKey"}


def test_an_instance_without_a_container(surroundings: Surroundings) -> None:
    surroundings.memory.engine.images = set()
    platform = surroundings.open()
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.container_id) == (Status.ERROR, None)
    for attempt in (
        lambda: platform.instances.start(OWNER, instance.id),
        lambda: platform.instances.stop(OWNER, instance.id),
        lambda: platform.instances.logs(OWNER, instance.id, 10),
    ):
        with pytest.raises(NoContainer) as refused:
            attempt()
        assert instance.detail in refused.value.detail
    stopped = platform.instances.patch(OWNER, instance.id, {"status": "stopped"})
    assert (stopped.status, stopped.reason) == (Status.STOPPED, "")
    surroundings.memory.engine.images = None
    running = platform.instances.patch(OWNER, instance.id, {"status": "running"})
    assert (running.status, running.id, running.host_port) == (Status.RUNNING, instance.id, instance.host_port)


def test_logs_are_the_containers(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.memory.write(instance_id, "hello")
    assert platform.instances.logs(OWNER, instance_id, 1) == "hello\n"
    assert platform.instances.logs(OWNER, instance_id, 100) == "started\nhello\n"
    surroundings.memory.vanish(instance_id)
    with pytest.raises(NoContainer):
        platform.instances.logs(OWNER, instance_id, 1)


def test_logs_without_an_engine(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    with pytest.raises(RuntimeUnavailable):
        surroundings.open(BrokenRuntime(surroundings.memory)).instances.logs(OWNER, instance_id, 1)


def test_a_deleted_instance_is_gone(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    platform.instances.delete(OWNER, instance_id)
    with pytest.raises(InstanceNotFound):
        platform.instances.get(OWNER, instance_id)
    with pytest.raises(InstanceNotFound):
        platform.instances.delete(OWNER, instance_id)
    (event,) = surroundings.witness.of(InstanceDeleted)
    assert (event.instance_id, event.owner) == (instance_id, OWNER)


def test_a_container_that_is_gone_already_is_fine_to_delete(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.memory.vanish(instance_id)
    platform.instances.delete(OWNER, instance_id)
    assert surroundings.count("instance") == 0


# -- the wait --------------------------------------------------------------------------------------------------------


def test_a_slow_creation_is_answered_and_goes_on(surroundings: Surroundings) -> None:
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {"nginx:alpine"}
    runtime = SlowRuntime(surroundings.memory, calls=("pull",))
    platform = surroundings.open(runtime, WAIT_SECONDS=1)
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason, instance.operation) == (Status.CREATING, "pulling_image", "create")
    assert instance.detail.startswith("The image is being downloaded")
    runtime.release()
    surroundings.witness.until(StatusChanged, after=Status.RUNNING)
    running = platform.instances.get(OWNER, instance.id)
    assert (running.status, running.reason, running.operation) == (Status.RUNNING, "", None)


@pytest.mark.parametrize("call", ["stop", "delete"])
def test_a_slow_stop_or_delete_is_answered_and_goes_on(surroundings: Surroundings, call: str) -> None:
    instance_id = made(surroundings.open())
    runtime = SlowRuntime(surroundings.memory, calls=("stop",))
    platform = surroundings.open(runtime, WAIT_SECONDS=0)
    getattr(platform.instances, call)(OWNER, instance_id)
    assert runtime.entered.wait(10)
    if call == "delete":
        assert platform.instances.list(OWNER).instances == []
        runtime.release()
        surroundings.witness.until(InstanceDeleted)
    else:
        assert platform.instances.get(OWNER, instance_id).operation == "stop"
        runtime.release()
        surroundings.witness.until(StatusChanged, after=Status.STOPPED)


def test_whoever_waited_for_what_was_deleted_meanwhile_is_told(surroundings: Surroundings) -> None:
    runtime = SlowRuntime(surroundings.memory, calls=("pull",))
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {"nginx:alpine"}
    platform = surroundings.open(runtime)
    with ThreadPoolExecutor(1) as threads:
        creating = threads.submit(platform.instances.create, OWNER, GOOD)
        assert runtime.entered.wait(10)
        (instance,) = platform.instances.list(OWNER).instances
        with pytest.raises(RuntimeUnavailable):
            surroundings.open(BrokenRuntime(surroundings.memory)).instances.delete(OWNER, instance.id)
        runtime.release()
        told = creating.result(20)
    assert (told.id, told.status, told.operation) == (instance.id, Status.DELETED, None)
    assert told.detail == "It was deleted while it was being made."


def test_what_the_runtime_raises_reaches_whoever_waits(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    platform = surroundings.open(BrokenRuntime(surroundings.memory, error=RuntimeFailure("No."), calls=("stop",)))
    with pytest.raises(RuntimeFailure, match=r"^No\.$"):
        platform.instances.stop(OWNER, instance_id)


def test_a_database_that_goes_away_in_the_middle_leaves_the_work_to_be_resumed(surroundings: Surroundings) -> None:
    class LosesDatabase(WrappedRuntime):
        """The database goes away while the engine stops the container."""

        def after(self, call: str) -> None:
            if call == "stop":
                clock.error = DatabaseUnavailable()

    clock = Clock()
    instance_id = made(surroundings.open())
    with pytest.raises(DatabaseUnavailable):
        surroundings.open(LosesDatabase(surroundings.memory), clock=clock).instances.stop(OWNER, instance_id)
    clock.error = None
    clock.advance(seconds=LIFETIME.total_seconds())
    surroundings.open(clock=clock).reconciler.sync(patience=10)
    row = surroundings.row(instance_id)
    assert (row.status, row.operation, row.claim) == ("stopped", None, None)


def test_a_creation_that_was_stored_is_told_although_the_database_fails_on_the_way(surroundings: Surroundings) -> None:
    class LosesDatabase(WrappedRuntime):
        """The database goes away while the engine makes the container."""

        def after(self, call: str) -> None:
            if call == "create":
                clock.error = DatabaseUnavailable()

    clock = Clock()
    instance = surroundings.open(LosesDatabase(surroundings.memory), clock=clock).instances.create(OWNER, GOOD)
    assert (instance.status, instance.operation) == (Status.PENDING, Operation.CREATE)
    clock.error = None
    clock.advance(seconds=LIFETIME.total_seconds())
    surroundings.open(clock=clock).reconciler.sync(patience=10)
    row = surroundings.row(instance.id)
    assert (row.status, row.operation, row.claim) == ("running", None, None)


# -- many at once ----------------------------------------------------------------------------------------------------


def test_eight_threads_make_many_bots_with_ports_of_their_own(surroundings: Surroundings) -> None:
    platform = surroundings.open(PORT_RANGE="10000-10039")
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda _: platform.instances.create(OWNER, GOOD), range(40)))
    assert {instance.status for instance in created} == {Status.RUNNING}
    ports = {instance.host_port for instance in created}
    assert ports == set(range(10000, 10040))
    assert {seen.host_port for seen in surroundings.memory.observe_all().values()} == ports
    without = platform.instances.create(OWNER, GOOD)
    assert (without.status, without.reason, without.host_port) == (Status.ERROR, "no_free_port", None)
    assert "All ports from 10000 to 10039 were in use" in without.detail
    platform.instances.delete(OWNER, created[7].id)
    again = platform.instances.patch(OWNER, without.id, {"status": "running"})
    assert (again.status, again.host_port) == (Status.RUNNING, created[7].host_port)


def test_a_storm_of_operations_on_one_instance_ends_in_order(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    other = surroundings.open()
    instance_id = made(platform)

    def shake(number: int) -> str:
        instances = (platform, other)[number % 2].instances
        call = (instances.start, instances.stop)[number // 2 % 2]
        try:
            return call(OWNER, instance_id).status
        except OperationInProgress:
            return "refused"

    with ThreadPoolExecutor(8) as threads:
        outcomes = set(threads.map(shake, range(48)))
    assert outcomes <= {"running", "stopped", "creating", "refused"}
    row = surroundings.row(instance_id)
    assert (row.operation, row.claim) == (None, None)
    alive = surroundings.memory.observe(instance_id).state is ContainerState.RUNNING
    assert (row.wish, row.status) == (("run", "running") if alive else ("stop", "stopped"))


def test_simultaneous_deletes_leave_nothing(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)

    def delete(_: int) -> str:
        try:
            platform.instances.delete(OWNER, instance_id)
        except (InstanceNotFound, OperationInProgress) as error:
            return type(error).__name__
        return "deleted"

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(delete, range(16)))
    assert outcomes.count("deleted") == 1
    assert surroundings.count("instance") == 0
    assert not surroundings.memory.observe_all()


def test_a_delete_that_was_acknowledged_wins_over_every_start(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    offline = surroundings.open(BrokenRuntime(surroundings.memory))
    for _ in range(5):
        instance_id = made(platform)

        def start(_: int, instance_id: str = instance_id) -> None:
            with suppress(InstanceNotFound, OperationInProgress):
                platform.instances.start(OWNER, instance_id)

        def delete(instance_id: str = instance_id) -> None:
            while True:
                try:
                    return offline.instances.delete(OWNER, instance_id)
                except RuntimeUnavailable:
                    return None
                except OperationInProgress:
                    continue

        with ThreadPoolExecutor(4) as threads:
            deleting = threads.submit(delete)
            list(threads.map(start, range(12)))
            deleting.result(20)
        assert surroundings.row(instance_id).wish == "delete"
    platform.reconciler.sync(patience=10)
    assert surroundings.count("instance") == 0
    assert not surroundings.memory.observe_all()


@pytest.mark.postgres
def test_what_is_deleted_while_it_is_changed_is_not_found(tmp_path: Path, postgres_url: str) -> None:
    """On SQLite nobody gets in between."""

    class DeletesBetween(Clock):
        """The time is asked for between the look at the row and its change."""

        armed = False

        def __call__(self) -> datetime:
            if self.armed:
                self.armed = False
                row = surroundings.rows.instance
                with surroundings.looking().transaction():
                    row.delete().where(row.id == instance_id).execute()
            return super().__call__()

    clock = DeletesBetween()
    surroundings = Surroundings(tmp_path, postgres_url)
    platform = surroundings.open(clock=clock)
    instance_id = made(platform)
    clock.armed = True
    with pytest.raises(InstanceNotFound):
        platform.instances.patch(OWNER, instance_id, {"apiKey": "sk-1"})
    surroundings.close()
