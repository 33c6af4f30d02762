"""All that the next step of an instance depends on, as ``core/observing.py`` puts it together."""

from dataclasses import dataclass
from enum import StrEnum

from clawdeploy.core.contracts import Observation, Operation, Wish


class Recorded(StrEnum):
    """What the row says that matters for the next step.

    ``FAILED``: an operation could not bring the container up. ``TRIED_LATER``: nor could this one, which is tried once
    more after a pause. ``BACKING_OFF``: it crashed in a loop, and is brought back after a pause. ``ANSWERED``: it has
    passed its probe since it was last started. ``STOPPED_BY_HAND``: somebody has stopped it on the server.
    """

    OTHER = "other"
    FAILED = "failed"
    TRIED_LATER = "tried_later"
    BACKING_OFF = "backing_off"
    ANSWERED = "answered"
    STOPPED_BY_HAND = "stopped_by_hand"


@dataclass(frozen=True)
class Crash:
    """One time that a bot ended by itself, and its engine started it again.

    ``at`` is in whole seconds since 1970. Of one that nobody saw, ``exit_code`` is ``None`` and nothing is known of
    its cause.
    """

    at: int
    exit_code: int | None = None
    out_of_memory: bool = False


@dataclass(frozen=True)
class Situation:
    """All that the next step depends on.

    ``operation`` is unfinished work, ``None`` for an instance that has settled and is only compared.
    ``made``: the instance has had a container. ``started``: the engine acknowledged the start within this
    operation. ``ready``: the probe passed. ``overdue``: it is past its deadline for that. ``outdated``: the
    container was made from something else than what is asked for now. ``looping``: it crashes again and again.
    ``owed``: should it have ended, it was by nobody's hand and the time to bring it back has come. ``crashes`` are the
    times that it ended by itself lately, the oldest first: of a loop they say the cause. ``unread``: a secret was
    changed since the container was given its secrets. ``held``: the engine was asked to stop it, and has acknowledged
    that.
    """

    wish: Wish
    operation: Operation | None
    observation: Observation
    recorded: Recorded = Recorded.OTHER
    made: bool = False
    started: bool = False
    ready: bool = False
    overdue: bool = False
    outdated: bool = False
    looping: bool = False
    owed: bool = False
    crashes: tuple[Crash, ...] = ()
    unread: bool = False
    held: bool = False
