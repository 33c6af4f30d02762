"""Sync: what is recorded is made to say what is so, and nothing is done behind the operator's back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clawdeploy.core.claims import Claims
from clawdeploy.core.clock import utc_now
from clawdeploy.core.comparing import MOST_AT_ONCE
from clawdeploy.core.contracts import ContainerState, Status
from clawdeploy.core.errors import RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.events import InstanceDeleted, StatusChanged
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.surroundings import OWNER, Clock, Surroundings, made
from tests.platforms import GOOD

Happening = Callable[[MemoryRuntime, str], object]


def stop(memory: MemoryRuntime, instance_id: str) -> None:
    memory.stop(memory.observe(instance_id).container_id or "", 1)


def pause(memory: MemoryRuntime, instance_id: str) -> None:
    memory.engine.containers[instance_id].state = ContainerState.PAUSED


@pytest.mark.parametrize(
    ("happening", "status", "reason"),
    [
        (stop, "stopped", "stopped_outside"),
        (pause, "stopped", "paused_outside"),
        (MemoryRuntime.vanish, "error", "container_missing"),
        (lambda memory, instance_id: memory.crash(instance_id, 3), "error", "crashed"),
        (lambda memory, instance_id: memory.crash(instance_id, 137, True), "error", "out_of_memory"),
        (lambda memory, instance_id: memory.loop(instance_id, 1, 3), "error", "crashed"),
        (lambda memory, instance_id: memory.loop(instance_id, 1, 137, True), "error", "out_of_memory"),
    ],
)
def test_what_diverged_is_recorded_told_and_left_alone(
    surroundings: Surroundings,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    happening: Happening,
    status: str,
    reason: str,
) -> None:
    instance_id = made(platform)
    surroundings.witness.events.clear()
    happening(surroundings.memory, instance_id)
    seen = surroundings.memory.observe(instance_id)
    assert platform.reconciler.sync() == [{"id": instance_id, "before": "running", "after": status, "reason": reason}]
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason, instance.wish) == (status, reason, "run")
    assert surroundings.memory.observe(instance_id) == seen, "a sync must not touch a container"
    (event,) = surroundings.witness.of(StatusChanged)
    assert (event.actor, event.after, event.reason) == ("sync", status, reason)
    before = surroundings.row(instance_id).__data__
    with monkeypatch.context() as patched:
        if seen.state is not ContainerState.RESTARTING:
            # Two writes for each bot that an operator has stopped would make a sync of many take seconds.
            patched.delattr(Claims, "resume")
        assert platform.reconciler.sync() == []
    assert surroundings.row(instance_id).__data__ == before, "what did not change must not be written"


def test_what_is_as_recorded_is_not_touched(surroundings: Surroundings, platform: Platform) -> None:
    running, stopped = made(platform), made(platform)
    platform.instances.stop(OWNER, stopped)
    before = [surroundings.row(each).__data__ for each in (running, stopped)]
    assert platform.reconciler.sync() == []
    assert [surroundings.row(each).__data__ for each in (running, stopped)] == before


def test_one_look_at_the_engine_serves_all(surroundings: Surroundings) -> None:
    class CountingRuntime(WrappedRuntime):
        """Remembers which calls were made."""

        calls: list[str] = []  # noqa: RUF012 -- one test, one instance

        def before(self, call: str) -> None:
            self.calls.append(call)

    for _ in range(3):
        made(surroundings.open())
    runtime = CountingRuntime(surroundings.memory)
    assert surroundings.open(runtime).reconciler.sync() == []
    assert runtime.calls == ["observe_all", *["probe"] * 3]


def test_a_bot_that_was_started_outside_is_said_to_be(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    container_id = platform.instances.stop(OWNER, instance_id).container_id or ""
    spec = surroundings.memory.engine.containers[instance_id].spec
    surroundings.memory.start(container_id, instance_id, spec)
    assert [change["reason"] for change in platform.reconciler.sync()] == ["started_outside"]
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


def test_a_bot_that_came_back_is_running_again(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 1)
    platform.reconciler.sync()
    surroundings.memory.engine.containers[instance_id].state = ContainerState.RUNNING
    assert [change["after"] for change in platform.reconciler.sync()] == ["running"]
    assert platform.instances.get(OWNER, instance_id).detail == ""


def test_a_restarted_bot_is_creating_until_it_answers_and_in_time(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    instance_id = made(platform)
    surroundings.set_row(instance_id, status="stopped", reason="stopped_outside")
    surroundings.memory.ready = False
    assert [change["after"] for change in platform.reconciler.sync()] == ["creating"]
    clock.advance(seconds=31)
    assert [change["reason"] for change in platform.reconciler.sync()] == ["not_ready"]
    surroundings.memory.ready = True
    assert [change["after"] for change in platform.reconciler.sync()] == ["running"]


def test_a_new_container_of_the_same_bot_is_known_from_then_on(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    engine = surroundings.memory.engine
    engine.containers[instance_id].id = "f" * 64
    assert platform.reconciler.sync() == []
    assert platform.instances.get(OWNER, instance_id).container_id == "f" * 64


def test_a_failed_operation_stays_recorded(surroundings: Surroundings, platform: Platform) -> None:
    surroundings.memory.engine.images = set()
    instance = platform.instances.create(OWNER, GOOD)
    assert platform.reconciler.sync() == []
    known = platform.instances.get(OWNER, instance.id)
    assert replace(known, status_as_of=instance.status_as_of) == instance


def test_without_an_engine_nothing_changes(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    before = surroundings.row(instance_id).__data__
    platform = surroundings.open(BrokenRuntime(surroundings.memory))
    with pytest.raises(RuntimeUnavailable):
        platform.reconciler.sync()
    assert surroundings.row(instance_id).__data__ == before


@pytest.mark.parametrize("error", [RuntimeUnavailable(), RuntimeFailure("It cannot be inspected.")])
@pytest.mark.parametrize("operation", [None, "start"])
def test_one_that_cannot_be_looked_at_spoils_nothing(
    surroundings: Surroundings, platform: Platform, error: Any, operation: str | None
) -> None:
    class OneSpoilt(BrokenRuntime):
        """Only one container cannot be observed."""

        def observe(self, instance_id: str) -> Any:
            return super().observe(instance_id) if instance_id == spoilt else self.inner.observe(instance_id)

    spoilt, other = made(platform), made(platform)
    surroundings.memory.crash(spoilt)
    surroundings.memory.crash(other)
    before = surroundings.row(spoilt).__data__
    syncing = surroundings.open(OneSpoilt(surroundings.memory, error=error, calls=("observe",)))
    assert [change["id"] for change in syncing.reconciler.sync()] == [other]
    # Its age goes on: until its last change of status it was known to be so.
    assert surroundings.row(spoilt).__data__ == {**before, "unanswered_since": before["status_since"]}


def test_a_probe_that_fails_against_its_contract_spoils_nothing(surroundings: Surroundings) -> None:
    class RaisingProbe(WrappedRuntime):
        """Its probe raises what it must not."""

        def probe(self, *_: Any) -> bool:
            raise KeyError

    instance_id = made(surroundings.open())
    surroundings.set_row(instance_id, status="stopped")
    assert surroundings.open(RaisingProbe(surroundings.memory)).reconciler.sync() == []


def test_an_instance_that_is_worked_on_is_left_to_whoever_does(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.memory.crash(instance_id)
    surroundings.set_row(instance_id, claim="alive", claim_until=Clock()() + timedelta(seconds=10))
    assert platform.reconciler.sync() == []
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


class Meanwhile(WrappedRuntime):
    """Something happens to the row while the sync looks at the container."""

    def __init__(self, inner: MemoryRuntime, happening: Callable[[], object]) -> None:
        super().__init__(inner)
        self.happening = happening

    def before(self, call: str) -> None:
        if call == "observe":
            self.happening()


def test_an_owner_does_not_have_to_wait_for_a_comparison(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    surroundings.set_row(instance_id, status=Status.STOPPED)
    slow = SlowRuntime(surroundings.memory, calls=("observe",))
    syncing = surroundings.open(slow)
    with ThreadPoolExecutor(1) as threads:
        sync = threads.submit(syncing.reconciler.sync)
        assert slow.entered.wait(10)
        assert surroundings.open().instances.stop(OWNER, instance_id).status == Status.STOPPED
        slow.release()
        assert sync.result(20) == []
    assert surroundings.row(instance_id).status == Status.STOPPED


def test_a_comparison_that_lost_its_claim_records_nothing(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    surroundings.memory.crash(instance_id)
    runtime = Meanwhile(surroundings.memory, lambda: surroundings.set_row(instance_id, claim="somebody else"))
    assert surroundings.open(runtime).reconciler.sync() == []
    row = surroundings.row(instance_id)
    assert (row.status, row.claim) == ("running", "somebody else")


def test_that_a_bot_answered_says_nothing_after_somebody_has_started_it_again(surroundings: Surroundings) -> None:
    clock = Clock()
    owner = surroundings.open(WAIT_SECONDS=0, clock=clock)
    instance_id = owner.instances.create(OWNER, GOOD).id
    surroundings.reaches(instance_id, status="running", operation=None)
    surroundings.memory.engine.containers[instance_id].restart_count = 1
    assert owner.reconciler.sync() == []
    owner.reconciler.look([instance_id])
    assert surroundings.row(instance_id).restarts_seen == 1

    def restart_in_vain() -> None:
        if surroundings.memory.ready:
            surroundings.memory.ready = False
            owner.instances.restart(OWNER, instance_id)
            surroundings.reaches(instance_id, reason="waiting_until_ready")
            clock.advance(seconds=31)
            surroundings.reaches(instance_id, operation=None, status="error", reason="not_ready")

    surroundings.open(Meanwhile(surroundings.memory, restart_in_vain), clock=clock).reconciler.look([instance_id])
    row = surroundings.row(instance_id)
    assert (row.status, row.reason) == ("error", "not_ready")


def test_an_operation_that_began_after_the_look_is_not_disturbed(surroundings: Surroundings) -> None:
    class BeginsBetween(WrappedRuntime):
        """An owner's stop is stored, and its process dies, right after the look at all containers."""

        def after(self, call: str) -> None:
            if call == "observe_all":
                surroundings.set_row(instance_id, status="stopped", reason="")

        def probe(self, *_: Any) -> bool:
            surroundings.set_row(instance_id, wish="stop", operation="stop")
            return True

    instance_id = made(surroundings.open())
    assert surroundings.open(BeginsBetween(surroundings.memory)).reconciler.sync() == []
    row = surroundings.row(instance_id)
    assert (row.operation, row.claim, row.status) == ("stop", None, "stopped")


def test_a_sync_does_not_wait_for_what_it_resumed_unless_told(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    surroundings.set_row(instance_id, wish="stop", operation="stop")
    runtime = SlowRuntime(surroundings.memory, calls=("stop",))
    platform = surroundings.open(runtime)
    assert platform.reconciler.sync() == []
    assert runtime.entered.wait(10)
    assert surroundings.row(instance_id).operation == "stop"
    runtime.release()
    surroundings.reaches(instance_id, operation=None, status="stopped")
    assert surroundings.witness.until(StatusChanged, after=Status.STOPPED).actor == "sync"


@pytest.mark.parametrize("call", ["stop", "delete"])
def test_no_stop_waits_until_the_images_of_others_were_downloaded(surroundings: Surroundings, call: str) -> None:
    """What a server left that ended while bots were made, and one was stopped."""
    engine = surroundings.memory.engine
    cut_off = surroundings.open(BrokenRuntime(surroundings.memory)).instances
    for _ in range(MOST_AT_ONCE):
        cut_off.create(OWNER, GOOD)
    instance_id = made(surroundings.open())
    with pytest.raises(RuntimeUnavailable):
        getattr(cut_off, call)(OWNER, instance_id)
    engine.images, engine.registry = set(), {"nginx:alpine"}
    downloading = SlowRuntime(surroundings.memory, calls=("pull",))
    surroundings.open(downloading).reconciler.sync()
    ended = eventually(lambda: surroundings.memory.observe(instance_id).state is not ContainerState.RUNNING, within=5.0)
    downloading.release()
    assert ended


def test_a_stop_does_not_wait_for_the_download_that_it_has_ended(surroundings: Surroundings) -> None:
    cut_off = surroundings.open(BrokenRuntime(surroundings.memory)).instances
    instance_id = cut_off.create(OWNER, GOOD).id
    surroundings.memory.engine.images, surroundings.memory.engine.registry = set(), {"nginx:alpine"}
    downloading = SlowRuntime(surroundings.memory, calls=("pull",))
    platform = surroundings.open(downloading)
    platform.reconciler.sync()
    surroundings.reaches(instance_id, reason="pulling_image")
    with pytest.raises(RuntimeUnavailable):
        cut_off.patch(OWNER, instance_id, {"status": "stopped"})
    platform.reconciler.sync()
    stopped = eventually(lambda: surroundings.row(instance_id).status == Status.STOPPED, within=5.0)
    downloading.release()
    assert stopped


def test_the_actor_of_a_sync_is_told(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.memory.crash(instance_id)
    platform.reconciler.sync("cli")
    assert surroundings.witness.of(StatusChanged)[-1].actor == "cli"


@pytest.mark.parametrize("owner", ["sync", "cli"])
def test_an_owner_may_be_called_like_an_actor(surroundings: Surroundings, owner: str) -> None:
    runtime = BrokenRuntime(surroundings.memory, calls=("stop",))
    platform = surroundings.open(runtime)
    instance_id = platform.instances.create(owner, GOOD).id
    surroundings.set_row(instance_id, wish="stop", operation="stop")
    platform.reconciler.sync(owner, patience=10)
    assert surroundings.row(instance_id).operation == "stop", "it must stay to be resumed"


def test_a_deleted_row_without_an_operation_stays_hidden(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.set_row(instance_id, wish="delete", status="deleted")
    platform.reconciler.sync(patience=10)
    assert surroundings.row(instance_id).status == "deleted"
    assert not surroundings.witness.of(InstanceDeleted)


def test_a_bot_that_never_answers_is_said_not_to_although_the_engines_clock_is_ahead(
    surroundings: Surroundings,
) -> None:
    clock = Clock()
    surroundings.memory.engine.clock = lambda: clock() + timedelta(hours=1)
    platform = surroundings.open(clock=clock)
    instance_id = made(platform)
    surroundings.set_row(instance_id, status="stopped", reason="stopped_outside")
    surroundings.memory.ready = False
    assert [change["after"] for change in platform.reconciler.sync()] == ["creating"]
    assert platform.reconciler.sync() == [], "it has its time"
    clock.advance(seconds=31)
    assert [change["reason"] for change in platform.reconciler.sync()] == ["not_ready"]


def test_a_bot_that_hangs_is_unhealthy_although_the_engines_clock_is_ahead(surroundings: Surroundings) -> None:
    surroundings.memory.engine.clock = lambda: utc_now() + timedelta(hours=1)
    platform = surroundings.open()
    instance_id = made(platform)
    surroundings.memory.ready = False
    assert platform.reconciler.sync() == [], "one look without an answer proves nothing"
    assert [change["reason"] for change in platform.reconciler.sync()] == ["unhealthy"]
    assert platform.instances.get(OWNER, instance_id).status == Status.ERROR


def test_a_bot_that_waits_does_not_wait_for_a_clock_that_was_put_back(surroundings: Surroundings) -> None:
    clock = Clock()
    surroundings.memory.engine.clock = clock
    platform = surroundings.open(clock=clock)
    surroundings.memory.ready = False
    instance_id = platform.instances.create(OWNER, GOOD, wait=0).id
    surroundings.reaches(instance_id, reason="waiting_until_ready", started=True)
    clock.advance(hours=-1)
    # It has its whole time once more, from now on.
    assert eventually(lambda: surroundings.row(instance_id).operation_since <= clock(), within=20.0)
    clock.advance(seconds=31)
    surroundings.reaches(instance_id, reason="not_ready", operation=None)


def test_a_bot_that_nobody_starts_does_not_wait_for_a_clock_that_was_put_back(surroundings: Surroundings) -> None:
    clock = Clock()
    surroundings.memory.engine.clock = clock
    platform = surroundings.open(clock=clock)
    instance_id = made(platform)
    surroundings.set_row(instance_id, status="stopped", reason="stopped_outside")
    surroundings.memory.ready = False
    assert [change["after"] for change in platform.reconciler.sync()] == ["creating"]
    clock.advance(hours=-1)
    assert [change["reason"] for change in platform.reconciler.sync()] == ["not_ready"]


def test_a_crash_loop_is_held_back_although_the_engine_tells_nothing_of_it(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    bot = made(platform)
    for restarts, reason in ((1, "crashed"), (2, "crashed"), (3, "crash_loop")):
        surroundings.memory.loop(bot, restarts)
        platform.reconciler.sync(patience=10)
        assert platform.instances.get(OWNER, bot).reason == reason
        clock.advance(seconds=30)
    assert surroundings.memory.observe(bot).state is ContainerState.EXITED
