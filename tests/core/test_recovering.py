"""Bots that should run, run: they are brought back, and held back while they crash in a loop. Stop always wins."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest

from clawdeploy.core import claims, engine_health
from clawdeploy.core.activity import KEPT
from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import ContainerSpec, ContainerState, Observation, Probe, Status
from clawdeploy.core.errors import ContainerUnusable, OperationInProgress, PortTaken, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.platform import Platform
from clawdeploy.core.recording import MOST_NOTED
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime
from clawdeploy.core.testing.failing_runtimes import LostAnswerRuntime, WrappedRuntime
from tests.core.plain_blueprint import Plain, mounted
from tests.core.surroundings import OWNER, Clock, Surroundings, made
from tests.platforms import GOOD

PATIENCE = 20


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(surroundings: Surroundings, clock: Clock) -> Platform:
    surroundings.memory.engine.clock = clock
    return surroundings.open(clock=clock)


def sync(platform: Platform) -> None:
    platform.reconciler.sync(patience=PATIENCE)


def state(surroundings: Surroundings, instance_id: str) -> ContainerState:
    return surroundings.memory.observe(instance_id).state


def test_what_ended_with_the_engine_is_brought_back(surroundings: Surroundings, platform: Platform) -> None:
    running, stopped, by_hand = made(platform), made(platform), made(platform)
    platform.instances.stop(OWNER, stopped)
    surroundings.memory.stop(surroundings.memory.observe(by_hand).container_id or "", 1)
    sync(platform)
    surroundings.memory.end_with_engine()
    sync(platform)
    assert platform.instances.get(OWNER, running).status == Status.RUNNING
    assert state(surroundings, running) is ContainerState.RUNNING
    for left in (stopped, by_hand):
        assert platform.instances.get(OWNER, left).status == Status.STOPPED
        assert state(surroundings, left) is ContainerState.EXITED
    told = [(entry.actor, entry.what, entry.detail) for entry in platform.instances.activity(OWNER, running)]
    assert ("sync", "recover", "Docker had ended it when Docker itself started.") in told


def test_what_the_engine_could_not_start_by_itself_is_started(surroundings: Surroundings, platform: Platform) -> None:
    running, stopped = made(platform), made(platform)
    platform.instances.stop(OWNER, stopped)
    surroundings.memory.end_with_engine("a file to mount is not there")
    sync(platform)
    assert platform.instances.get(OWNER, running).status == Status.RUNNING
    assert state(surroundings, stopped) is ContainerState.EXITED
    told = [(entry.what, entry.detail) for entry in platform.instances.activity(OWNER, running)]
    assert ("recover", "Docker could not start it by itself.") in told


def test_one_that_has_crashed_and_then_ends_with_the_engine_is_brought_back(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 1)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).reason == "crashed"
    surroundings.memory.end_with_engine()
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


def test_what_ends_with_the_engine_while_it_comes_up_is_started_once_more(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    class EndsAfterStart(WrappedRuntime):
        """The engine is killed as soon as it has started a container, and starts again."""

        ended = False

        def after(self, call: str) -> None:
            if call == "start" and not self.ended:
                self.ended = True
                surroundings.memory.end_with_engine()

    instance_id = made(platform)
    platform.instances.stop(OWNER, instance_id)
    crashing = surroundings.open(EndsAfterStart(surroundings.memory), clock=clock)
    assert crashing.instances.start(OWNER, instance_id).status == Status.RUNNING
    assert state(surroundings, instance_id) is ContainerState.RUNNING


class Forgetful(WrappedRuntime):
    """Starts none of the containers that it had at some moment, as an engine that was killed while it started them.

    It may also hold their ports, for as long as it goes on.
    """

    unusable: frozenset[str] = frozenset()
    held: frozenset[int | None] = frozenset()

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        if container_id in self.unusable:
            raise ContainerUnusable("Docker says: task already exists")
        if self.inner.observe(instance_id).host_port in self.held:
            raise PortTaken("In use.")
        super().start(container_id, instance_id, spec)


@pytest.mark.parametrize("port_is_held", [False, True])
@pytest.mark.parametrize("asked", ["", "start", "restart"])
def test_a_container_that_the_engine_cannot_start_any_more_is_made_anew(
    surroundings: Surroundings, clock: Clock, asked: str, port_is_held: bool
) -> None:
    runtime = Forgetful(surroundings.memory)
    platform = surroundings.open(runtime, clock=clock)
    instance_id = made(platform)
    before = platform.instances.get(OWNER, instance_id)
    if asked == "start":
        platform.instances.stop(OWNER, instance_id)
    runtime.unusable = frozenset([before.container_id or ""])
    runtime.held = frozenset([before.host_port]) if port_is_held else frozenset()
    if asked:
        getattr(platform.instances, asked)(OWNER, instance_id)
    else:
        surroundings.memory.end_with_engine()
        sync(platform)
    after = platform.instances.get(OWNER, instance_id)
    assert (after.status, after.reason, after.operation) == (Status.RUNNING, "", None)
    assert after.container_id != before.container_id
    assert (after.host_port == before.host_port) is not port_is_held
    assert [each.container_id for each in surroundings.memory.observe_all().values()] == [after.container_id]


class Refusing(Forgetful):
    """Refuses one call once, when it is about another container than those that it does not start any more."""

    refused = ""

    def before(self, call: str) -> None:
        if call == self.refused:
            self.refused = ""
            raise RuntimeFailure("There is no space left.")


@pytest.mark.parametrize("then", ["waits", "stop", "start"])
@pytest.mark.parametrize("refused", ["create", "start"])
def test_what_was_to_be_made_anew_by_itself_and_could_not_be_is_tried_again(
    surroundings: Surroundings, clock: Clock, refused: str, then: str
) -> None:
    runtime = Refusing(surroundings.memory)
    platform = surroundings.open(runtime, clock=clock)
    instance_id = made(platform)
    runtime.unusable = frozenset([platform.instances.get(OWNER, instance_id).container_id or ""])
    runtime.refused = refused
    surroundings.memory.end_with_engine()
    sync(platform)
    failed = platform.instances.get(OWNER, instance_id)
    assert (failed.status, failed.reason) == (Status.ERROR, "runtime_failure")
    assert failed.detail == "There is no space left. It is started again 10 seconds later; Stop ends that."
    assert state(surroundings, instance_id) is ContainerState.MISSING
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).retry_at == failed.retry_at, "not before the pause is over"
    if then != "waits":
        getattr(platform.instances, then)(OWNER, instance_id)
    clock.advance(seconds=11)
    sync(platform)
    after = platform.instances.get(OWNER, instance_id)
    assert (after.status, after.retry_at) == (Status.STOPPED if then == "stop" else Status.RUNNING, None)
    ran = ContainerState.MISSING if then == "stop" else ContainerState.RUNNING
    assert state(surroundings, instance_id) is ran


def test_what_was_removed_for_another_one_and_was_not_made_is_made_later(
    surroundings: Surroundings, clock: Clock
) -> None:
    class Refuses(WrappedRuntime):
        """Says that it did not do what it did, once."""

        left = 1

        def after(self, done: str) -> None:
            if done == "remove" and self.left:
                self.left -= 1
                raise RuntimeFailure("Docker says: something failed")

    instance_id = made(surroundings.open(clock=clock))
    surroundings.set_row(instance_id, made_from="something else")
    platform = surroundings.open(Refuses(surroundings.memory), clock=clock)
    failed = platform.instances.restart(OWNER, instance_id)
    assert (failed.status, failed.reason) == (Status.ERROR, "runtime_failure")
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).detail == failed.detail
    clock.advance(seconds=11)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


@pytest.mark.parametrize("refused", ["create", "start"])
@pytest.mark.parametrize("by_sync", [True, False])
def test_one_that_is_made_anew_for_a_secret_and_could_not_be_is_tried_again(
    surroundings: Surroundings, clock: Clock, refused: str, by_sync: bool
) -> None:
    """Nobody has asked for it to end, and perhaps nobody waits to say what to do."""
    runtime = BrokenRuntime(surroundings.memory, RuntimeFailure("There is no space left."), calls=(refused,))
    platform = surroundings.open(runtime, clock=clock, plugins={"plain": Plain()})
    instance_id = made(surroundings.open(clock=clock, plugins={"plain": Plain()}), blueprint="plain")
    if by_sync:
        surroundings.memory.loop(instance_id, 1)
        sync(platform)
    platform.instances.patch(OWNER, instance_id, {"apiKey": "new"})
    sync(platform)
    failed = platform.instances.get(OWNER, instance_id)
    assert (failed.status, failed.reason) == (Status.ERROR, "runtime_failure")
    assert failed.detail == "There is no space left. It is started again 10 seconds later; Stop ends that."
    runtime.mend()
    clock.advance(seconds=11)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING
    assert mounted(surroundings, instance_id) == {"/run/apiKey": "new"}


def test_one_whose_new_container_was_made_and_called_a_failure_is_tried_again(
    surroundings: Surroundings, clock: Clock
) -> None:
    class Refuses(WrappedRuntime):
        refuses = True

        def after(self, call: str) -> None:
            if call == "create" and self.refuses:
                raise RuntimeFailure("It could not be made.")

    runtime = Refuses(surroundings.memory)
    platform = surroundings.open(runtime, clock=clock, plugins={"plain": Plain()})
    instance_id = made(surroundings.open(clock=clock, plugins={"plain": Plain()}), blueprint="plain")
    assert platform.instances.patch(OWNER, instance_id, {"apiKey": "new"}).status == Status.ERROR
    for _ in range(2):
        # That it is there is found out before it is time to try it again.
        sync(platform)
    assert surroundings.memory.observe(instance_id).state is ContainerState.CREATED
    runtime.refuses = False
    clock.advance(seconds=11)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING
    assert mounted(surroundings, instance_id) == {"/run/apiKey": "new"}


def test_one_that_never_had_a_port_waits_for_its_owner_whatever_it_was_asked_for(surroundings: Surroundings) -> None:
    platform = surroundings.open(PORT_RANGE="10000-10000")
    made(platform)
    waiting = platform.instances.create(OWNER, GOOD).id
    assert surroundings.row(waiting).reason == "no_free_port"
    # As when a restart takes over a start whose process was frozen for too long.
    surroundings.set_row(waiting, operation="restart", operation_since=utc_now())
    sync(platform)
    row = surroundings.row(waiting)
    assert (row.status, row.reason, row.operation, row.retry_at) == ("error", "no_free_port", None, None)


def test_what_is_stopped_before_another_one_was_made_is_stopped_and_can_be_started(surroundings: Surroundings) -> None:
    slow = SlowRuntime(surroundings.memory, calls=("pull",))
    platform = surroundings.open(slow)
    instance_id = made(platform)
    (image, *_) = surroundings.memory.engine.containers[instance_id].spec.images
    surroundings.memory.engine.images, surroundings.memory.engine.registry = set(), {image}
    surroundings.set_row(instance_id, made_from="something else")
    platform.instances.restart(OWNER, instance_id, wait=0)
    surroundings.reaches(instance_id, reason="pulling_image")
    assert platform.instances.stop(OWNER, instance_id).status == Status.STOPPED
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.STOPPED
    slow.release()
    assert platform.instances.start(OWNER, instance_id).status == Status.RUNNING


def test_what_was_brought_back_and_is_removed_meanwhile_is_not_made_anew(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.set_row(instance_id, operation="recover", operation_since=Clock()())
    surroundings.memory.vanish(instance_id)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).reason == "container_missing"
    assert state(surroundings, instance_id) is ContainerState.MISSING


def test_a_stopped_by_hand_that_was_seen_is_left_alone_when_the_engine_restarts(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.stop(surroundings.memory.observe(instance_id).container_id or "", 1)
    sync(platform)
    surroundings.memory.engine.containers[instance_id].ended_with_engine = True
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).reason == "stopped_outside"


def test_a_stopped_by_hand_that_somebody_fails_to_start_is_still_stopped_by_hand(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.stop(surroundings.memory.observe(instance_id).container_id or "", 1)
    sync(platform)
    known = platform.instances.get(OWNER, instance_id)
    container = surroundings.memory.engine.containers[instance_id]
    container.exit_code, container.engine_error = 128, "address already in use"
    for _ in range(2):
        sync(platform)
        platform.reconciler.look([instance_id], "engine")
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason, instance.detail) == (known.status, "stopped_outside", known.detail)
    assert state(surroundings, instance_id) is ContainerState.EXITED


def test_what_an_engine_that_is_shut_down_ends_is_not_stopped_by_hand(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.stop(surroundings.memory.observe(instance_id).container_id or "", 1)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).reason == "stopped_outside"
    container = surroundings.memory.engine.containers[instance_id]
    container.exit_code, container.engine_error, container.ended_with_engine = 127, "a file is not there", True
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING
    told = [one.detail for one in platform.instances.activity(OWNER, instance_id)]
    assert "Docker could not start it by itself." in told


def test_what_ran_once_more_after_somebody_had_stopped_it_is_brought_back(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    container = surroundings.memory.observe(instance_id).container_id or ""
    surroundings.memory.stop(container, 1)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).reason == "stopped_outside"
    surroundings.memory.start(container, instance_id, surroundings.memory.engine.containers[instance_id].spec)
    surroundings.memory.end_with_engine()
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


def test_a_paused_bot_that_the_engine_fails_to_start_when_it_starts_is_brought_back(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.engine.containers[instance_id].state = ContainerState.PAUSED
    sync(platform)
    surroundings.memory.end_with_engine("a file to mount is not there")
    sync(platform)
    told = [one.reason for one in platform.instances.activity(OWNER, instance_id)]
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING
    assert "crashed" not in told


def test_a_bot_that_its_owner_stopped_is_not_brought_back_although_somebody_had_started_it(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    container = platform.instances.stop(OWNER, instance_id).container_id or ""
    spec = surroundings.memory.engine.containers[instance_id].spec
    surroundings.memory.start(container, instance_id, spec)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).reason == "started_outside"
    surroundings.memory.end_with_engine()
    sync(platform)
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.operation) == (Status.STOPPED, None)
    assert state(surroundings, instance_id) is ContainerState.EXITED


def crash(surroundings: Surroundings, platform: Platform, instance_id: str, times: int = 3) -> None:
    surroundings.memory.loop(instance_id, times)
    sync(platform)


def test_a_crash_loop_is_held_back_longer_each_time(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    for pause in (10, 20, 40, 80, 160, 300, 300):
        crash(surroundings, platform, instance_id)
        instance = platform.instances.get(OWNER, instance_id)
        assert (instance.status, instance.reason, instance.operation) == ("error", "crash_loop", None)
        assert state(surroundings, instance_id) is ContainerState.EXITED
        clock.advance(seconds=pause - 2)
        sync(platform)
        assert state(surroundings, instance_id) is ContainerState.EXITED, f"it was to be left alone for {pause} s"
        clock.advance(seconds=2)
        sync(platform)
        assert state(surroundings, instance_id) is ContainerState.RUNNING
        assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


Seen = tuple[int, bool] | None
"""The exit code of a crash and whether memory was short, or ``None`` for one that nobody saw."""
FAILED, SHORT = (3, False), (137, True)


def crash_each(surroundings: Surroundings, platform: Platform, instance_id: str, crashes: list[Seen]) -> str:
    """Let a bot crash again and again, looked at each time, and return what its owner reads."""
    for count, each in enumerate(crashes, 1):
        surroundings.memory.loop(instance_id, count, *(each or (1, False)))
        if each is None:
            surroundings.memory.mend(instance_id)
            surroundings.memory.ready = count < len(crashes)
        platform.reconciler.look([instance_id], "engine")
        if count < len(crashes):
            surroundings.memory.mend(instance_id)
            platform.reconciler.look([instance_id], "engine")
    surroundings.reaches(instance_id, operation=None)
    return platform.instances.get(OWNER, instance_id).detail


@pytest.mark.parametrize(
    ("crashes", "reason", "said"),
    [
        ((FAILED, FAILED, SHORT), "crash_loop", ", 1 of them because it ran out of memory ({}), before that with exit"),
        ((SHORT, FAILED, FAILED), "crash_loop", ", 1 of them because it ran out of memory ({}), the last time with"),
        ((FAILED, FAILED, FAILED), "crash_loop", ": 3 times in the last 10 minutes, with exit code 3."),
        ((FAILED, FAILED, None), "crash_loop", ": 3 times in the last 10 minutes, before that with exit code 3."),
        ((SHORT, SHORT, None), "out_of_memory", "({}) 2 times in the last 10 minutes and was ended by the system."),
        ((None, None, None), "crash_loop", "It keeps ending by itself: 3 times in the last 10 minutes. The logs"),
    ],
)
def test_each_crash_keeps_its_own_cause(
    surroundings: Surroundings, platform: Platform, crashes: tuple[Seen, ...], reason: str, said: str
) -> None:
    instance_id = made(platform)
    detail = crash_each(surroundings, platform, instance_id, list(crashes))
    memory = (surroundings.memory.observe(instance_id).memory_bytes or 0) // 2**20
    assert platform.instances.get(OWNER, instance_id).reason == reason
    assert said.format(f"{memory} MB") in detail


def test_crashes_of_long_ago_that_no_server_saw_make_no_loop(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 3, 3)
    surroundings.memory.engine.containers[instance_id].started_at = clock() - timedelta(hours=5)
    platform.reconciler.look([instance_id], "engine")
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason, instance.operation) == ("error", "crashed", None)
    assert surroundings.row(instance_id).restarts_seen == 3
    surroundings.memory.loop(instance_id, 5, 3)
    platform.reconciler.look([instance_id], "engine")
    assert "3 times in the last 10 minutes" in platform.instances.get(OWNER, instance_id).detail


def test_of_crashes_while_no_server_ran_only_the_last_is_known_to_be_of_late(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    sync(platform)
    clock.advance(hours=3)
    surroundings.memory.loop(instance_id, 3, 3)
    surroundings.memory.mend(instance_id)
    clock.advance(minutes=5)
    sync(platform)
    assert surroundings.row(instance_id).restarts_seen == 3
    surroundings.memory.loop(instance_id, 4, 3)
    surroundings.memory.mend(instance_id)
    platform.reconciler.look([instance_id], "engine")
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason, instance.operation) == ("running", "", None)
    details = [one.detail for one in platform.instances.activity(OWNER, instance_id, 2)]
    assert details == [f"It ended by itself{often}, and Docker started it again." for often in ("", " 3 times")]


def test_of_crashes_while_no_server_ran_those_count_that_are_known_to_be_of_late(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    """The run that ended last had begun some minutes ago, right after the crash before it."""
    instance_id = made(platform)
    sync(platform)
    clock.advance(hours=8)
    surroundings.memory.loop(instance_id, 20, 3)
    surroundings.memory.engine.containers[instance_id].started_at = clock() - timedelta(minutes=6)
    platform.reconciler.look([instance_id], "engine")
    assert platform.instances.get(OWNER, instance_id).reason == "crashed"
    surroundings.memory.loop(instance_id, 21, 3)
    platform.reconciler.look([instance_id], "engine")
    assert "3 times in the last 10 minutes" in platform.instances.get(OWNER, instance_id).detail


def test_one_that_cannot_be_looked_at_after_a_gap_does_not_keep_the_sync_from_the_others(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    """It would be a gap for ever."""
    strange, vanished = made(platform), made(platform)

    class CannotSay(WrappedRuntime):
        def observe(self, instance_id: str) -> Observation:
            if instance_id == strange:
                raise RuntimeFailure("What it says is not understood.")
            return super().observe(instance_id)

    sync(platform)
    clock.advance(hours=3)
    surroundings.memory.vanish(vanished)
    sync(surroundings.open(CannotSay(surroundings.memory), clock=clock))
    assert platform.instances.get(OWNER, vanished).reason == "container_missing"
    assert not platform.instances.is_old(platform.instances.get(OWNER, strange).status_as_of)


@pytest.mark.parametrize("ready", [True, False])
def test_a_bot_that_runs_again_since_long_ago_is_in_no_loop(
    surroundings: Surroundings, platform: Platform, clock: Clock, ready: bool
) -> None:
    instance_id = made(platform)
    clock.advance(hours=8)
    surroundings.memory.loop(instance_id, 4, 3)
    surroundings.memory.mend(instance_id)
    runs_since = surroundings.memory.engine.containers[instance_id].started_at = clock() - timedelta(hours=5)
    surroundings.memory.ready = ready
    for _ in range(2):
        sync(platform)
        clock.advance(seconds=30)
        platform.reconciler.look([instance_id], "engine")
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason) == (("running", "") if ready else ("error", "not_ready"))
    assert not ready or instance.status_since == runs_since
    told = [one.detail for one in platform.instances.activity(OWNER, instance_id)]
    assert told.count("It ended by itself 4 times, and Docker started it again.") == 1
    surroundings.memory.loop(instance_id, 5, 3)
    platform.reconciler.look([instance_id], "engine")
    assert platform.instances.get(OWNER, instance_id).reason == "crashed"


@pytest.mark.parametrize("ready", [True, False])
def test_what_was_paused_and_is_resumed_has_not_crashed_again(
    surroundings: Surroundings, platform: Platform, ready: bool
) -> None:
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 4)
    container = surroundings.memory.engine.containers[instance_id]
    container.state = ContainerState.PAUSED
    platform.reconciler.look([instance_id], "engine")
    assert platform.instances.get(OWNER, instance_id).reason == "paused_outside"
    known = len(platform.instances.activity(OWNER, instance_id))
    surroundings.memory.ready = ready
    assert platform.instances.start(OWNER, instance_id, wait=1).status == ("running" if ready else "creating")
    told = platform.instances.activity(OWNER, instance_id)[:-known]
    assert not any(one.reason in ("crashed", "crash_loop") for one in told)
    surroundings.memory.ready = True
    surroundings.reaches(instance_id, status="running", operation=None)
    surroundings.memory.loop(instance_id, 5, 3)
    platform.reconciler.look([instance_id], "engine")
    assert platform.instances.get(OWNER, instance_id).reason == "crashed"


def test_moments_that_were_kept_without_a_cause_still_count(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    at = int(clock().timestamp())
    surroundings.set_row(instance_id, crashes=[at, at], restarts_seen=2)
    surroundings.memory.loop(instance_id, 3, 3)
    sync(platform)
    detail = platform.instances.get(OWNER, instance_id).detail
    assert "3 times in the last 10 minutes, the last time with exit code 3." in detail


def test_a_crash_that_is_mended_between_two_looks_keeps_what_the_first_saw(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    class Mends(WrappedRuntime):
        """The engine starts the container again while the look goes on."""

        def after(self, call: str) -> None:
            if call == "observe":
                surroundings.memory.mend(instance_id)

    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 1, 3)
    surroundings.open(Mends(surroundings.memory), clock=clock).reconciler.look([instance_id], "engine")
    ((_, exit_code, out_of_memory),) = surroundings.row(instance_id).crashes
    assert (exit_code, out_of_memory) == (3, False)


def test_what_the_owner_reads_says_how_often_and_when_it_goes_on(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 4, exit_code=137, out_of_memory=True)
    sync(platform)
    detail = platform.instances.get(OWNER, instance_id).detail
    assert "MB) and was ended by the system. It ended 4 times in the last 10 minutes in all." in detail, "one was seen"
    assert detail.endswith("It is started again 10 seconds later; Stop ends that.")


def test_a_crash_that_the_engine_mends_leaves_a_trace_and_a_new_beginning(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    known = len(platform.instances.activity(OWNER, instance_id))
    for count in (1, 2):
        clock.advance(minutes=1)
        began = clock()
        surroundings.memory.loop(instance_id, count)
        surroundings.memory.mend(instance_id)
        platform.reconciler.look([instance_id], "engine")
        assert platform.instances.get(OWNER, instance_id).status_since >= began, "what ran before has ended"
    platform.reconciler.look([instance_id], "engine")
    sync(platform)
    new = platform.instances.activity(OWNER, instance_id)[:-known]
    said = "It ended by itself, and Docker started it again."
    told = [(one.actor, one.kind, one.what, one.reason, one.detail, one.evidence["restartCount"]) for one in new]
    assert told == [("engine", "state", "running", "crashed", said, count) for count in (2, 1)]


def test_a_crash_after_which_it_comes_up_slowly_leaves_a_trace_as_well(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 1)
    surroundings.memory.mend(instance_id)
    surroundings.memory.ready = False
    platform.reconciler.look([instance_id], "engine")
    surroundings.memory.ready = True
    sync(platform)
    told = [(one.what, one.reason) for one in platform.instances.activity(OWNER, instance_id, 3)]
    assert told == [("running", ""), ("creating", "waiting_until_ready"), ("creating", "crashed")]


def test_crashes_without_end_do_not_drive_out_everything_else(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    for count in range(1, 2 * MOST_NOTED):
        surroundings.memory.loop(instance_id, count)
        surroundings.memory.mend(instance_id)
        platform.reconciler.look([instance_id], "engine")
    noted = [one.reason for one in platform.instances.activity(OWNER, instance_id, KEPT)]
    assert noted.count("crashed") == MOST_NOTED


def test_a_loop_that_the_engine_does_not_stop_is_told_once_and_held_back_when_it_does(
    surroundings: Surroundings, clock: Clock
) -> None:
    runtime = BrokenRuntime(surroundings.memory, calls=("stop",), error=RuntimeFailure("Docker says: not now"))
    platform = surroundings.open(runtime, clock=clock)
    instance_id = made(platform)
    told = len(platform.instances.activity(OWNER, instance_id))
    surroundings.memory.loop(instance_id, 3)
    for _ in range(3):
        sync(platform)
    looping = platform.instances.get(OWNER, instance_id)
    assert (looping.status, looping.reason) == (Status.ERROR, "crash_loop")
    assert looping.detail.endswith("Stop ends that. It could not be stopped at once. Docker says: not now.")
    assert len(platform.instances.activity(OWNER, instance_id)) == told + 1
    runtime.mend()
    sync(platform)
    assert state(surroundings, instance_id) is ContainerState.EXITED
    assert platform.instances.get(OWNER, instance_id).operation is None
    clock.advance(seconds=11)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


@pytest.mark.parametrize("asked", ["create", "restart"])
def test_whoever_asked_for_one_that_loops_and_is_not_stopped_is_told_that_it_loops(
    surroundings: Surroundings, asked: str
) -> None:
    class Loops(BrokenRuntime):
        """Whatever it starts ends at once, again and again."""

        loops = asked == "create"

        def after(self, call: str) -> None:
            for instance_id in surroundings.memory.observe_all() if call == "start" and self.loops else ():
                surroundings.memory.loop(instance_id, 3)

    runtime = Loops(surroundings.memory, calls=("stop",), error=RuntimeFailure("Docker says: not now"))
    platform = surroundings.open(runtime)
    if asked == "create":
        instance = platform.instances.create(OWNER, GOOD)
    else:
        instance_id = made(platform)
        surroundings.memory.crash(instance_id)
        runtime.loops = True
        instance = platform.instances.restart(OWNER, instance_id)
    assert (instance.status, instance.reason) == (Status.ERROR, "crash_loop")
    assert instance.detail.endswith("Docker says: not now.")


def test_one_that_crashes_every_few_minutes_and_is_mended_has_no_healthy_minutes(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    crash(surroundings, platform, instance_id)
    clock.advance(seconds=11)
    sync(platform)
    for count in (1, 2):
        clock.advance(minutes=7)
        surroundings.memory.loop(instance_id, count)
        surroundings.memory.mend(instance_id)
        platform.reconciler.look([instance_id], "engine")
    surroundings.memory.loop(instance_id, 5)
    sync(platform)
    assert "20 seconds later" in platform.instances.get(OWNER, instance_id).detail


def test_a_pause_ends_and_the_age_is_right_also_after_the_clock_was_put_back(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    crash(surroundings, platform, instance_id)
    clock.advance(days=-1)
    assert instance_id in platform.reconciler._store.restless()
    sync(platform)
    instance = platform.instances.get(OWNER, instance_id)
    assert instance.status == Status.RUNNING
    assert instance.status_as_of <= clock()


def test_what_was_seen_before_the_clock_was_put_back_is_not_of_tomorrow(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    sync(platform)
    clock.advance(days=-1)
    began = clock()
    sync(platform)
    assert began <= platform.instances.get(OWNER, instance_id).status_as_of <= clock()


def test_ten_healthy_minutes_forgive(surroundings: Surroundings, platform: Platform, clock: Clock) -> None:
    instance_id = made(platform)
    for _ in range(3):
        crash(surroundings, platform, instance_id)
        clock.advance(minutes=6)
        sync(platform)
    assert surroundings.row(instance_id).failures == 3
    clock.advance(minutes=11)
    sync(platform)
    crash(surroundings, platform, instance_id)
    row = surroundings.row(instance_id)
    assert row.failures == 1
    assert row.retry_at - clock() <= timedelta(seconds=10)


def test_a_crash_now_and_then_is_no_loop(surroundings: Surroundings, platform: Platform, clock: Clock) -> None:
    instance_id = made(platform)
    for count in range(1, 6):
        surroundings.memory.loop(instance_id, count)
        sync(platform)
        assert platform.instances.get(OWNER, instance_id).reason == "crashed"
        surroundings.memory.engine.containers[instance_id].state = ContainerState.RUNNING
        sync(platform)
        assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING
        clock.advance(minutes=11)


def test_one_that_crashes_no_more_and_does_not_answer_is_left_to_run(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    crash(surroundings, platform, instance_id)
    surroundings.memory.ready = False
    clock.advance(seconds=10)
    platform.reconciler.sync()
    surroundings.reaches(instance_id, reason="waiting_until_ready")
    clock.advance(seconds=31)
    surroundings.reaches(instance_id, reason="not_ready", operation=None)
    for _ in range(2):
        sync(platform)
        assert platform.instances.get(OWNER, instance_id).reason == "not_ready"
        assert state(surroundings, instance_id) is ContainerState.RUNNING


@pytest.mark.parametrize("call", ["stop", "delete"])
def test_stop_always_wins(surroundings: Surroundings, platform: Platform, clock: Clock, call: str) -> None:
    instance_id = made(platform)
    crash(surroundings, platform, instance_id)
    getattr(platform.instances, call)(OWNER, instance_id)
    clock.advance(minutes=10)
    sync(platform)
    if call == "stop":
        assert platform.instances.get(OWNER, instance_id).status == Status.STOPPED
    assert state(surroundings, instance_id) is not ContainerState.RUNNING


@pytest.mark.parametrize("call", ["stop", "delete"])
def test_stop_does_not_wait_for_the_stop_of_one_that_is_held_back(
    surroundings: Surroundings, platform: Platform, clock: Clock, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(claims, "RECOVERY_PATIENCE", timedelta(seconds=0.2))
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 3)
    slow = SlowRuntime(surroundings.memory, calls=("stop",))
    slowly = surroundings.open(slow, clock=clock)
    slowly.reconciler.sync()
    assert slow.entered.wait(10)
    with pytest.raises(OperationInProgress):
        platform.instances.restart(OWNER, instance_id)
    getattr(platform.instances, call)(OWNER, instance_id)
    slow.release()
    clock.advance(minutes=10)
    for _ in range(2):
        slowly.reconciler.sync(patience=PATIENCE)
    if call == "stop":
        assert platform.instances.get(OWNER, instance_id).status == Status.STOPPED
        assert state(surroundings, instance_id) is ContainerState.EXITED
    else:
        assert state(surroundings, instance_id) is ContainerState.MISSING


def test_a_stop_waits_for_a_start_that_nobody_asked_for(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = made(platform)
    surroundings.memory.end_with_engine()
    slow = SlowRuntime(surroundings.memory, calls=("start",), patience=1.0)
    surroundings.open(slow, clock=clock).reconciler.sync()
    assert slow.entered.wait(10)
    assert platform.instances.stop(OWNER, instance_id).status == Status.STOPPED
    assert state(surroundings, instance_id) is ContainerState.EXITED


def test_nobody_waits_for_the_sync_when_its_engine_hangs(
    surroundings: Surroundings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_health, "GIVEN_UP_SECONDS", 0.5)
    instance_id = made(platform)
    surroundings.memory.end_with_engine()
    hung = SlowRuntime(surroundings.memory, calls=("start", "ping"))
    slow = surroundings.open(hung)
    slow.reconciler.sync()
    assert hung.entered.wait(10)
    begun = time.monotonic()
    with pytest.raises(OperationInProgress, match="Docker does not answer; try again when it does"):
        slow.instances.stop(OWNER, instance_id)
    assert time.monotonic() - begun < 2
    hung.release()
    surroundings.reaches(instance_id, status="running", operation=None)


def test_a_start_by_its_owner_begins_anew(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    crash(surroundings, platform, instance_id)
    assert platform.instances.start(OWNER, instance_id).status == Status.RUNNING
    row = surroundings.row(instance_id)
    assert (row.retry_at, row.failures, row.crashes) == (None, 0, [])


def not_brought_back(surroundings: Surroundings, platform: Platform, clock: Clock) -> str:
    """Let an engine end a bot and refuse to start it once more."""
    instance_id = made(platform)
    surroundings.memory.end_with_engine()
    broken = BrokenRuntime(surroundings.memory, RuntimeFailure("Docker says: not now"), calls=("start",))
    sync(surroundings.open(broken, clock=clock))
    return instance_id


def test_one_that_cannot_be_brought_back_is_tried_again(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    instance_id = not_brought_back(surroundings, platform, clock)
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason) == ("error", "runtime_failure")
    assert instance.detail == "Docker says: not now. It is started again 10 seconds later; Stop ends that."
    sync(platform)
    platform.reconciler.look([instance_id])
    assert state(surroundings, instance_id) is ContainerState.EXITED
    clock.advance(seconds=11)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


@pytest.mark.parametrize("asked", ["start", "restart"])
def test_one_that_its_owner_started_and_docker_refused_is_tried_again(
    surroundings: Surroundings, clock: Clock, asked: str
) -> None:
    broken = BrokenRuntime(surroundings.memory, RuntimeFailure("Docker says: not now"), calls=())
    platform = surroundings.open(broken, clock=clock)
    instance_id = made(platform)
    if asked == "start":
        platform.instances.stop(OWNER, instance_id)
    broken.calls = ("start",)
    refused = getattr(platform.instances, asked)(OWNER, instance_id)
    assert (refused.status, refused.reason) == ("error", "runtime_failure")
    assert refused.detail == "Docker says: not now. It is started again 10 seconds later; Stop ends that."
    clock.advance(seconds=11)
    sync(platform)
    surroundings.reaches(instance_id, status="error", failures=2)
    broken.calls = ()
    clock.advance(seconds=11)
    sync(platform)
    surroundings.reaches(instance_id, status="error", reason="runtime_failure")
    clock.advance(seconds=11)
    sync(platform)
    surroundings.reaches(instance_id, status="running", reason="", retry_at=None, operation=None)
    told = platform.instances.activity(OWNER, instance_id)
    why = "It could not be started, and the pause after that is over."
    assert [(one.actor, one.detail) for one in told if one.what == "recover"] == [("sync", why)] * 2


class StopsAndSaysNo(WrappedRuntime):
    """Stops a container and calls it a failure, once."""

    says_no = True

    def stop(self, container_id: str, timeout: float) -> None:
        super().stop(container_id, timeout)
        if self.says_no:
            self.says_no = False
            raise RuntimeFailure("Docker says: no")


def test_one_that_has_ended_in_a_restart_that_failed_is_brought_back(surroundings: Surroundings) -> None:
    """Nobody stopped it by hand, although that is what it looks like."""
    platform = surroundings.open(StopsAndSaysNo(surroundings.memory))
    instance_id = made(platform)
    refused = platform.instances.restart(OWNER, instance_id)
    assert (refused.status, refused.reason) == ("error", "runtime_failure")
    sync(platform)
    surroundings.reaches(instance_id, status="running", reason="", operation=None)
    told = [(one.what, one.detail) for one in platform.instances.activity(OWNER, instance_id) if one.kind == "asked"]
    assert told[0] == ("recover", "It had ended in an operation that failed.")


def test_one_that_cannot_be_brought_back_and_is_removed_is_missing(
    surroundings: Surroundings, platform: Platform, clock: Clock
) -> None:
    """That it is tried again is not said any more of what nobody can bring back."""
    instance_id = not_brought_back(surroundings, platform, clock)
    surroundings.reaches(instance_id, status="error", reason="runtime_failure")
    surroundings.memory.vanish(instance_id)
    sync(platform)
    surroundings.reaches(instance_id, status="error", reason="container_missing", operation=None, retry_at=None)


def test_a_process_that_dies_before_it_has_stopped_a_loop_leaves_that_to_the_next(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 3)
    broken = BrokenRuntime(surroundings.memory, calls=("stop",))
    surroundings.open(broken).reconciler.sync(patience=PATIENCE)
    assert state(surroundings, instance_id) is ContainerState.RESTARTING
    assert surroundings.row(instance_id).operation == "recover"
    sync(platform)
    assert surroundings.row(instance_id).operation is None


@pytest.mark.parametrize("asked", [False, True])
def test_a_loop_that_is_stopped_and_the_answer_is_lost_is_nobody_elses_doing(
    surroundings: Surroundings, platform: Platform, clock: Clock, asked: bool
) -> None:
    """Whoever carries on finds a container that has ended, as if somebody on the server had stopped it."""

    class Sick(LostAnswerRuntime):
        def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
            super().start(container_id, instance_id, spec)
            surroundings.memory.loop(instance_id, 3)

    instance_id = made(platform)
    loses = surroundings.open(Sick(surroundings.memory, calls=("stop",)), clock=clock)
    if asked:
        platform.instances.stop(OWNER, instance_id)
        with pytest.raises(RuntimeUnavailable):
            loses.instances.start(OWNER, instance_id)
    else:
        surroundings.memory.loop(instance_id, 3)
        sync(loses)
    for _ in range(2):
        sync(platform)
        instance = platform.instances.get(OWNER, instance_id)
        assert (instance.status, instance.reason, instance.operation) == ("error", "crash_loop", None)
        assert state(surroundings, instance_id) is ContainerState.EXITED
    clock.advance(seconds=10)
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


def test_a_bot_that_stops_answering_is_unhealthy_and_may_recover(
    surroundings: Surroundings, platform: Platform
) -> None:
    instance_id = made(platform)
    surroundings.memory.ready = False
    sync(surroundings.open())
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING, "once may be bad luck"
    sync(surroundings.open())
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason) == ("error", "unhealthy")
    assert state(surroundings, instance_id) is ContainerState.RUNNING
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).reason == "unhealthy"
    surroundings.memory.ready = True
    sync(platform)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


def test_a_bot_that_hangs_and_is_stopped_while_it_is_probed_is_not_of_long_ago(surroundings: Surroundings) -> None:
    probed, stopped = Event(), Event()

    class Hangs(WrappedRuntime):
        def probe(self, observation: Observation, probe: Probe) -> bool:
            probed.set()
            return not stopped.wait(20)

    clock = Clock()
    platform = surroundings.open(clock=clock)
    instance_id = made(platform)
    sync(platform)
    with ThreadPoolExecutor(1) as pool:
        syncs = pool.submit(surroundings.open(Hangs(surroundings.memory)).reconciler.sync)
        assert probed.wait(20)
        assert platform.instances.stop(OWNER, instance_id).status == Status.STOPPED
        stopped.set()
        syncs.result(20)
    clock.advance(hours=1)
    sync(platform)
    assert not platform.instances.is_old(platform.instances.get(OWNER, instance_id).status_as_of)


@pytest.mark.parametrize(("slow", "quick"), [("start", "stop"), ("stop", "start")])
def test_what_an_engine_does_late_is_set_right(
    surroundings: Surroundings, platform: Platform, clock: Clock, slow: str, quick: str
) -> None:
    class Freezes(WrappedRuntime):
        """Its process freezes in a call for so long that another one takes the work over and finishes it."""

        def before(self, call: str) -> None:
            if call == slow:
                clock.advance(seconds=10)
                getattr(platform.instances, quick)(OWNER, instance_id)

    instance_id = made(platform)
    if slow == "start":
        platform.instances.stop(OWNER, instance_id)
    frozen = surroundings.open(Freezes(surroundings.memory), clock=clock)
    getattr(frozen.instances, slow)(OWNER, instance_id)
    sync(platform)
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.status, instance.reason) == ("running" if quick == "start" else "stopped", "")
    assert (state(surroundings, instance_id) is ContainerState.RUNNING) is (quick == "start")
