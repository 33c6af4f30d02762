"""The loop, on engines that do what they are told and on engines that fail in every known way."""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest

from clawdeploy.core import lifecycle
from clawdeploy.core.background import Pace
from clawdeploy.core.claim_keeper import LIFETIME
from clawdeploy.core.claims import OTHERS_SEEN_EVERY
from clawdeploy.core.contracts import (
    Blueprint,
    Bot,
    ContainerSpec,
    ContainerState,
    Limits,
    Observation,
    Operation,
    Probe,
    Status,
    Wish,
)
from clawdeploy.core.errors import (
    PUT_OFF,
    DatabaseUnavailable,
    EngineError,
    ImageMissing,
    ImageUnavailable,
    NameTaken,
    NoContainer,
    PortTaken,
    RuntimeFailure,
    RuntimeUnavailable,
)
from clawdeploy.core.events import InstanceCreated, InstanceDeleted, StatusChanged
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.reasons import SENTENCES
from clawdeploy.core.testing import BrokenRuntime, LostAnswerRuntime, SlowRuntime, VanishingRuntime, eventually
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.surroundings import OWNER, Clock, Surroundings, made
from tests.platforms import GOOD

API_KEY = "sk-very-secret"
IMAGES: tuple[str, ...] = ("nginx:alpine", "clawdeploy-standin:local")


class CountingRuntime(WrappedRuntime):
    """Remembers which calls were made."""

    def __init__(self) -> None:
        super().__init__(MemoryRuntime())
        self.made: list[str] = []

    def before(self, call: str) -> None:
        self.made.append(call)


class ContradictingRuntime(WrappedRuntime):
    """Says that everything was done, and does nothing."""

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        return "made"


class RaisingRuntime(WrappedRuntime):
    """Raises, against its contract, an error of some library, which says more than it should."""

    def __init__(self, call: str, error: type[BaseException]) -> None:
        super().__init__(MemoryRuntime())
        self.call = call
        self.error = error

    def before(self, call: str) -> None:
        if call == self.call:
            raise self.error(API_KEY)


def settled(surroundings: Surroundings, instance_id: str) -> tuple[str, str]:
    """Return what is recorded, having made sure that nobody is working on it."""
    row = surroundings.row(instance_id)
    assert (row.operation, row.operation_since, row.claim, row.claim_until) == (None, None, None, None)
    return row.status, row.reason


# -- all is well -----------------------------------------------------------------------------------------------------


def test_a_new_instance_is_made_started_and_running(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.wish, instance.operation) == (Status.RUNNING, Wish.RUN, None)
    seen = surroundings.memory.observe(instance.id)
    assert (seen.state, seen.container_id) == (ContainerState.RUNNING, instance.container_id)
    assert seen.host_port == instance.host_port
    assert settled(surroundings, instance.id) == ("running", "")


def test_it_asks_the_engine_for_nothing_more_than_it_needs(surroundings: Surroundings) -> None:
    runtime = CountingRuntime()
    platform = surroundings.open(runtime)
    instance_id = made(platform)
    # Before it makes anything it may have had to wait in line, and looks again.
    assert runtime.made == ["room", *["observe"] * 2, "create", "observe", "start", "observe", "probe"]
    runtime.made.clear()
    platform.instances.stop(OWNER, instance_id)
    assert runtime.made == ["observe", "stop", "observe"]


def test_what_happens_is_told_after_it_was_stored(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    platform.instances.stop(OWNER, instance_id)
    platform.instances.delete(OWNER, instance_id)
    events = surroundings.witness.events
    assert [type(event) for event in events] == [InstanceCreated, *[StatusChanged] * 3, InstanceDeleted]
    changes = [(event.before, event.after) for event in surroundings.witness.of(StatusChanged)]
    assert changes == [("pending", "creating"), ("creating", "running"), ("running", "stopped")]
    assert {event.actor for event in events} == {OWNER}


def test_stop_and_start_keep_container_and_port(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    before = platform.instances.get(OWNER, instance_id)
    stopped = platform.instances.stop(OWNER, instance_id)
    assert (stopped.status, stopped.wish) == (Status.STOPPED, Wish.STOP)
    again = platform.instances.start(OWNER, instance_id)
    assert (again.status, again.wish) == (Status.RUNNING, Wish.RUN)
    assert (again.container_id, again.host_port) == (before.container_id, before.host_port)


def test_delete_leaves_neither_container_nor_row_nor_secret_nor_port(surroundings: Surroundings) -> None:
    platform = surroundings.open(PORT_RANGE="10000-10000")
    for _ in range(2):
        instance_id = made(platform, botToken="123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz")
        assert platform.instances.get(OWNER, instance_id).host_port == 10000
        platform.instances.delete(OWNER, instance_id)
        assert (surroundings.count("instance"), surroundings.count("secret")) == (0, 0)
        assert not surroundings.memory.observe_all()


def test_a_missing_image_is_pulled_once(surroundings: Surroundings) -> None:
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {IMAGES[0]}
    made(surroundings.open())
    assert surroundings.memory.has_image((IMAGES[0],))


def test_a_bot_that_is_not_ready_yet_is_waited_for(surroundings: Surroundings) -> None:
    surroundings.memory.ready = False
    platform = surroundings.open(WAIT_SECONDS=0)
    instance = platform.instances.create(OWNER, GOOD)
    assert instance.status in (Status.PENDING, Status.CREATING)
    surroundings.reaches(instance.id, reason="waiting_until_ready")
    surroundings.memory.ready = True
    surroundings.witness.until(StatusChanged, after=Status.RUNNING)
    assert settled(surroundings, instance.id) == ("running", "")


# -- ports -----------------------------------------------------------------------------------------------------------


def test_a_port_that_a_stranger_holds_is_stepped_over(surroundings: Surroundings) -> None:
    surroundings.memory.engine.foreign_ports = {10000, 10001, 10003}
    platform = surroundings.open(PORT_RANGE="10000-10003")
    instance = platform.instances.get(OWNER, made(platform))
    assert instance.host_port == 10002
    assert surroundings.memory.observe(instance.id).host_port == 10002
    assert len(surroundings.memory.observe_all()) == 1


def test_when_strangers_hold_every_port_it_says_so_and_leaves_nothing(surroundings: Surroundings) -> None:
    surroundings.memory.engine.foreign_ports = {10000, 10001}
    platform = surroundings.open(PORT_RANGE="10000-10001")
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.container_id) == (Status.ERROR, None)
    assert "10000 to 10001 were in use" in instance.detail
    assert not surroundings.memory.observe_all()
    assert settled(surroundings, instance.id) == ("error", "no_free_port")


def test_one_free_port_among_many_taken_ones_is_found(surroundings: Surroundings) -> None:
    surroundings.memory.engine.foreign_ports = set(range(10000, 10100)) - {10057}
    platform = surroundings.open(PORT_RANGE="10000-10099")
    assert platform.instances.get(OWNER, made(platform)).host_port == 10057


def test_after_very_many_taken_ports_it_gives_up(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "MOST_PORTS", 20)
    surroundings.memory.engine.foreign_ports = set(range(10000, 10100))
    platform = surroundings.open(PORT_RANGE="10000-10099")
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason, instance.container_id) == (Status.ERROR, "port_taken", None)
    assert not surroundings.memory.observe_all()
    surroundings.memory.engine.foreign_ports.clear()
    assert platform.instances.patch(OWNER, instance.id, {"status": "running"}).status == Status.RUNNING


def test_a_port_taken_while_the_bot_was_stopped_is_said(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    port = platform.instances.stop(OWNER, instance_id).host_port
    assert port is not None
    surroundings.memory.engine.foreign_ports.add(port)
    instance = platform.instances.start(OWNER, instance_id)
    assert (instance.status, instance.reason, instance.host_port) == (Status.ERROR, "port_taken", port)
    surroundings.memory.engine.foreign_ports.clear()
    assert platform.instances.start(OWNER, instance_id).status == Status.RUNNING


# -- an engine that fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["observe", "create", "start"])
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_creation_that_finds_no_engine_is_kept_and_carried_out_later(
    surroundings: Surroundings, call: str, by_hand: bool
) -> None:
    runtime = BrokenRuntime(surroundings.memory, calls=(call,))
    platform = surroundings.open(runtime)
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_unavailable")
    assert (instance.operation, instance.detail) == ("create", f"Docker does not answer. {PUT_OFF}")
    with pytest.raises(RuntimeUnavailable):
        platform.instances.retry(OWNER, instance.id)
    runtime.mend()
    if by_hand:
        assert platform.instances.patch(OWNER, instance.id, {"status": "running"}).status == Status.RUNNING
    else:
        platform.reconciler.sync(patience=10)
    assert settled(surroundings, instance.id) == ("running", "")
    assert len(surroundings.memory.observe_all()) == 1


@pytest.mark.parametrize("call", ["observe", "start"])
def test_a_start_that_finds_no_engine_is_kept_and_carried_out_later(surroundings: Surroundings, call: str) -> None:
    instance_id = made(surroundings.open())
    surroundings.open().instances.stop(OWNER, instance_id)
    runtime = BrokenRuntime(surroundings.memory, calls=(call,))
    platform = surroundings.open(runtime)
    with pytest.raises(RuntimeUnavailable) as told:
        platform.instances.start(OWNER, instance_id)
    assert told.value.detail == f"Docker does not answer. {PUT_OFF}"
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.wish, instance.operation, instance.reason) == (Wish.RUN, "start", "runtime_unavailable")
    assert instance.detail == told.value.detail
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert settled(surroundings, instance_id) == ("running", "")


class OddFailure(RuntimeFailure):
    """What a plugin may raise: made otherwise than ours, so that it cannot be copied."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{said} ({status})")


@pytest.mark.parametrize("call", ["observe", "stop"])
@pytest.mark.parametrize("error", [RuntimeUnavailable(), OddFailure(500, "The engine refused.")])
def test_a_stop_that_the_engine_does_not_carry_out_is_kept(
    surroundings: Surroundings, call: str, error: EngineError
) -> None:
    instance_id = made(surroundings.open())
    runtime = BrokenRuntime(surroundings.memory, error=error, calls=(call,))
    platform = surroundings.open(runtime)
    with pytest.raises(EngineError) as told:
        platform.instances.stop(OWNER, instance_id)
    assert "is kept and carried out" in told.value.detail
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.wish, instance.status, instance.operation) == (Wish.STOP, Status.RUNNING, "stop")
    assert instance.reason in ("runtime_unavailable", "runtime_failure")
    platform.reconciler.sync(patience=10)
    assert surroundings.row(instance_id).operation == "stop", "still not possible, and still not forgotten"
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert settled(surroundings, instance_id) == ("stopped", "")


def test_a_wish_that_was_put_off_gives_way_to_another(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    with pytest.raises(RuntimeUnavailable):
        surroundings.open(BrokenRuntime(surroundings.memory)).instances.stop(OWNER, instance_id)
    assert surroundings.open().instances.start(OWNER, instance_id).status == Status.RUNNING
    assert settled(surroundings, instance_id) == ("running", "")


def test_a_start_on_a_running_bot_that_the_engine_cannot_show_is_no_error(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    broken = BrokenRuntime(surroundings.memory, error=RuntimeFailure("Server error."), calls=("observe",))
    platform = surroundings.open(broken)
    with pytest.raises(RuntimeUnavailable, match="cannot say how the container is"):
        platform.instances.start(OWNER, instance_id)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING


@pytest.mark.parametrize("call", ["observe", "stop", "remove", "discard"])
@pytest.mark.parametrize("error", [RuntimeUnavailable(), RuntimeFailure("The engine refused.")])
def test_a_delete_is_kept_and_carried_out_later(surroundings: Surroundings, call: str, error: EngineError) -> None:
    instance_id = made(surroundings.open())
    runtime = BrokenRuntime(surroundings.memory, error=error, calls=(call,))
    platform = surroundings.open(runtime)
    for _ in range(2):
        with pytest.raises(EngineError):
            platform.instances.delete(OWNER, instance_id)
    assert platform.instances.list(OWNER).instances == []
    row = surroundings.row(instance_id)
    assert (row.wish, row.status, row.operation, row.claim) == ("delete", "deleted", "delete", None)
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert surroundings.count("instance") == 0
    assert not surroundings.memory.observe_all()
    surroundings.witness.until(InstanceDeleted, actor="sync", owner=OWNER)


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        ("create", NameTaken(), "name_taken"),
        ("create", RuntimeFailure("No space left."), "runtime_failure"),
        ("create", ImageUnavailable(), "image_unavailable"),
        ("start", RuntimeFailure("The entry point was not found."), "runtime_failure"),
    ],
)
def test_a_refusal_is_recorded_with_its_reason_and_leaves_nothing(
    surroundings: Surroundings, call: str, error: EngineError, reason: str
) -> None:
    platform = surroundings.open(BrokenRuntime(surroundings.memory, error=error, calls=(call,)))
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason, instance.detail) == (Status.ERROR, reason, error.detail)
    assert instance.container_id is None
    assert not surroundings.memory.observe_all()
    assert settled(surroundings, instance.id)[1] in SENTENCES


def test_a_start_that_is_refused_is_an_error_with_its_reason(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    error = RuntimeFailure("The engine refused.")
    platform = surroundings.open(BrokenRuntime(surroundings.memory, error=error, calls=("start",)))
    platform.instances.stop(OWNER, instance_id)
    instance = platform.instances.start(OWNER, instance_id)
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_failure")
    assert instance.container_id is not None


def test_an_image_that_cannot_be_had(surroundings: Surroundings) -> None:
    surroundings.memory.engine.images = set()
    instance = surroundings.open().instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (Status.ERROR, "image_unavailable")
    assert IMAGES[0] in instance.detail


def test_an_image_that_is_missing_after_it_was_pulled(surroundings: Surroundings) -> None:
    runtime = BrokenRuntime(surroundings.memory, error=ImageMissing("It is not here."), calls=("create",))
    instance = surroundings.open(runtime).instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (Status.ERROR, "image_unavailable")
    assert "although it was downloaded" in instance.detail


@pytest.mark.parametrize("call", ["create", "start"])
def test_when_the_answer_to_a_creation_is_lost_its_container_is_found_again(
    surroundings: Surroundings, call: str
) -> None:
    platform = surroundings.open(LostAnswerRuntime(surroundings.memory, calls=(call,)))
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_unavailable")
    ((instance_id, left),) = surroundings.memory.observe_all().items()
    assert instance_id == instance.id
    platform.reconciler.sync(patience=10)
    again = platform.instances.get(OWNER, instance.id)
    assert (again.status, again.container_id) == (Status.RUNNING, left.container_id)


def test_when_the_answer_to_a_start_is_lost_the_next_sync_finishes_it(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    platform = surroundings.open(LostAnswerRuntime(surroundings.memory, calls=("start",)))
    platform.instances.stop(OWNER, instance_id)
    with pytest.raises(RuntimeUnavailable):
        platform.instances.start(OWNER, instance_id)
    platform.reconciler.sync(patience=10)
    assert settled(surroundings, instance_id) == ("running", "")


def test_when_the_answer_to_a_stop_is_lost_the_next_sync_finishes_it(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    platform = surroundings.open(LostAnswerRuntime(surroundings.memory, calls=("stop",)))
    with pytest.raises(RuntimeUnavailable):
        platform.instances.stop(OWNER, instance_id)
    assert platform.instances.get(OWNER, instance_id).status == Status.RUNNING
    platform.reconciler.sync(patience=10)
    assert settled(surroundings, instance_id) == ("stopped", "")


@pytest.mark.parametrize("call", ["stop", "remove", "discard"])
def test_when_the_answer_to_a_delete_is_lost_it_is_finished_by_the_next_sync(
    surroundings: Surroundings, call: str
) -> None:
    platform = surroundings.open(LostAnswerRuntime(surroundings.memory, calls=(call,)))
    instance_id = made(platform)
    with pytest.raises(RuntimeUnavailable):
        platform.instances.delete(OWNER, instance_id)
    platform.reconciler.sync(patience=10)
    assert surroundings.count("instance") == 0
    assert not surroundings.memory.observe_all()


def test_a_container_that_vanishes_after_its_start(surroundings: Surroundings) -> None:
    platform = surroundings.open(VanishingRuntime(surroundings.memory))
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (Status.ERROR, "container_missing")
    assert instance.detail == SENTENCES["container_missing"]
    platform = surroundings.open()
    again = platform.instances.start(OWNER, instance.id)
    assert (again.status, again.host_port) == (Status.RUNNING, instance.host_port)


def test_a_container_that_vanishes_between_creation_and_start_is_made_again(surroundings: Surroundings) -> None:
    class VanishingOnce(VanishingRuntime):
        """Only the first container vanishes."""

        def after(self, call: str) -> None:
            super().after(call)
            if call == self.vanish_after:
                self.vanish_after = "nothing more"

    assert made(surroundings.open(VanishingOnce(surroundings.memory, vanish_after="create")))


@pytest.mark.parametrize("call", ["start", "stop"])
def test_a_container_that_vanishes_from_a_running_bot(surroundings: Surroundings, call: str) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    surroundings.memory.vanish(instance_id)
    instance = getattr(platform.instances, call)(OWNER, instance_id)
    expected = (Status.RUNNING, "") if call == "start" else (Status.ERROR, "container_missing")
    assert (instance.status, instance.reason) == expected


def test_an_engine_that_contradicts_itself_does_not_keep_us_for_ever(surroundings: Surroundings) -> None:
    platform = surroundings.open(ContradictingRuntime(surroundings.memory))
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_failure")
    assert "says one thing and does another" in instance.detail


@pytest.mark.parametrize("error", [KeyError, SystemExit])
@pytest.mark.parametrize("call", ["observe", "create", "start"])
def test_an_error_against_the_contract_becomes_a_reason(
    surroundings: Surroundings, call: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    instance = surroundings.open(RaisingRuntime(call, error)).instances.create(OWNER, GOOD)
    reason = "runtime_unavailable" if call == "observe" else "runtime_failure"
    assert (instance.status, instance.reason) == (Status.ERROR, reason)
    assert error.__name__ in instance.detail
    (said,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "failing" in said.getMessage() or "before" in said.getMessage(), "it must say where"
    assert API_KEY not in caplog.text + instance.detail


# -- bots that do not come up ----------------------------------------------------------------------------------------


class StartsBadly(WrappedRuntime):
    """Every container gets into some other state than running as soon as it is started."""

    def __init__(self, inner: MemoryRuntime, state: ContainerState, **seen: object) -> None:
        super().__init__(inner)
        self.memory = inner
        self.state = state
        self.seen = seen

    def observe(self, instance_id: str) -> Observation:
        seen = self.memory.observe(instance_id)
        if seen.state is not ContainerState.RUNNING:
            return seen
        return replace(seen, state=self.state, **self.seen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "seen", "status", "reason", "said"),
    [
        ("exited", {"exit_code": 3}, "error", "crashed", "exit code 3"),
        ("exited", {"exit_code": 137, "out_of_memory": True}, "error", "out_of_memory", "memory"),
        ("exited", {"exit_code": 0}, "stopped", "stopped_outside", "not from here"),
        (
            "restarting",
            {"exit_code": 7, "restart_count": 4},
            "error",
            "crash_loop",
            "4 times in the last 10 minutes",
        ),
        ("paused", {}, "stopped", "paused_outside", "paused"),
        ("dead", {}, "error", "container_missing", "removed"),
    ],
)
def test_a_bot_that_does_not_come_up_says_why(
    surroundings: Surroundings, state: str, seen: dict[str, object], status: str, reason: str, said: str
) -> None:
    platform = surroundings.open(StartsBadly(surroundings.memory, ContainerState(state), **seen))
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (status, reason)
    assert said in instance.detail


def test_a_bot_that_never_answers_is_not_ready(surroundings: Surroundings) -> None:
    clock = Clock()
    surroundings.memory.ready = False
    platform = surroundings.open(WAIT_SECONDS=0, clock=clock)
    instance_id = platform.instances.create(OWNER, GOOD).id
    surroundings.reaches(instance_id, reason="waiting_until_ready")
    clock.advance(seconds=31)
    surroundings.witness.until(StatusChanged, after=Status.ERROR, reason="not_ready")
    assert settled(surroundings, instance_id) == ("error", "not_ready")


def test_a_slow_pull_takes_nothing_from_the_time_to_get_ready(surroundings: Surroundings) -> None:
    clock = Clock()
    runtime = SlowRuntime(surroundings.memory, calls=("pull",))
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {IMAGES[0]}
    platform = surroundings.open(runtime, WAIT_SECONDS=0, clock=clock)
    platform.instances.create(OWNER, GOOD)
    assert runtime.entered.wait(10)
    clock.advance(minutes=10)
    runtime.release()
    surroundings.witness.until(StatusChanged, after=Status.RUNNING)


def test_starting_a_running_bot_that_does_not_answer_waits_and_can_be_stopped(surroundings: Surroundings) -> None:
    platform = surroundings.open(WAIT_SECONDS=0)
    instance_id = platform.instances.create(OWNER, GOOD).id
    surroundings.witness.until(StatusChanged, after=Status.RUNNING)
    surroundings.memory.ready = False
    platform.instances.start(OWNER, instance_id)
    surroundings.reaches(instance_id, reason="waiting_until_ready")
    platform.instances.stop(OWNER, instance_id)
    surroundings.witness.until(StatusChanged, after=Status.STOPPED)


def test_a_crash_loop_gets_a_fresh_start(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, restart_count=9)
    assert platform.instances.start(OWNER, instance_id).status == Status.RUNNING
    assert surroundings.memory.observe(instance_id).restart_count == 0


def test_an_engine_that_is_busy_with_a_container_for_an_hour(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(StartsBadly(surroundings.memory, ContainerState.REMOVING), WAIT_SECONDS=0, clock=clock)
    instance_id = platform.instances.create(OWNER, GOOD).id
    surroundings.reaches(instance_id, reason="waiting_until_ready")
    clock.advance(minutes=61)
    surroundings.witness.until(StatusChanged, after=Status.ERROR)
    assert "busy" in surroundings.row(instance_id).detail


# -- blueprints that fail --------------------------------------------------------------------------------------------


class BadBlueprint:
    """Fails whenever it is asked for a container; its message holds the secret."""

    name = "bad"
    label = "Bad"
    description = "It fails."
    images = IMAGES
    probe = Probe()
    stop_timeout = 1.0

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def container(self, bot: Bot) -> ContainerSpec:
        raise self.error

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]


@pytest.mark.parametrize("error", [ValueError("s3cret"), PermissionError("s3cret"), SystemExit("s3cret")])
def test_a_blueprint_that_fails_is_a_reason_without_its_message(
    surroundings: Surroundings, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    platform = surroundings.open(plugins={"bad": BadBlueprint(error)})
    instance = platform.instances.create(OWNER, {**GOOD, "blueprint": "bad"})
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_failure")
    assert "'bad' failed" in instance.detail
    assert "s3cret" not in caplog.text + instance.detail


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ContainerSpec((), 80, Limits(2**20, 0.5, 10)),
        # Both break the types on purpose: a plugin may, and nobody checks it.
        ContainerSpec(IMAGES, 80, None),  # type: ignore[arg-type]
        ContainerSpec(IMAGES, 80, Limits(2**20, 0.5, 10), environment={"A": "1", 2: "B"}),  # type: ignore[dict-item]
    ],
)
def test_a_blueprint_that_does_not_answer_with_a_container_is_a_reason(
    surroundings: Surroundings, answer: ContainerSpec
) -> None:
    class Strange(BadBlueprint):
        def container(self, bot: Bot) -> ContainerSpec:
            return answer

    surroundings.memory.engine.images = set()
    platform = surroundings.open(plugins={"bad": Strange(ValueError())})
    instance = platform.instances.create(OWNER, {**GOOD, "blueprint": "bad"})
    assert (instance.status, instance.reason, instance.operation) == (Status.ERROR, "runtime_failure", None)
    assert "'bad' failed" in instance.detail


def test_a_blueprint_that_says_why_is_heard(surroundings: Surroundings) -> None:
    platform = surroundings.open(plugins={"bad": BadBlueprint(RuntimeFailure("This bot needs a key."))})
    instance = platform.instances.create(OWNER, {**GOOD, "blueprint": "bad"})
    assert (instance.status, instance.detail) == (Status.ERROR, "This bot needs a key.")


def test_a_bot_whose_blueprint_is_gone_can_be_stopped_and_deleted_but_not_made(surroundings: Surroundings) -> None:
    class Fine(BadBlueprint):
        """A blueprint of a plugin that is removed later."""

        def container(self, bot: Bot) -> ContainerSpec:
            return ContainerSpec(IMAGES, 80, Limits(2**20, 0.5, 10))

    instance_id = made(surroundings.open(plugins={"fine": Fine(ValueError())}), blueprint="bad")
    platform = surroundings.open()
    platform.instances.stop(OWNER, instance_id)
    instance = platform.instances.start(OWNER, instance_id)
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_failure")
    assert "'bad' of this bot is not installed" in instance.detail
    platform.instances.delete(OWNER, instance_id)
    assert not surroundings.memory.observe_all()


def test_a_bot_whose_secret_cannot_be_opened_says_so(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform, apiKey="sk-1")
    platform.instances.stop(OWNER, instance_id)
    secret = surroundings.rows.secret
    with surroundings.looking().transaction():
        secret.update(ciphertext="damaged").execute()
    instance = platform.instances.start(OWNER, instance_id)
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_failure")
    assert "apiKey" in instance.detail


# -- resuming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.START])
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("state", ["missing", "created", "running", "exited"])
def test_a_run_that_was_left_anywhere_is_finished_by_the_next_sync(
    surroundings: Surroundings, operation: Operation, started: bool, state: str
) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    memory = surroundings.memory
    container_id = memory.observe(instance_id).container_id or ""
    if state in ("missing", "created"):
        spec = memory.engine.containers[instance_id].spec
        memory.remove(container_id)
        if state == "created":
            memory.create(instance_id, surroundings.row(instance_id).host_port, spec)
    elif state == "exited":
        memory.stop(container_id, 1)
    left = {"operation": operation, "operation_since": Clock()(), "claim": "dead", "claim_until": Clock()()}
    surroundings.set_row(instance_id, **left, started=started, status="creating", reason="starting")
    platform.reconciler.sync(patience=10)
    status, reason = settled(surroundings, instance_id)
    if not started:
        assert (status, reason) == ("running", "")
    else:
        assert status in {"missing": "error", "running": "running"}.get(state, "stopped")
    assert len(memory.observe_all()) == (0 if started and state == "missing" else 1)


def test_what_another_process_still_works_on_is_left_to_it(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    until = Clock()() + timedelta(seconds=10)
    surroundings.set_row(instance_id, operation="stop", wish="stop", claim="alive", claim_until=until)
    platform.reconciler.sync(patience=10)
    assert surroundings.memory.observe(instance_id).state is ContainerState.RUNNING


@pytest.mark.parametrize("wish", ["stop", "run"])
def test_a_resumed_operation_that_finds_no_engine_stays_for_the_next_sync(
    surroundings: Surroundings, wish: str
) -> None:
    instance_id = made(surroundings.open())
    runtime = BrokenRuntime(surroundings.memory, calls=("observe", "stop", "start"))
    platform = surroundings.open(runtime)
    surroundings.set_row(instance_id, operation="stop" if wish == "stop" else "start", wish=wish)
    platform.reconciler.sync(patience=10)
    row = surroundings.row(instance_id)
    assert (row.operation, row.claim) == ("stop" if wish == "stop" else "start", None)
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert settled(surroundings, instance_id) == ("stopped" if wish == "stop" else "running", "")


def test_a_platform_that_is_closed_leaves_its_work_to_the_next_one(surroundings: Surroundings) -> None:
    surroundings.memory.ready = False
    platform = surroundings.open(WAIT_SECONDS=0)
    instance_id = platform.instances.create(OWNER, GOOD).id
    surroundings.reaches(instance_id, reason="waiting_until_ready")
    platform.close()
    surroundings.reaches(instance_id, claim=None)
    assert surroundings.row(instance_id).operation == "create"
    surroundings.memory.ready = True
    surroundings.open().reconciler.sync(patience=10)
    assert settled(surroundings, instance_id) == ("running", "")


def test_a_runtime_that_finds_a_port_taken_before_it_creates_is_given_another(surroundings: Surroundings) -> None:
    class LooksFirst(WrappedRuntime):
        """Refuses a port of a stranger without making a container."""

        def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
            if host_port != 10002:
                raise PortTaken("In use.")
            return super().create(instance_id, host_port, spec)

    platform = surroundings.open(LooksFirst(surroundings.memory), PORT_RANGE="10000-10002")
    assert platform.instances.get(OWNER, made(platform)).host_port == 10002


def test_a_failure_to_look_at_what_has_settled_leaves_it_alone(surroundings: Surroundings) -> None:
    """A resumed claim may find that somebody has finished the work meanwhile."""
    platform = surroundings.open(runtime := BrokenRuntime(surroundings.memory))
    runtime.broken = False
    instance_id = made(platform)
    before = surroundings.row(instance_id).__data__
    runtime.broken = True
    claim = platform._claims.resume(instance_id, "sync")
    assert claim
    platform._lifecycle.carry_out(claim)
    assert surroundings.row(instance_id).__data__ == before


# -- restarting ------------------------------------------------------------------------------------------------------


def test_a_restart_stops_and_starts_the_same_container(surroundings: Surroundings) -> None:
    runtime = CountingRuntime()
    platform = surroundings.open(runtime)
    instance_id = made(platform)
    before = platform.instances.get(OWNER, instance_id)
    runtime.made.clear()
    after = platform.instances.restart(OWNER, instance_id)
    assert (after.status, after.wish, after.container_id) == (Status.RUNNING, Wish.RUN, before.container_id)
    assert [call for call in runtime.made if call in ("create", "start", "stop", "remove")] == ["stop", "start"]


def test_a_stopped_bot_is_restarted_by_starting_it(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    platform.instances.stop(OWNER, instance_id)
    assert platform.instances.restart(OWNER, instance_id).status is Status.RUNNING


def test_a_restart_without_a_container_is_refused(surroundings: Surroundings) -> None:
    refused = RuntimeFailure("The engine refused.")
    platform = surroundings.open(BrokenRuntime(surroundings.memory, error=refused, calls=("create",)))
    instance_id = platform.instances.create(OWNER, GOOD).id
    with pytest.raises(NoContainer):
        platform.instances.restart(OWNER, instance_id)


@pytest.mark.parametrize("call", ["observe", "stop", "start"])
def test_a_restart_that_the_engine_interrupts_is_finished_later(surroundings: Surroundings, call: str) -> None:
    instance_id = made(surroundings.open())
    runtime = BrokenRuntime(surroundings.memory, calls=(call,))
    platform = surroundings.open(runtime)
    with pytest.raises(RuntimeUnavailable):
        platform.instances.restart(OWNER, instance_id)
    instance = platform.instances.get(OWNER, instance_id)
    assert (instance.operation, instance.reason) == ("restart", "runtime_unavailable")
    runtime.mend()
    platform.reconciler.sync(patience=10)
    assert settled(surroundings, instance_id) == ("running", "")


@pytest.mark.parametrize(("late", "after"), [("stop", Status.RUNNING), ("start", Status.STOPPED)])
def test_a_change_that_comes_after_the_claim_was_lost_is_made_good(
    surroundings: Surroundings, late: str, after: Status
) -> None:
    """A process froze with its call to the engine on the lips, and woke when others had finished what it was for."""
    clock = Clock()
    others = surroundings.open(clock=clock)
    instance_id = made(others)
    frozen = SlowRuntime(surroundings.memory, calls=(late,))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(surroundings.open(frozen).instances.restart, OWNER, instance_id)
        assert frozen.entered.wait(20)
        clock.advance(seconds=LIFETIME.total_seconds() + 1)
        others.reconciler.sync(patience=20)
        assert others.instances.get(OWNER, instance_id).status == Status.RUNNING
        if after is Status.STOPPED:
            others.instances.stop(OWNER, instance_id)
        frozen.release()
        asked.result(20)
    others.reconciler.sync(patience=20)
    there = others.instances.get(OWNER, instance_id)
    running = surroundings.memory.observe(instance_id).state is ContainerState.RUNNING
    assert (there.status, there.operation, running) == (after, None, after is Status.RUNNING)
    reasons = {entry.reason for entry in others.instances.activity(OWNER, instance_id)}
    assert not reasons & {"stopped_outside", "started_outside"}


@pytest.mark.parametrize(("late", "after"), [("stop", Status.RUNNING), ("start", Status.STOPPED)])
def test_a_change_that_outlives_its_claim_while_the_database_is_away_is_made_good(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, late: str, after: Status
) -> None:
    """A process that cannot reach the database loses its claim, and cannot find that out when its call is done."""
    clock, away = Clock(), Event()
    others = surroundings.open(clock=clock)
    instance_id = made(others)
    slow = SlowRuntime(surroundings.memory, calls=(late,))
    cut_off = surroundings.open(slow)

    def cut(use: Callable[[], AbstractContextManager[None]]) -> Callable[[], AbstractContextManager[None]]:
        def used() -> AbstractContextManager[None]:
            if away.is_set():
                raise DatabaseUnavailable
            return use()

        return used

    for name in ("transaction", "reading"):
        monkeypatch.setattr(cut_off.database, name, cut(getattr(cut_off.database, name)))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(cut_off.instances.restart, OWNER, instance_id)
        assert slow.entered.wait(20)
        away.set()
        clock.advance(seconds=LIFETIME.total_seconds() + 1)
        others.reconciler.sync(patience=20)
        assert others.instances.get(OWNER, instance_id).status == Status.RUNNING
        if after is Status.STOPPED:
            others.instances.stop(OWNER, instance_id)
        slow.release()
        with pytest.raises(DatabaseUnavailable):
            asked.result(20)
    away.clear()
    state = ContainerState.RUNNING if after is Status.RUNNING else ContainerState.EXITED
    assert eventually(lambda: surroundings.memory.observe(instance_id).state is state, 10)
    surroundings.reaches(instance_id, status=after, operation=None)
    others.reconciler.sync(patience=20)
    assert others.instances.get(OWNER, instance_id).status == after
    reasons = {entry.reason for entry in others.instances.activity(OWNER, instance_id)}
    assert not reasons & {"stopped_outside", "started_outside"}


def test_a_start_that_comes_after_the_last_look_of_a_stop_is_made_good(surroundings: Surroundings) -> None:
    """Whoever stops it is yet to write down what was so, and will not look once more."""
    frozen = SlowRuntime(surroundings.memory, calls=("start",))
    waits = Event()

    def pause(event: Event, seconds: float) -> bool:
        if seconds == OTHERS_SEEN_EVERY:
            waits.set()
        return event.wait(seconds)

    class LooksJustBefore(WrappedRuntime):
        stopped = False

        def after(self, call: str) -> None:
            self.stopped |= call == "stop"
            if self.stopped and call == "observe":
                frozen.release()
                assert waits.wait(20), "it finds this stop at work"

    clock, clock_of_the_frozen = Clock(), Clock()
    others = surroundings.open(clock=clock)
    instance_id = made(others)
    with ThreadPoolExecutor(1) as pool:
        restarting = surroundings.open(frozen, clock=clock_of_the_frozen, pace=Pace(pause=pause))
        asked = pool.submit(restarting.instances.restart, OWNER, instance_id)
        assert frozen.entered.wait(20)
        clock.advance(seconds=LIFETIME.total_seconds() + 1)
        others.reconciler.sync(patience=20)
        clock_of_the_frozen.advance(seconds=LIFETIME.total_seconds() + 1)
        stopping = surroundings.open(LooksJustBefore(surroundings.memory), clock=clock)
        assert stopping.instances.stop(OWNER, instance_id).status == Status.STOPPED
        asked.result(20)
    others.reconciler.sync(patience=20)
    assert others.instances.get(OWNER, instance_id).status == Status.STOPPED
    assert surroundings.memory.observe(instance_id).state is ContainerState.EXITED


def test_a_stop_that_comes_too_late_is_made_good_for_a_bot_that_does_not_answer_too(surroundings: Surroundings) -> None:
    """It would be shown as stopped by somebody's hand, and stay down."""
    clock = Clock()
    others = surroundings.open(clock=clock)
    instance_id = made(others)
    surroundings.memory.ready = False
    frozen = SlowRuntime(surroundings.memory, calls=("stop",))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(surroundings.open(frozen).instances.restart, OWNER, instance_id)
        assert frozen.entered.wait(20)
        clock.advance(seconds=LIFETIME.total_seconds() + 1)
        others.reconciler.sync()
        surroundings.reaches(instance_id, reason="waiting_until_ready")
        clock.advance(hours=0.5)
        surroundings.reaches(instance_id, reason="not_ready", operation=None)
        surroundings.memory.ready = True
        frozen.release()
        asked.result(20)
    others.reconciler.sync(patience=20)
    assert others.instances.get(OWNER, instance_id).status == Status.RUNNING
    assert surroundings.memory.observe(instance_id).state is ContainerState.RUNNING
    reasons = {entry.reason for entry in others.instances.activity(OWNER, instance_id)}
    assert "stopped_outside" not in reasons
