"""The next step: every situation there is, and the table of states by hand."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from clawdeploy.core.contracts import ContainerState, Observation, Operation, Status, Wish
from clawdeploy.core.crashes import CRASHES_THAT_MAKE_A_LOOP
from clawdeploy.core.reasons import SENTENCES
from clawdeploy.core.situation import Recorded, Situation
from clawdeploy.core.steps import ALIVE, FAILED_OPERATIONS, Action, Step, next_step, verdict

pytestmark = pytest.mark.exhaustive

S = ContainerState
BOTH = (False, True)
TOUCHES = {Action.CREATE, Action.START, Action.STOP, Action.REMOVE, Action.FORGET}
ENDINGS = ((None, False), (0, False), (1, False), (137, False), (137, True))
"""Exit codes, one of each class: unknown, ended by itself, failed, killed; and a lack of memory."""
ENDED = {S.EXITED, S.RESTARTING, S.DEAD}
"""The states in which the engine tells how a bot has ended."""
FLAGS = ("made", "started", "ready", "overdue", "outdated", "looping", "owed", "unread")
"""What is simply so or not."""
MOST_STEPS = 8

Walk = list[tuple[Situation, Step]]


def all_situations() -> Iterator[Situation]:
    """Yield the full product of everything that the next step depends on."""
    observations = [
        Observation(state, None if state is S.MISSING else "c", exit_code=code, out_of_memory=oom)
        for state in S
        for code, oom in (ENDINGS if state in ENDED else ENDINGS[:1])
    ]
    rest = list(product(Recorded, product(BOTH, repeat=len(FLAGS))))
    for wish, operation, seen in product(Wish, (None, *Operation), observations):
        for recorded, flags in rest:
            named: Any = dict(zip(FLAGS, flags, strict=True))
            yield Situation(wish, operation, seen, recorded, **named)


@pytest.fixture(scope="module")
def steps() -> Walk:
    """Every situation with its next step; that none of them raises is part of the test."""
    return [(situation, next_step(situation)) for situation in all_situations()]


def test_the_product_is_complete(steps: Walk) -> None:
    observations = len(ENDED) * len(ENDINGS) + len(set(S) - ENDED)
    assert len(steps) == len(Wish) * (len(Operation) + 1) * observations * len(Recorded) * 2 ** len(FLAGS)
    assert {step.action for _, step in steps} == set(Action)


def test_only_a_settled_step_says_something(steps: Walk) -> None:
    for situation, step in steps:
        says = step.action in (Action.SETTLE, Action.BACK_OFF)
        assert (step.status is not None) == says, situation
        assert not step.reason or says, situation


def test_every_reason_has_a_sentence_and_every_error_a_reason(steps: Walk) -> None:
    for situation, step in steps:
        assert step.reason in SENTENCES, situation
        assert step.reason or step.status is not Status.ERROR, situation
    assert set(SENTENCES) >= FAILED_OPERATIONS


def test_a_settled_status_is_one_that_can_be_observed(steps: Walk) -> None:
    for situation, step in steps:
        assert step.status not in (Status.PENDING, Status.DELETED), situation
        if step.status is Status.RUNNING:
            assert situation.observation.state is S.RUNNING, situation
            assert situation.ready, situation
        if step.status is Status.CREATING:
            assert situation.operation is None, situation
            assert (situation.observation.state, situation.ready) == (S.RUNNING, False), situation


def test_what_is_to_be_deleted_is_only_taken_away(steps: Walk) -> None:
    for situation, step in steps:
        if situation.wish is Wish.DELETE:
            assert step.action not in (Action.CREATE, Action.START, Action.SETTLE), situation
        else:
            assert step.action is not Action.FORGET, situation
        if step.action is Action.FORGET:
            assert situation.observation.state is S.MISSING, situation


def test_without_an_operation_no_container_is_touched(steps: Walk) -> None:
    for situation, step in steps:
        if situation.operation is None:
            assert step == verdict(situation)
            begins = (Action.RECOVER, Action.RESTART, Action.BACK_OFF)
            assert step.action in (Action.SETTLE, Action.KEEP, *begins), situation


def test_only_a_bot_that_should_run_is_brought_back_or_held_back(steps: Walk) -> None:
    for situation, step in steps:
        seen = situation.observation
        if step.action is Action.RECOVER:
            assert (situation.wish, situation.operation, situation.owed) == (Wish.RUN, None, True), situation
            promised = situation.recorded is Recorded.TRIED_LATER
            never_ran = seen.state is S.CREATED or (seen.state is S.MISSING and not situation.made)
            assert seen.state is S.EXITED or (promised and never_ran), situation
        if step.action is Action.BACK_OFF:
            assert (situation.wish, situation.looping) == (Wish.RUN, True), situation
            assert seen.state in (S.RUNNING, S.RESTARTING), situation
            assert not situation.ready or seen.state is S.RESTARTING, situation


def test_what_backs_off_is_stopped_and_then_left_alone(steps: Walk) -> None:
    for situation, step in steps:
        if situation.recorded is not Recorded.BACKING_OFF or situation.wish is not Wish.RUN:
            continue
        alive = situation.observation.state in ALIVE
        if situation.operation is not None:
            assert step.action is (Action.STOP if alive else Action.KEEP), situation
        elif situation.observation.state is S.EXITED:
            held = Action.RECOVER if situation.owed else Action.KEEP
            assert step.action is (Action.RESTART if situation.unread else held), situation


def test_only_a_bot_that_should_run_is_restarted_for_a_secret(steps: Walk) -> None:
    for situation, step in steps:
        if step.action is Action.RESTART:
            assert (situation.wish, situation.unread) == (Wish.RUN, True), situation
            assert situation.operation in (None, Operation.RECOVER), situation


def test_no_bot_that_should_run_goes_on_with_old_secrets(steps: Walk) -> None:
    restarts = {Action.RESTART, Action.STOP}
    for situation, step in steps:
        alive = situation.observation.state in (S.RUNNING, S.RESTARTING)
        if situation.unread and alive and situation.wish is Wish.RUN:
            assert step.action in restarts, situation


def test_an_operation_ends_with_an_outcome(steps: Walk) -> None:
    for situation, step in steps:
        backs_off = situation.recorded is Recorded.BACKING_OFF and situation.wish is Wish.RUN
        assert situation.operation is None or backs_off or step.action is not Action.KEEP, situation


def test_a_bot_that_answered_and_does_not_any_more_is_unhealthy(steps: Walk) -> None:
    for situation, step in steps:
        if step.reason == "unhealthy":
            assert (situation.operation, situation.recorded) == (None, Recorded.ANSWERED), situation
            assert not situation.ready, situation


def test_the_engines_own_health_check_counts() -> None:
    seen = Observation(S.RUNNING, "c", unhealthy=True)
    assert verdict(Situation(Wish.RUN, None, seen, ready=True)) == Step(Action.SETTLE, Status.ERROR, "unhealthy")


def test_a_stop_never_starts(steps: Walk) -> None:
    for situation, step in steps:
        if situation.wish is Wish.STOP:
            assert step.action not in (Action.CREATE, Action.START, Action.REMOVE), situation


def test_each_action_suits_what_is_there(steps: Walk) -> None:
    suitable = {
        Action.CREATE: {S.MISSING},
        Action.START: {S.CREATED, S.EXITED, S.PAUSED},
        Action.STOP: set(ALIVE),
        Action.REMOVE: {S.CREATED, S.EXITED, S.DEAD},
        Action.FORGET: {S.MISSING},
    }
    for situation, step in steps:
        assert situation.observation.state in suitable.get(step.action, S), (situation, step)


def test_nothing_waits_for_what_cannot_pass_by_itself(steps: Walk) -> None:
    for situation, step in steps:
        seen = situation.observation
        if step.action is not Action.WAIT or seen.state is S.REMOVING:
            continue
        assert situation.wish is Wish.RUN, situation
        assert not situation.looping, situation
        if seen.state is S.RUNNING:
            assert not situation.ready, situation
            assert not situation.overdue, situation
        else:
            assert (seen.state, situation.started) == (S.RESTARTING, True), situation


def test_what_the_engine_could_not_start_is_stopped_once_although_it_has_ended() -> None:
    failed = Observation(S.EXITED, "c", exit_code=128, engine_error="a port is in use")
    situation = Situation(Wish.STOP, Operation.STOP, failed, made=True)
    assert next_step(situation) == Step(Action.STOP)
    assert next_step(replace(situation, held=True)) == Step(Action.SETTLE, Status.STOPPED)


def test_what_is_alive_is_stopped_before_a_restart(steps: Walk) -> None:
    tried = 0
    for situation, step in steps:
        here = (situation.operation, situation.wish, situation.started) == (Operation.RESTART, Wish.RUN, False)
        if here and situation.observation.state in ALIVE:
            assert step == Step(Action.STOP), situation
            tried += 1
    assert tried


def test_no_other_kind_of_operation_changes_anything(steps: Walk) -> None:
    for situation, step in steps:
        afresh = situation.operation is Operation.RESTART and not situation.started
        known = situation.operation is Operation.RECOVER and situation.made
        vanished = known and situation.observation.state is S.MISSING
        becomes_another = known and situation.unread
        if situation.operation is not None and not afresh and not vanished and not becomes_another:
            assert step == next_step(replace(situation, operation=Operation.CREATE)), situation


def test_what_earlier_operations_left_changes_nothing_under_way(steps: Walk) -> None:
    for situation, step in steps:
        if situation.operation is not None and situation.recorded is not Recorded.BACKING_OFF:
            assert step == next_step(replace(situation, recorded=Recorded.OTHER, owed=False)), situation


def test_a_sync_right_after_an_operation_finds_nothing_to_correct(steps: Walk) -> None:
    for situation, step in steps:
        if situation.operation is not None and step.action is Action.SETTLE:
            compared = verdict(replace(situation, operation=None, started=False, recorded=Recorded.OTHER, owed=False))
            assert compared in (step, Step(Action.KEEP)), situation


# -- the loop, on an engine that does what it is told ----------------------------------------------------------------


def obedient(situation: Situation, action: Action) -> Situation:
    """Return the situation after an engine has done what it was asked to, and a waiting moment has passed."""
    seen = situation.observation
    if action is Action.CREATE:
        return replace(situation, observation=Observation(S.CREATED, "c"), made=True, outdated=False, unread=False)
    if action is Action.START:
        seen = Observation(S.RUNNING, "c")
        begun = replace(situation, observation=seen, started=True, unread=False)
        return replace(begun, ready=False, overdue=False, looping=False)
    if action is Action.STOP:
        return replace(situation, observation=Observation(S.EXITED, "c", exit_code=143), started=False, ready=False)
    if action is Action.REMOVE or seen.state is S.REMOVING:
        return replace(situation, observation=Observation(S.MISSING), ready=False)
    if seen.state is S.RESTARTING:
        return replace(situation, observation=replace(seen, state=S.RUNNING))
    return replace(situation, ready=True)


def never_ready(situation: Situation, action: Action) -> Situation:
    """A bot that starts and never answers."""
    after = obedient(situation, action)
    return replace(after, ready=False, overdue=action is Action.WAIT)


def crashing(situation: Situation, action: Action) -> Situation:
    """A bot that ends whenever it is started, and is restarted by the engine."""
    after = obedient(situation, action)
    if after.observation.state is not S.RUNNING:
        return after
    count = situation.observation.restart_count + 1 if action is Action.WAIT else 1
    seen = Observation(S.RESTARTING, "c", exit_code=3, restart_count=count)
    return replace(after, ready=False, observation=seen, looping=count >= CRASHES_THAT_MAKE_A_LOOP)


def settle(situation: Situation, engine: Callable[[Situation, Action], Situation]) -> Step:
    """Run the loop to its end, which must not be far."""
    for _ in range(MOST_STEPS):
        step = next_step(situation)
        if step.action in (Action.SETTLE, Action.KEEP, Action.BACK_OFF, Action.FORGET):
            return step
        situation = engine(situation, step.action)
    pytest.fail(f"not settled after {MOST_STEPS} steps: {situation}")


def operations(wish: Wish) -> Iterator[Situation]:
    """Yield every situation in which an operation toward a wish can be entered, also one that was interrupted."""
    for situation in all_situations():
        begun = situation.operation is Operation.CREATE and situation.recorded is not Recorded.BACKING_OFF
        if situation.wish is wish and begun:
            yield situation


@pytest.mark.parametrize("engine", [obedient, never_ready, crashing])
def test_a_delete_always_ends_with_nothing_left(engine: Callable[[Situation, Action], Situation]) -> None:
    for situation in operations(Wish.DELETE):
        assert settle(situation, engine) == Step(Action.FORGET), situation


@pytest.mark.parametrize("engine", [obedient, never_ready, crashing])
def test_a_stop_always_ends_stopped(engine: Callable[[Situation, Action], Situation]) -> None:
    for situation in operations(Wish.STOP):
        state = situation.observation.state
        missing = state is S.DEAD or (situation.made and state in (S.MISSING, S.REMOVING))
        expected = (Status.ERROR, "container_missing") if missing else (Status.STOPPED, "")
        assert settle(situation, engine) == Step(Action.SETTLE, *expected), situation


def test_a_fresh_start_always_ends_running() -> None:
    for situation in operations(Wish.RUN):
        late = situation.observation.state is S.RUNNING and situation.overdue and not situation.ready
        if not situation.started and not late:
            assert settle(situation, obedient) == Step(Action.SETTLE, Status.RUNNING), situation


def test_a_start_that_was_interrupted_ends_with_what_is_so() -> None:
    for situation in operations(Wish.RUN):
        if situation.started:
            ended = settle(situation, obedient)
            assert ended.status in (Status.RUNNING, Status.STOPPED, Status.ERROR), situation


@pytest.mark.parametrize(("engine", "reasons"), [(never_ready, {"not_ready"}), (crashing, {"crash_loop"})])
def test_a_bot_that_does_not_come_up_ends_with_the_reason(
    engine: Callable[[Situation, Action], Situation], reasons: set[str]
) -> None:
    for situation in operations(Wish.RUN):
        if not situation.started and situation.observation.state in (S.MISSING, S.CREATED, S.EXITED, S.PAUSED, S.DEAD):
            ended = settle(situation, engine)
            assert (ended.status, ended.reason) in {(Status.ERROR, reason) for reason in reasons}, situation


# -- the table of states, by hand ------------------------------------------------------------------------------------

STOPPED, ERROR, RUNNING, CREATING = Status.STOPPED, Status.ERROR, Status.RUNNING, Status.CREATING


def record(status: Status, reason: str = "") -> Step:
    return Step(Action.SETTLE, status, reason)


def held_back(reason: str) -> Step:
    return Step(Action.BACK_OFF, ERROR, reason)


GIVEN = ("recorded", "started", "ready", "overdue", "outdated", "looping", "owed", "unread")


def settled(wish: Wish, state: ContainerState, **known: object) -> Situation:
    """Describe an instance that nobody works on, whose container was made."""
    return described(wish, None, state, **known)


def described(wish: Wish, operation: Operation | None, state: ContainerState, **known: object) -> Situation:
    situation = {name: known.pop(name) for name in GIVEN if name in known}
    made = bool(known.pop("made", True))
    return Situation(wish, operation, Observation(state, **known), made=made, **situation)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        (settled(Wish.RUN, S.RUNNING, ready=True), record(RUNNING)),
        (settled(Wish.RUN, S.RUNNING), record(CREATING, "waiting_until_ready")),
        (settled(Wish.RUN, S.RUNNING, overdue=True), record(ERROR, "not_ready")),
        (settled(Wish.RUN, S.RUNNING, looping=True), held_back("crash_loop")),
        (settled(Wish.RUN, S.RUNNING, looping=True, out_of_memory=True), held_back("out_of_memory")),
        (settled(Wish.RUN, S.RUNNING, ready=True, looping=True), record(RUNNING)),
        (settled(Wish.RUN, S.EXITED, exit_code=0), record(STOPPED, "stopped_outside")),
        (settled(Wish.RUN, S.EXITED, exit_code=137), record(STOPPED, "stopped_outside")),
        (settled(Wish.RUN, S.EXITED, exit_code=143), record(STOPPED, "stopped_outside")),
        (settled(Wish.RUN, S.EXITED, exit_code=3), record(ERROR, "crashed")),
        (settled(Wish.RUN, S.EXITED, exit_code=None), record(ERROR, "crashed")),
        (settled(Wish.RUN, S.EXITED, exit_code=137, out_of_memory=True), record(ERROR, "out_of_memory")),
        (settled(Wish.RUN, S.EXITED, exit_code=1, out_of_memory=True), record(ERROR, "out_of_memory")),
        (settled(Wish.RUN, S.EXITED, exit_code=0, out_of_memory=True), record(STOPPED, "stopped_outside")),
        (settled(Wish.RUN, S.EXITED, exit_code=143, out_of_memory=True), record(STOPPED, "stopped_outside")),
        (settled(Wish.RUN, S.EXITED, exit_code=1, ended_by_hand=True), record(STOPPED, "stopped_outside")),
        (
            settled(Wish.RUN, S.EXITED, exit_code=137, out_of_memory=True, ended_by_hand=True),
            record(STOPPED, "stopped_outside"),
        ),
        (settled(Wish.STOP, S.EXITED, exit_code=1, ended_by_hand=True), record(STOPPED)),
        (settled(Wish.RUN, S.CREATED), record(STOPPED, "stopped_outside")),
        (settled(Wish.RUN, S.RESTARTING, exit_code=3, looping=True), held_back("crash_loop")),
        (settled(Wish.RUN, S.RESTARTING, exit_code=3), record(ERROR, "crashed")),
        (settled(Wish.STOP, S.RESTARTING, exit_code=3, looping=True), record(ERROR, "crash_loop")),
        (settled(Wish.RUN, S.EXITED, owed=True), Step(Action.RECOVER)),
        (settled(Wish.RUN, S.EXITED, owed=True, recorded=Recorded.FAILED), Step(Action.RECOVER)),
        (settled(Wish.RUN, S.EXITED, owed=True, recorded=Recorded.TRIED_LATER), Step(Action.RECOVER)),
        (settled(Wish.RUN, S.EXITED, recorded=Recorded.TRIED_LATER, exit_code=3), Step(Action.KEEP)),
        (settled(Wish.RUN, S.EXITED, recorded=Recorded.TRIED_LATER, unread=True), Step(Action.KEEP)),
        (settled(Wish.RUN, S.MISSING, recorded=Recorded.TRIED_LATER), record(ERROR, "container_missing")),
        (settled(Wish.RUN, S.MISSING, owed=True, recorded=Recorded.TRIED_LATER), record(ERROR, "container_missing")),
        (settled(Wish.RUN, S.MISSING, owed=True, recorded=Recorded.TRIED_LATER, made=False), Step(Action.RECOVER)),
        (settled(Wish.RUN, S.MISSING, recorded=Recorded.TRIED_LATER, made=False), Step(Action.KEEP)),
        (settled(Wish.RUN, S.MISSING, owed=True, recorded=Recorded.FAILED, made=False), Step(Action.KEEP)),
        (settled(Wish.RUN, S.EXITED, owed=True, recorded=Recorded.BACKING_OFF), Step(Action.RECOVER)),
        (settled(Wish.RUN, S.EXITED, recorded=Recorded.BACKING_OFF), Step(Action.KEEP)),
        (settled(Wish.RUN, S.MISSING, recorded=Recorded.BACKING_OFF), record(ERROR, "container_missing")),
        (settled(Wish.RUN, S.RUNNING, recorded=Recorded.BACKING_OFF, ready=True), record(RUNNING)),
        (settled(Wish.STOP, S.EXITED, owed=True), record(STOPPED)),
        (settled(Wish.RUN, S.RUNNING, recorded=Recorded.ANSWERED), record(ERROR, "unhealthy")),
        (settled(Wish.RUN, S.RESTARTING, out_of_memory=True), record(ERROR, "out_of_memory")),
        (settled(Wish.RUN, S.PAUSED), record(STOPPED, "paused_outside")),
        (settled(Wish.RUN, S.MISSING), record(ERROR, "container_missing")),
        (settled(Wish.RUN, S.DEAD), record(ERROR, "container_missing")),
        (settled(Wish.RUN, S.REMOVING), Step(Action.KEEP)),
        (settled(Wish.RUN, S.MISSING, made=False), Step(Action.KEEP)),
        (settled(Wish.RUN, S.MISSING, recorded=Recorded.FAILED), Step(Action.KEEP)),
        (settled(Wish.RUN, S.EXITED, recorded=Recorded.FAILED, exit_code=0), Step(Action.KEEP)),
        (settled(Wish.RUN, S.RUNNING, recorded=Recorded.FAILED, ready=True), record(RUNNING)),
        (settled(Wish.STOP, S.RUNNING, ready=True), record(RUNNING, "started_outside")),
        (settled(Wish.STOP, S.RUNNING), record(CREATING, "waiting_until_ready")),
        (settled(Wish.STOP, S.EXITED, exit_code=0), record(STOPPED)),
        (settled(Wish.STOP, S.EXITED, exit_code=3), record(STOPPED)),
        (settled(Wish.STOP, S.EXITED, exit_code=137, out_of_memory=True), record(STOPPED)),
        (settled(Wish.STOP, S.CREATED), record(STOPPED)),
        (settled(Wish.STOP, S.PAUSED), record(STOPPED, "paused_outside")),
        (settled(Wish.STOP, S.MISSING), record(ERROR, "container_missing")),
        (settled(Wish.STOP, S.MISSING, made=False), Step(Action.KEEP)),
        (settled(Wish.DELETE, S.RUNNING, ready=True), Step(Action.KEEP)),
        (settled(Wish.DELETE, S.MISSING), Step(Action.KEEP)),
    ],
)
def test_what_is_recorded(situation: Situation, step: Step) -> None:
    assert next_step(situation) == step


CREATE, START, RESTART = Operation.CREATE, Operation.START, Operation.RESTART
STOP, DELETE = Operation.STOP, Operation.DELETE
WAIT = Step(Action.WAIT)


@pytest.mark.parametrize(
    ("situation", "step"),
    [
        (described(Wish.RUN, CREATE, S.MISSING, made=False), Step(Action.CREATE)),
        (described(Wish.RUN, START, S.MISSING), Step(Action.CREATE)),
        (described(Wish.RUN, Operation.RECOVER, S.MISSING), record(ERROR, "container_missing")),
        (described(Wish.RUN, Operation.RECOVER, S.MISSING, made=False), Step(Action.CREATE)),
        (described(Wish.RUN, Operation.RECOVER, S.MISSING, made=False, unread=True), Step(Action.CREATE)),
        (described(Wish.RUN, Operation.RECOVER, S.RESTARTING, recorded=Recorded.BACKING_OFF), Step(Action.STOP)),
        (described(Wish.RUN, Operation.RECOVER, S.EXITED, recorded=Recorded.BACKING_OFF), Step(Action.KEEP)),
        (described(Wish.RUN, CREATE, S.CREATED), Step(Action.START)),
        (described(Wish.RUN, START, S.EXITED, exit_code=1), Step(Action.START)),
        (described(Wish.RUN, START, S.PAUSED), Step(Action.START)),
        (described(Wish.RUN, START, S.RESTARTING), Step(Action.STOP)),
        (described(Wish.RUN, START, S.RUNNING, looping=True), Step(Action.STOP)),
        (described(Wish.RUN, START, S.RUNNING, looping=True, ready=True), record(RUNNING)),
        (described(Wish.RUN, START, S.DEAD), Step(Action.REMOVE)),
        (described(Wish.RUN, START, S.REMOVING), WAIT),
        (described(Wish.RUN, START, S.RUNNING), WAIT),
        (described(Wish.RUN, START, S.RUNNING, ready=True, outdated=True), record(RUNNING)),
        (described(Wish.RUN, START, S.EXITED, outdated=True), Step(Action.REMOVE)),
        (described(Wish.RUN, START, S.CREATED, outdated=True), Step(Action.REMOVE)),
        (described(Wish.RUN, CREATE, S.CREATED, outdated=True), Step(Action.REMOVE)),
        (described(Wish.RUN, START, S.PAUSED, outdated=True), Step(Action.STOP)),
        (described(Wish.RUN, START, S.MISSING, outdated=True), Step(Action.CREATE)),
        (described(Wish.RUN, RESTART, S.RUNNING, ready=True, outdated=True), Step(Action.STOP)),
        (described(Wish.RUN, RESTART, S.EXITED, outdated=True), Step(Action.REMOVE)),
        (described(Wish.RUN, START, S.RUNNING, ready=True), record(RUNNING)),
        (described(Wish.RUN, START, S.RUNNING, started=True), WAIT),
        (described(Wish.RUN, START, S.RUNNING, started=True, ready=True), record(RUNNING)),
        (described(Wish.RUN, START, S.RUNNING, started=True, overdue=True), record(ERROR, "not_ready")),
        (described(Wish.RUN, START, S.RUNNING, started=True, looping=True), held_back("crash_loop")),
        (described(Wish.RUN, START, S.RESTARTING, started=True), WAIT),
        (described(Wish.RUN, START, S.RESTARTING, started=True, looping=True), held_back("crash_loop")),
        (described(Wish.RUN, START, S.EXITED, started=True, exit_code=3), record(ERROR, "crashed")),
        (
            described(Wish.RUN, START, S.EXITED, started=True, exit_code=3, recorded=Recorded.FAILED),
            record(ERROR, "crashed"),
        ),
        (described(Wish.RUN, START, S.EXITED, started=True, exit_code=0), record(STOPPED, "stopped_outside")),
        (described(Wish.RUN, START, S.MISSING, started=True), record(ERROR, "container_missing")),
        (described(Wish.STOP, STOP, S.RUNNING), Step(Action.STOP)),
        (described(Wish.STOP, STOP, S.RESTARTING), Step(Action.STOP)),
        (described(Wish.STOP, STOP, S.PAUSED), Step(Action.STOP)),
        (described(Wish.STOP, STOP, S.EXITED, exit_code=137), record(STOPPED)),
        (described(Wish.STOP, STOP, S.CREATED), record(STOPPED)),
        (described(Wish.STOP, STOP, S.REMOVING), WAIT),
        (described(Wish.STOP, STOP, S.DEAD), record(ERROR, "container_missing")),
        (described(Wish.STOP, STOP, S.MISSING), record(ERROR, "container_missing")),
        (described(Wish.STOP, STOP, S.MISSING, made=False), record(STOPPED)),
        (described(Wish.DELETE, DELETE, S.RUNNING), Step(Action.STOP)),
        (described(Wish.DELETE, DELETE, S.RESTARTING), Step(Action.STOP)),
        (described(Wish.DELETE, DELETE, S.EXITED), Step(Action.REMOVE)),
        (described(Wish.DELETE, DELETE, S.CREATED), Step(Action.REMOVE)),
        (described(Wish.DELETE, DELETE, S.DEAD), Step(Action.REMOVE)),
        (described(Wish.DELETE, DELETE, S.REMOVING), WAIT),
        (described(Wish.DELETE, DELETE, S.MISSING), Step(Action.FORGET)),
    ],
)
def test_what_is_done(situation: Situation, step: Step) -> None:
    assert next_step(situation) == step
