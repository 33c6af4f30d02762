"""What to do next: pure functions from what is wished and what was observed. No clock, no engine, no database."""

from dataclasses import dataclass, replace
from enum import StrEnum

from clawdeploy.core.contracts import ContainerState, Operation, Status, Wish
from clawdeploy.core.situation import Recorded, Situation

SIGKILL = 137
"""The exit code of a process that was ended by force, as the kernel does when memory runs out."""
ENDED_WHEN_ASKED = (0, SIGKILL, 143)
"""Exit codes of a process that ended because it was asked to: by itself, by SIGKILL, by SIGTERM."""

FAILED_OPERATIONS = frozenset(("image_unavailable", "name_taken", "port_taken", "no_free_port", "runtime_failure"))
"""Reasons that an operation leaves when it could not bring the container up."""

CRASHED = frozenset(("crashed", "out_of_memory", "crash_loop"))
"""Reasons that tell of a bot that ended by itself."""

COME_BACK = (Recorded.BACKING_OFF, Recorded.TRIED_LATER)
"""What is recorded of those that are brought back after a pause, if there is something left to bring back."""

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
    BACK_OFF = "back_off"
    RECOVER = "recover"
    RESTART = "restart"


@dataclass(frozen=True)
class Step:
    """The next thing to do.

    ``SETTLE`` carries the status and reason to record, and ``BACK_OFF`` what to record before the container is
    stopped for a while; ``KEEP`` records nothing new. ``RECOVER`` and ``RESTART`` begin operations of these names.
    """

    action: Action
    status: Status | None = None
    reason: str = ""


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
    """Return what to record of an instance that nobody is working on.

    Or what a bot that should run is owed: ``RECOVER`` when it ended by nobody's hand, ``BACK_OFF`` when it crashes
    in a loop; ``RESTART`` when it may still use a secret that was replaced, perhaps because that had become known. The
    container is never changed against somebody's hand.
    """
    seen = situation.observation
    if situation.wish is Wish.DELETE or seen.state is ContainerState.REMOVING:
        return Step(Action.KEEP)
    if situation.unread and situation.wish is Wish.RUN and _uses_secrets(situation):
        return Step(Action.RESTART)
    if situation.owed and situation.wish is Wish.RUN and _can_come_back(situation):
        return Step(Action.RECOVER)
    if situation.recorded is Recorded.FAILED and seen.state not in ALIVE:
        return Step(Action.KEEP)
    if seen.state is ContainerState.MISSING and not situation.made:
        return Step(Action.KEEP)
    if seen.state in (ContainerState.MISSING, ContainerState.DEAD):
        return Step(Action.SETTLE, Status.ERROR, "container_missing")
    if situation.recorded in COME_BACK and seen.state not in ALIVE:
        return Step(Action.KEEP)
    if seen.state is ContainerState.RESTARTING:
        return _verdict_on_crashing(situation)
    if seen.state is ContainerState.PAUSED:
        return Step(Action.SETTLE, Status.STOPPED, "paused_outside")
    if seen.state is ContainerState.RUNNING:
        return _verdict_on_running(situation)
    return _verdict_on_ended(situation)


def _can_come_back(situation: Situation) -> bool:
    """Say whether a bot has ended and there is something to start, or was until it had to be made anew."""
    state, tried_later = situation.observation.state, situation.recorded is Recorded.TRIED_LATER
    if state is ContainerState.MISSING:
        return tried_later and not situation.made
    # One that never ran is of the try before, if that has made it and was told that it could not.
    return state is ContainerState.EXITED or (state is ContainerState.CREATED and tried_later)


def _uses_secrets(situation: Situation) -> bool:
    """Say whether a bot runs or is about to. One that is paused is so by somebody's hand, and does when it goes on."""
    comes_back = situation.recorded is Recorded.BACKING_OFF or situation.owed
    if situation.observation.state is ContainerState.EXITED:
        return comes_back
    return situation.observation.state in (ContainerState.RUNNING, ContainerState.RESTARTING)


def _verdict_on_running(situation: Situation) -> Step:
    if situation.observation.unhealthy:
        return Step(Action.SETTLE, Status.ERROR, "unhealthy")
    if situation.ready:
        return Step(Action.SETTLE, Status.RUNNING, "started_outside" if situation.wish is Wish.STOP else "")
    if situation.looping:
        return _verdict_on_crashing(situation)
    if situation.recorded is Recorded.ANSWERED:
        return Step(Action.SETTLE, Status.ERROR, "unhealthy")
    if situation.overdue:
        return Step(Action.SETTLE, Status.ERROR, "not_ready")
    return Step(Action.SETTLE, Status.CREATING, "waiting_until_ready")


def _verdict_on_crashing(situation: Situation) -> Step:
    reason = "crash_loop" if situation.looping else "crashed"
    if _out_of_memory(situation):
        reason = "out_of_memory"
    # One that is wished to be stopped was started by somebody on the server, who may also stop it.
    back_off = situation.looping and situation.wish is Wish.RUN
    return Step(Action.BACK_OFF if back_off else Action.SETTLE, Status.ERROR, reason)


def _out_of_memory(situation: Situation) -> bool:
    """Say whether a bot that crashes does so for lack of memory; a loop only if no other cause of it is known."""
    causes = [crash.out_of_memory for crash in situation.crashes if crash.exit_code is not None]
    return all(causes) if situation.looping and causes else situation.observation.out_of_memory


def _verdict_on_ended(situation: Situation) -> Step:
    seen = situation.observation
    if situation.wish is Wish.STOP:
        return Step(Action.SETTLE, Status.STOPPED)
    if situation.recorded is Recorded.STOPPED_BY_HAND and seen.engine_error:
        # Somebody has also tried to start it, in vain, and its exit code tells of that.
        return Step(Action.KEEP)
    if seen.ended_by_hand:
        # Whatever a program does when it is asked to end, such as to say that it failed.
        return Step(Action.SETTLE, Status.STOPPED, "stopped_outside")
    asked = seen.state is ContainerState.CREATED or seen.exit_code in ENDED_WHEN_ASKED
    # An engine says that memory ran out also of one that went on, when that had ended a process beside its main one.
    if seen.out_of_memory and (seen.exit_code == SIGKILL or not asked):
        return Step(Action.SETTLE, Status.ERROR, "out_of_memory")
    if asked:
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
    # What an engine could not start, it may start once more when it starts itself, unless it is told not to.
    to_start = state is ContainerState.EXITED and bool(situation.observation.engine_error) and not situation.held
    return Step(Action.STOP) if state in ALIVE or to_start else Step(Action.SETTLE, Status.STOPPED)


def _toward_running(situation: Situation) -> Step:
    seen = situation.observation
    if situation.recorded is Recorded.BACKING_OFF:
        return Step(Action.STOP if seen.state in ALIVE else Action.KEEP)
    if situation.unread and situation.operation is Operation.RECOVER and situation.made:
        # Its owner has asked for something since it began, for which there may have to be another container.
        return Step(Action.RESTART)
    # One that the engine has ended since then is to be started once more, and so is one with old secrets.
    ended = seen.state is ContainerState.EXITED and seen.ended_with_engine
    started = situation.started and not ended and not situation.unread
    if not started and not (seen.state is ContainerState.RUNNING and _may_go_on(situation)):
        return _toward_started(situation)
    if seen.state is ContainerState.RESTARTING and not situation.looping:
        return Step(Action.WAIT)
    # What was recorded of earlier operations says nothing about this one.
    judged = verdict(replace(situation, made=True, recorded=Recorded.OTHER, owed=False))
    passing = judged.action is Action.KEEP or judged.status is Status.CREATING
    return Step(Action.WAIT) if passing else judged


def _may_go_on(situation: Situation) -> bool:
    """Say whether a running container is left to itself, or gets the fresh start that was asked for."""
    if situation.operation is Operation.RESTART or situation.unread:
        return False
    return situation.ready or not situation.looping


def _toward_started(situation: Situation) -> Step:
    state = situation.observation.state
    if state is ContainerState.MISSING and situation.operation is Operation.RECOVER and situation.made:
        # Somebody has removed it meanwhile: nobody asked for a new one.
        return Step(Action.SETTLE, Status.ERROR, "container_missing")
    if situation.outdated and state in (ContainerState.EXITED, ContainerState.CREATED):
        return Step(Action.REMOVE)
    afresh = situation.operation is Operation.RESTART or situation.outdated or situation.unread
    if afresh and state in ALIVE:
        return Step(Action.STOP)
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
