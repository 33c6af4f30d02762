"""When it is looked at what: by one process of all, on events, every few seconds at what is expected, and anyway."""

import logging
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from clawdeploy.core import lease as lease_module
from clawdeploy.core import reconciler
from clawdeploy.core.claim_keeper import LIFETIME
from clawdeploy.core.comparing import MOST_AT_ONCE
from clawdeploy.core.contracts import ContainerState, Observation, Probe, Status
from clawdeploy.core.errors import DatabaseUnavailable, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.events import StatusChanged
from clawdeploy.core.lease import Lease
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.core.watch import LOOKS_EVERY, TRIES_AGAIN
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.surroundings import OWNER, Clock, Surroundings, made
from tests.platforms import GOOD

SELDOM = 3600


def lease(surroundings: Surroundings, clock: Clock) -> Lease:
    return Lease(surroundings.looking(), surroundings.rows.lease, clock, "reconciler")


def deafened(memory: MemoryRuntime) -> WrappedRuntime:
    """An engine that tells nothing by itself."""

    class Silent(WrappedRuntime):
        def events(self) -> Any:
            return iter(())

    return Silent(memory)


class CountingSyncs(WrappedRuntime):
    """Counts how often one or everything is looked at, and tells when it is listened to."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.syncs = 0
        self.observed = 0
        self.listens = threading.Event()
        self._synced_at = time.monotonic()

    def before(self, call: str) -> None:
        self.observed += call == "observe"
        if call == "observe_all":
            self.syncs += 1
            self._synced_at = time.monotonic()

    def is_followed(self) -> bool:
        """Say whether it is listened to, and the syncs are over that this begins with."""
        return self.listens.is_set() and time.monotonic() - self._synced_at > TRIES_AGAIN + 0.5

    def events(self) -> Any:
        for happened in super().events():
            self.listens.set()
            yield happened


# -- the lease -------------------------------------------------------------------------------------------------------


def test_of_two_processes_one_has_the_lease(surroundings: Surroundings, platform: Platform) -> None:
    clock = Clock()
    one, two = lease(surroundings, clock), lease(surroundings, clock)
    made(platform)
    assert one.hold()
    assert not two.hold()
    clock.advance(seconds=lease_module.RENEWED_EVERY.total_seconds() + 0.1)
    assert one.hold(), "its holder renews it"
    clock.advance(seconds=lease_module.LIFETIME.total_seconds() - 1)
    assert not two.hold()
    clock.advance(seconds=1.1)
    assert two.hold(), "a lease lapses by itself"
    assert not one.hold()


def test_a_lease_is_not_written_at_each_look(surroundings: Surroundings, platform: Platform) -> None:
    clock = Clock()
    holder = lease(surroundings, clock)
    assert holder.hold()
    with surroundings.looking().reading():
        until = surroundings.rows.lease.select().get().until
    clock.advance(seconds=1)
    assert holder.hold()
    with surroundings.looking().reading():
        assert surroundings.rows.lease.select().get().until == until


def test_a_lease_lapses_in_time_after_the_clock_was_put_back(surroundings: Surroundings, platform: Platform) -> None:
    clock = Clock()
    one, two = lease(surroundings, clock), lease(surroundings, clock)
    assert one.hold()
    clock.advance(hours=-1)
    assert one.hold(), "its holder renews it"
    assert not two.hold()
    clock.advance(seconds=lease_module.LIFETIME.total_seconds() + 0.1)
    assert two.hold()


def test_a_lease_of_before_the_clock_was_put_back_is_free(surroundings: Surroundings, platform: Platform) -> None:
    clock = Clock()
    assert lease(surroundings, clock).hold()
    clock.advance(seconds=-lease_module.LIFETIME.total_seconds() + 1)
    assert not lease(surroundings, clock).hold(), "clocks differ a little"
    clock.advance(hours=-1)
    assert lease(surroundings, clock).hold()


def test_only_its_holder_gives_a_lease_back(surroundings: Surroundings, platform: Platform) -> None:
    clock = Clock()
    one, two = lease(surroundings, clock), lease(surroundings, clock)
    assert one.hold()
    two.release()
    assert surroundings.count("lease") == 1
    one.release()
    assert two.hold()


def test_a_process_that_ends_leaves_the_sync_to_another_at_once(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    surroundings.memory.crash(instance_id)
    syncing = surroundings.open(SYNC_SECONDS=SELDOM)
    syncing.start_background()
    surroundings.witness.until(StatusChanged, after=Status.ERROR)
    other = lease(surroundings, Clock())
    assert not other.hold()
    syncing.close()
    assert other.hold()


# -- what it does with it --------------------------------------------------------------------------------------------


def test_a_sync_may_take_longer_than_a_lease_lives(surroundings: Surroundings) -> None:
    """As with forty bots that each keep a probe waiting; else the next process would begin one as well."""
    held, ended = threading.Event(), threading.Event()

    def is_good(until: datetime) -> bool:
        with surroundings.looking().transaction():
            return bool(surroundings.rows.lease.get().until >= until)

    class Slow(WrappedRuntime):
        def before(self, call: str) -> None:
            if call == "observe_all":
                held.set()
                assert ended.wait(30)

    clock = Clock()
    platform = surroundings.open(Slow(surroundings.memory), clock=clock)
    another = lease(surroundings, clock)
    platform.start_background()
    try:
        assert held.wait(5)
        for _ in range(4):
            clock.advance(seconds=lease_module.LIFETIME.total_seconds() / 2)
            assert eventually(partial(is_good, clock() + lease_module.LIFETIME), 5)
            assert not another.hold()
    finally:
        ended.set()


def test_it_syncs_by_itself_where_an_engine_tells_nothing(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.memory.crash(instance_id)
    surroundings.open(deafened(surroundings.memory), SYNC_SECONDS=1).start_background()
    surroundings.witness.until(StatusChanged, after=Status.ERROR, actor="sync")
    surroundings.memory.engine.containers[instance_id].state = ContainerState.RUNNING
    surroundings.witness.until(StatusChanged, after=Status.RUNNING, actor="sync")


@pytest.mark.parametrize(
    ("happening", "after"), [("crash", Status.ERROR), ("vanish", Status.ERROR), ("stop", Status.STOPPED)]
)
def test_what_the_engine_tells_shows_at_once(surroundings: Surroundings, happening: str, after: Status) -> None:
    counting = CountingSyncs(surroundings.memory)
    platform = surroundings.open(counting, SYNC_SECONDS=SELDOM)
    instance_id = made(platform)
    platform.start_background()
    assert eventually(counting.is_followed, 10)
    if happening == "stop":
        surroundings.memory.stop(surroundings.memory.observe(instance_id).container_id or "", 1)
    else:
        getattr(surroundings.memory, happening)(instance_id)
    surroundings.witness.until(StatusChanged, within=2.0, after=after)
    container = surroundings.memory.engine.containers.get(instance_id)
    if container is not None:
        container.state = ContainerState.RUNNING
        surroundings.memory.engine.tell(container)
        assert surroundings.witness.until(StatusChanged, within=2.0, after=Status.RUNNING, actor="engine")


def test_news_are_followed_also_after_there_was_no_thread_for_one(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that has too many threads says so to whoever starts one."""
    refused = threading.Event()
    start = threading.Thread.start

    def refusing(thread: threading.Thread) -> None:
        if thread.name == "background":
            refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    counting = CountingSyncs(surroundings.memory)
    platform = surroundings.open(counting, SYNC_SECONDS=SELDOM)
    instance_id = made(platform)
    platform.start_background()
    assert eventually(counting.is_followed, 10)
    monkeypatch.setattr(threading.Thread, "start", refusing)
    surroundings.memory.crash(instance_id)
    assert refused.wait(10)
    monkeypatch.undo()
    surroundings.witness.until(StatusChanged, after=Status.ERROR)
    assert eventually(counting.is_followed, 10)
    surroundings.memory.mend(instance_id)
    surroundings.witness.until(StatusChanged, within=5.0, after=Status.RUNNING, actor="engine")


def test_what_the_engine_refused_and_has_all_the_same_shows_at_once(surroundings: Surroundings) -> None:
    class Refusing(CountingSyncs):
        def stop(self, container_id: str, timeout: float) -> None:
            raise RuntimeFailure("server error")

        def events(self) -> Any:
            return iter(())

    engine = Refusing(surroundings.memory)
    platform = surroundings.open(engine, SYNC_SECONDS=SELDOM)
    instance_id = made(platform)
    platform.start_background()
    assert eventually(lambda: engine.syncs > 0, 10)
    assert platform.instances.restart(OWNER, instance_id, wait=10).reason == "runtime_failure"
    surroundings.witness.until(StatusChanged, within=3.0, after=Status.RUNNING, actor="sync")
    assert engine.syncs == 1


class Lagging(CountingSyncs):
    """An engine that tells what happens before its list of all containers has it, as Docker does of an end."""

    def __init__(self, inner: MemoryRuntime) -> None:
        super().__init__(inner)
        self.lags = 0
        self._listed: Mapping[str, Observation] = {}

    def observe_all(self) -> Mapping[str, Observation]:
        if self.lags > 0:
            self.lags -= 1
            self.before("observe_all")
            return self._listed
        self._listed = super().observe_all()
        return self._listed


def test_what_many_events_tell_shows_before_the_list_has_it(surroundings: Surroundings) -> None:
    engine = Lagging(surroundings.memory)
    platform = surroundings.open(engine, SYNC_SECONDS=SELDOM)
    ids = {made(platform) for _ in range(25)}
    platform.start_background()
    assert eventually(engine.is_followed, 10)
    engine.lags = SELDOM
    for instance_id in ids:
        surroundings.memory.crash(instance_id)

    def told() -> set[str]:
        return {each.instance_id for each in surroundings.witness.of(StatusChanged) if each.after is Status.ERROR}

    assert eventually(lambda: told() == ids, 5.0), len(told())


def test_what_happens_while_it_is_worked_on_is_looked_at_afterwards(surroundings: Surroundings) -> None:
    engine = CountingSyncs(surroundings.memory)
    platform = surroundings.open(engine, SYNC_SECONDS=SELDOM)
    instance_id = made(platform)
    platform.start_background()
    assert eventually(engine.is_followed, 10)
    surroundings.set_row(instance_id, claim="another's", claim_until=platform.clock() + timedelta(seconds=10))
    seen = engine.observed
    surroundings.memory.crash(instance_id)
    assert eventually(lambda: engine.observed > seen, 10)
    surroundings.set_row(instance_id, claim=None, claim_until=None)
    surroundings.witness.until(StatusChanged, within=3.0, after=Status.ERROR, actor="engine")


def test_what_ended_just_before_it_is_listened_to_shows_soon(surroundings: Surroundings) -> None:
    engine = Lagging(surroundings.memory)
    platform = surroundings.open(engine, SYNC_SECONDS=SELDOM)
    instance_id = made(platform)
    platform.reconciler.sync()
    del surroundings.memory.engine.containers[instance_id]
    engine.lags = 2
    platform.start_background()
    surroundings.witness.until(StatusChanged, within=4.0, reason="container_missing")


def test_what_ended_just_before_it_takes_over_shows_soon(surroundings: Surroundings) -> None:
    """Whoever had the lease may have been told of it and ended; the others forget what is not theirs to look at."""
    engine = Lagging(surroundings.memory)
    platform = surroundings.open(engine, SYNC_SECONDS=SELDOM)
    instance_id = made(platform)
    platform.reconciler.sync()
    before = lease(surroundings, Clock())
    assert before.hold()
    platform.start_background()
    assert eventually(engine.is_followed, 5)
    del surroundings.memory.engine.containers[instance_id]
    engine.lags = 1
    before.release()
    surroundings.witness.until(StatusChanged, within=4.0, reason="container_missing")


def test_bots_that_hang_delay_nobody_elses_news(surroundings: Surroundings) -> None:
    class Hanging(CountingSyncs):
        """Its containers, but for one, take a question and do not answer; their probe has a time limit that is long."""

        other: str | None = None
        asked = threading.Event()
        ends = threading.Event()
        hanging = 0

        def probe(self, observation: Observation, probe: Probe) -> bool:
            if self.other is None or observation.container_id == self.other:
                return True
            self.hanging += 1
            self.asked.set()
            return not self.ends.wait(30)

    engine = Hanging(surroundings.memory)
    platform = surroundings.open(engine, SYNC_SECONDS=1)
    ids = [made(platform) for _ in range(4)]
    engine.other = surroundings.memory.observe(ids[-1]).container_id
    platform.start_background()
    try:
        assert engine.asked.wait(10)
        for hanging in ids[:-1]:
            # It has begun anew, so that it is asked whether it answers.
            surroundings.memory.engine.containers[hanging].started_at = platform.clock() + timedelta(seconds=1)
            surroundings.memory.engine.tell(surroundings.memory.engine.containers[hanging])
        assert eventually(lambda: engine.hanging >= 2 * len(ids[:-1]), 10), "by a sync and by what was told"
        surroundings.memory.crash(ids[-1])
        surroundings.witness.until(StatusChanged, within=2.0, instance_id=ids[-1], after=Status.ERROR, actor="engine")
    finally:
        engine.ends.set()


def test_a_bot_that_starts_is_followed_until_it_answers(surroundings: Surroundings, platform: Platform) -> None:
    instance_id = made(platform)
    surroundings.memory.ready = False
    surroundings.set_row(instance_id, status="creating", reason="waiting_until_ready")
    surroundings.open(deafened(surroundings.memory), SYNC_SECONDS=SELDOM).start_background()
    surroundings.memory.ready = True
    surroundings.reaches(instance_id, status="running")


def test_a_creation_whose_outcome_the_engine_did_not_tell_is_looked_for(surroundings: Surroundings) -> None:
    class Forgetful(WrappedRuntime):
        started = False

        def after(self, call: str) -> None:
            if call == "observe" and self.started:
                self.started = False
                raise RuntimeUnavailable
            self.started |= call == "start"

        def events(self) -> Any:
            return iter(())

    platform = surroundings.open(Forgetful(surroundings.memory), SYNC_SECONDS=SELDOM)
    bystander = made(surroundings.open())
    platform.start_background()
    surroundings.set_row(bystander, status="creating")
    surroundings.reaches(bystander, status="running")
    instance = platform.instances.create(OWNER, GOOD)
    assert (instance.status, instance.reason) == (Status.ERROR, "runtime_unavailable")
    surroundings.reaches(instance.id, status="running", reason="")


def test_a_sync_that_fails_is_not_the_last(surroundings: Surroundings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    instance_id = made(surroundings.open())
    surroundings.memory.crash(instance_id)
    errors = (RuntimeUnavailable(), KeyError("a defect"), DatabaseUnavailable())
    surroundings.open(FailsInTurn(surroundings.memory, *errors), SYNC_SECONDS=SELDOM).start_background()
    surroundings.witness.until(StatusChanged, after=Status.ERROR)
    assert "Sync was not possible: Docker does not answer" in caplog.text
    assert "Sync was not possible: The runtime failed unexpectedly (KeyError)" in caplog.text


def test_what_keeps_failing_is_said_once(surroundings: Surroundings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    runtime = FailsInTurn(surroundings.memory, *[RuntimeUnavailable()] * 4)
    surroundings.open(runtime, SYNC_SECONDS=1).start_background()
    assert eventually(lambda: not runtime.errors, 20)
    assert caplog.text.count("Sync was not possible") == 1


def test_a_look_that_needs_nothing_of_what_fails_is_no_reason_to_say_it_again(
    surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    instance_id = made(surroundings.open())
    runtime = FailsInTurn(surroundings.memory, *[RuntimeUnavailable()] * 3)
    surroundings.open(runtime, SYNC_SECONDS=SELDOM).start_background()

    def looked_at_until_it_works() -> bool:
        surroundings.memory.engine.tell(surroundings.memory.engine.containers[instance_id])
        return not runtime.errors

    assert eventually(looked_at_until_it_works, 20)
    assert caplog.text.count("Sync was not possible") == 1


def test_what_is_unfinished_is_looked_for_between_two_syncs(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "RESUMED_EVERY", timedelta(milliseconds=10))
    instance_id = made(surroundings.open())
    with pytest.raises(RuntimeUnavailable):
        surroundings.open(BrokenRuntime(surroundings.memory)).instances.stop(OWNER, instance_id)
    counting = CountingSyncs(deafened(surroundings.memory))
    surroundings.open(counting, SYNC_SECONDS=SELDOM).start_background()
    surroundings.reaches(instance_id, status="stopped", operation=None)
    with pytest.raises(RuntimeUnavailable):
        surroundings.open(BrokenRuntime(surroundings.memory)).instances.start(OWNER, instance_id)
    surroundings.reaches(instance_id, status="running", operation=None)
    assert counting.syncs == 1


def test_what_a_dead_process_left_is_carried_on_as_soon_as_its_claim_lapses(surroundings: Surroundings) -> None:
    """A look that found it claimed must not put off the next one, or a claim of 8 s were one of 13 s."""
    clock = Clock()
    instance_id = made(surroundings.open())
    claimed = {"claim": "dead", "claim_until": clock() + LIFETIME}
    surroundings.set_row(instance_id, wish="stop", operation="stop", operation_since=clock(), **claimed)
    counting = CountingSyncs(deafened(surroundings.memory))
    platform = surroundings.open(counting, clock=clock, SYNC_SECONDS=SELDOM)
    platform.start_background()
    assert eventually(lambda: counting.syncs > 0, 10)
    assert surroundings.row(instance_id).claim == "dead"
    clock.advance(seconds=LIFETIME.total_seconds())
    stopped = eventually(lambda: surroundings.row(instance_id).status == "stopped", 2 * LOOKS_EVERY + 1)
    assert stopped, surroundings.row(instance_id).__data__


def test_what_is_unfinished_is_carried_on_while_a_sync_waits_for_bots_that_hang(surroundings: Surroundings) -> None:
    """A hundred of them keep it waiting for half a minute."""

    clock = Clock()
    first = surroundings.open()
    made(first)
    stopping = made(first)
    claimed = {"claim": "dead", "claim_until": clock() + LIFETIME}
    surroundings.set_row(stopping, wish="stop", operation="stop", operation_since=clock(), **claimed)
    engine = SlowRuntime(deafened(surroundings.memory), calls=("probe",))
    surroundings.open(engine, clock=clock, SYNC_SECONDS=SELDOM).start_background()
    try:
        assert engine.entered.wait(10)
        assert surroundings.row(stopping).claim == "dead"
        clock.advance(seconds=LIFETIME.total_seconds())
        stopped = eventually(lambda: surroundings.row(stopping).status == "stopped", 2 * LOOKS_EVERY + 1)
        assert stopped, surroundings.row(stopping).__data__
    finally:
        engine.release()


def test_bots_that_never_answer_keep_none_from_being_brought_back(surroundings: Surroundings) -> None:
    """Each of them is waited for for half a minute, and more of them than are worked on at a time are the oldest."""

    class Mute(WrappedRuntime):
        mute: tuple[str | None, ...] = ()

        def probe(self, observation: Observation, probe: Probe) -> bool:
            return observation.container_id not in self.mute and self.inner.probe(observation, probe)

    engine = Mute(surroundings.memory)
    platform = surroundings.open(engine, SYNC_SECONDS=SELDOM)
    ids = [made(platform) for _ in range(2 * MOST_AT_ONCE + 1)]
    engine.mute = tuple(surroundings.memory.observe(each).container_id for each in ids[:-1])
    surroundings.memory.end_with_engine()
    platform.start_background()
    assert eventually(lambda: surroundings.memory.observe(ids[-1]).state is ContainerState.RUNNING, 10)
    surroundings.reaches(ids[-1], status="running", operation=None)
    for each in ids[:-1]:
        surroundings.reaches(each, status="creating", reason="waiting_until_ready", operation="recover")
    engine.mute = ()
    for each in ids:
        surroundings.reaches(each, status="running", operation=None)


def test_what_is_made_while_a_sync_waits_for_bots_that_hang_is_of_the_span_of_this_server(
    surroundings: Surroundings,
) -> None:
    """Otherwise it would be taken for what a newer database knows, and be left for ever if it became rubbish."""

    def spans() -> list[tuple[datetime, datetime]]:
        with surroundings.looking().reading():
            return [(row.begun, row.until) for row in surroundings.rows.span.select()]

    def is_extended() -> bool:
        return clock() - spans()[0][1] < timedelta(seconds=10)

    clock = Clock()
    made(surroundings.open())
    engine = SlowRuntime(surroundings.memory, calls=("probe",))
    surroundings.open(engine, clock=clock, SYNC_SECONDS=SELDOM).start_background()
    try:
        assert engine.entered.wait(10)
        for _ in range(2):
            clock.advance(seconds=50)
            assert eventually(is_extended, 2 * LOOKS_EVERY + 1), spans()
        assert len(spans()) == 1
    finally:
        engine.release()


def test_an_engine_that_cannot_be_heard_is_listened_to_again(surroundings: Surroundings) -> None:
    class DeafAtFirst(WrappedRuntime):
        """The first two tries to listen fail: one as it may, one as it must not."""

        tries = 0

        def events(self) -> Any:
            self.tries += 1
            if self.tries == 1:
                raise RuntimeUnavailable
            if self.tries == 2:
                raise KeyError
            return super().events()

    runtime = DeafAtFirst(surroundings.memory)
    platform = surroundings.open(runtime, SYNC_SECONDS=SELDOM)
    instance_id = made(platform)
    platform.start_background()
    assert eventually(lambda: runtime.tries == 3, 10)
    surroundings.memory.vanish(instance_id)
    surroundings.witness.until(StatusChanged, reason="container_missing")


class FailsInTurn(WrappedRuntime):
    """Raises one error after the other when all containers are to be observed, and then works."""

    def __init__(self, inner: MemoryRuntime, *errors: Exception) -> None:
        super().__init__(inner)
        self.errors = list(errors)

    def before(self, call: str) -> None:
        if call == "observe_all" and self.errors:
            raise self.errors.pop(0)
