"""What to do next: pure functions from what is wished and what was observed. No clock, no engine, no database."""

from dataclasses import dataclass, replace
from enum import StrEnum

from clawdeploy.core.contracts import ContainerState, Observation, Operation, Status, Wish

CRASHES_THAT_MAKE_A_LOOP = 3
"""How often the engine has to restart a container before its start counts as a crash loop."""

ENDED_WHEN_ASKED = (0, 137, 143)
"""Exit codes of a process that ended because it was asked to: by itself, by SIGKILL, by SIGTERM."""

FAILED_OPERATIONS = frozenset(
    ("image_unavailable", "name_taken", "port_taken", "no_free_port", "runtime_failure", "runtime_unavailable")
)
"""Reasons that an operation leaves when it could not bring the container up."""

ALIVE = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)


class Action(StrEnum):
    """One thing to do."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"
    FORGET = "forget"
    WAIT = "wait"
    SETTLE = "settle"
    KEEP = "keep"


@dataclass(frozen=True)
class Step:
    """The next thing to do. ``SETTLE`` carries the status and reason to record; ``KEEP`` records nothing new."""

    action: Action
    status: Status | None = None
    reason: str = ""


@dataclass(frozen=True)
class Situation:
    """All that the next step depends on.

    ``operation`` is unfinished work, ``None`` for an instance that has settled and is only compared.
    ``made``: the instance has had a container. ``started``: the engine acknowledged the start within this
    operation. ``ready``: the probe passed. ``overdue``: it is past its deadline for that. ``failed``: what is
    recorded is that an operation failed. ``outdated``: the container was made from something else than
    what is asked for now.
    """

    wish: Wish
    operation: Operation | None
    observation: Observation
    made: bool = False
    started: bool = False
    ready: bool = False
    overdue: bool = False
    failed: bool = False
    outdated: bool = False


def next_step(situation: Situation) -> Step:
    """Return the next step toward the wish, or the record of what is so when there is nothing to do."""
    if situation.operation is None:
        return verdict(situation)
    if situation.wish is Wish.DELETE:
        return _toward_gone(situation.observation.state)
    if situation.wish is Wish.STOP:
        return _toward_stopped(situation)
    return _toward_running(situation)


def verdict(situation: Situation) -> Step:
    """Return what to record of an instance that nobody is working on. Never changes the container."""
    seen = situation.observation
    if situation.wish is Wish.DELETE or seen.state is ContainerState.REMOVING:
        return Step(Action.KEEP)
    if situation.failed and seen.state not in ALIVE:
        return Step(Action.KEEP)
    if seen.state is ContainerState.MISSING and not situation.made:
        return Step(Action.KEEP)
    if seen.state in (ContainerState.MISSING, ContainerState.DEAD):
        return Step(Action.SETTLE, Status.ERROR, "container_missing")
    if seen.state is ContainerState.RESTARTING:
        return Step(Action.SETTLE, Status.ERROR, "out_of_memory" if seen.out_of_memory else "crash_loop")
    if seen.state is ContainerState.PAUSED:
        return Step(Action.SETTLE, Status.STOPPED, "paused_outside")
    if seen.state is ContainerState.RUNNING:
        return _verdict_on_running(situation)
    return _verdict_on_ended(situation)


def _verdict_on_running(situation: Situation) -> Step:
    if situation.ready:
        return Step(Action.SETTLE, Status.RUNNING, "started_outside" if situation.wish is Wish.STOP else "")
    if _crashes_in_a_loop(situation.observation):
        reason = "out_of_memory" if situation.observation.out_of_memory else "crash_loop"
        return Step(Action.SETTLE, Status.ERROR, reason)
    if situation.overdue:
        return Step(Action.SETTLE, Status.ERROR, "not_ready")
    return Step(Action.SETTLE, Status.CREATING, "waiting_until_ready")


def _verdict_on_ended(situation: Situation) -> Step:
    seen = situation.observation
    if situation.wish is Wish.STOP:
        return Step(Action.SETTLE, Status.STOPPED)
    if seen.out_of_memory:
        return Step(Action.SETTLE, Status.ERROR, "out_of_memory")
    if seen.state is ContainerState.CREATED or seen.exit_code in ENDED_WHEN_ASKED:
        return Step(Action.SETTLE, Status.STOPPED, "stopped_outside")
    return Step(Action.SETTLE, Status.ERROR, "crashed")


def _toward_gone(state: ContainerState) -> Step:
    if state is ContainerState.MISSING:
        return Step(Action.FORGET)
    if state is ContainerState.REMOVING:
        return Step(Action.WAIT)
    return Step(Action.STOP if state in ALIVE else Action.REMOVE)


def _toward_stopped(situation: Situation) -> Step:
    state = situation.observation.state
    if state is ContainerState.DEAD or (state is ContainerState.MISSING and situation.made):
        return Step(Action.SETTLE, Status.ERROR, "container_missing")
    if state is ContainerState.REMOVING:
        return Step(Action.WAIT)
    return Step(Action.STOP) if state in ALIVE else Step(Action.SETTLE, Status.STOPPED)


def _toward_running(situation: Situation) -> Step:
    seen = situation.observation
    if not situation.started and not (seen.state is ContainerState.RUNNING and _may_go_on(situation)):
        if situation.outdated and seen.state is ContainerState.EXITED:
            return Step(Action.REMOVE)
        afresh = situation.operation is Operation.RESTART or situation.outdated
        return Step(Action.STOP) if afresh and seen.state in ALIVE else _toward_started(seen.state)
    if seen.state is ContainerState.RESTARTING and not _crashes_in_a_loop(seen):
        return Step(Action.WAIT)
    # What was recorded of earlier operations says nothing about this one.
    judged = verdict(replace(situation, made=True, failed=False))
    passing = judged.action is Action.KEEP or judged.status is Status.CREATING
    return Step(Action.WAIT) if passing else judged


def _may_go_on(situation: Situation) -> bool:
    """Say whether a running container is left to itself, or gets the fresh start that was asked for."""
    if situation.operation is Operation.RESTART:
        return False
    return situation.ready or not _crashes_in_a_loop(situation.observation)


def _toward_started(state: ContainerState) -> Step:
    return {
        ContainerState.MISSING: Step(Action.CREATE),
        ContainerState.CREATED: Step(Action.START),
        ContainerState.EXITED: Step(Action.START),
        ContainerState.PAUSED: Step(Action.START),
        # The engine forgets how often it restarted a container only when that is stopped and started afresh.
        ContainerState.RUNNING: Step(Action.STOP),
        ContainerState.RESTARTING: Step(Action.STOP),
        ContainerState.DEAD: Step(Action.REMOVE),
        ContainerState.REMOVING: Step(Action.WAIT),
    }[state]


def _crashes_in_a_loop(seen: Observation) -> bool:
    return seen.restart_count >= CRASHES_THAT_MAKE_A_LOOP
