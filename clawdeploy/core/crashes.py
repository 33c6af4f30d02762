"""How often a bot has ended by itself, and how long to wait before it is brought back. Pure: no clock, no engine."""

from collections.abc import Sequence
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.contracts import ContainerState, Observation, Status
from clawdeploy.core.reasons import tried_again
from clawdeploy.core.situation import Crash, Situation

RECENTLY = timedelta(minutes=10)
CRASHES_THAT_MAKE_A_LOOP = 3
MOST_KEPT = 50

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=5)
HEALTHY_AFTER = timedelta(minutes=10)
"""A bot that has run for so long has recovered: its next pause is the first one again."""


def recent_crashes(
    row: Any, seen: Observation, now: datetime, before: Observation | None = None, *, overlooked: bool = False
) -> tuple[Crash, ...]:
    """Return how a bot has ended by itself in the last ten minutes, oldest first.

    The engine counts how often it has restarted a container since somebody started that; what it has counted since
    the row was last written has happened just now, or before the run that it is in. Of these only the last can have
    been seen, now or, when it runs again already, a moment ``before``. The others are of a time in which no server
    looked, when it ended a run that was longer than that, or when all were ``overlooked``.
    """
    at = int(now.timestamp())
    new = [Crash(at)] * min(uncounted(row, seen), MOST_KEPT)
    last = next((each for each in (seen, before) if each and _shows(each, seen)), None)
    if new and last is not None:
        new[-1] = _caused(last, at)
    began = last.started_at if last is not None else None
    lately = began is not None and now - began <= RECENTLY
    if overlooked or (began is not None and not lately):
        # The run that ended just now had begun right after the crash before.
        new = new[-2:] if lately else new[-1:]
    # Any other moment is by a clock that differs from ours.
    if seen.state is ContainerState.RUNNING and seen.started_at and row.status_since <= seen.started_at <= now:
        new = [replace(crash, at=int(seen.started_at.timestamp())) for crash in new]
    # They lie ahead when the clock was put back.
    recent = [crash for crash in [*map(_kept, row.crashes), *new] if abs(at - crash.at) <= RECENTLY.total_seconds()]
    return tuple(recent[-MOST_KEPT:])


def uncounted(row: Any, seen: Observation) -> int:
    """Return how many crashes the engine has counted that the row does not know of yet."""
    new: int = seen.restart_count - row.restarts_seen
    return seen.restart_count if new < 0 else new


def _shows(each: Observation, seen: Observation) -> bool:
    """Say whether an observation shows how the last of the crashes that were counted happened."""
    same = (each.container_id, each.restart_count) == (seen.container_id, seen.restart_count)
    return same and each.state is ContainerState.RESTARTING


def _caused(seen: Observation, at: int) -> Crash:
    return Crash(at, seen.exit_code, seen.out_of_memory)


def _kept(stored: Any) -> Crash:
    """Read what a row holds of a crash; rows of before the causes were kept hold bare moments."""
    return Crash(*stored) if isinstance(stored, list) else Crash(stored)


def is_loop(row: Any, seen: Observation, crashes: Sequence[Crash]) -> bool:
    """Say whether a bot crashes in a loop: within the operation that started it, only what came after counts.

    One that has not crashed since its last start is in no loop any more, whatever else is wrong with it. One that was
    paused has not been started again, and the engine goes on counting.
    """
    count = min(seen.restart_count, len(crashes)) if row.operation and row.started else len(crashes)
    return seen.restart_count > 0 and count >= CRASHES_THAT_MAKE_A_LOOP


def failures_in_a_row(row: Any, now: datetime) -> int:
    """Return how often it was tried in vain to bring a bot back since it last was healthy."""
    healthy = row.status == Status.RUNNING and now - row.status_since >= HEALTHY_AFTER
    return 0 if healthy else int(row.failures)


def tried_later(row: Any, sentence: str, now: datetime) -> dict[str, Any]:
    """Return the fields of a row that say why a bot ended and that it is brought back after a pause.

    The pause is 10 s at first, then twice as long each time, up to 5 min.
    """
    failures = failures_in_a_row(row, now)
    pause = min(FIRST_PAUSE * 2 ** min(failures, 10), LONGEST_PAUSE)
    return {"retry_at": now + pause, "failures": failures + 1, "detail": tried_again(sentence, pause)}


def newly_counted(row: Any, situation: Situation) -> dict[str, Any]:
    """Return the fields that remember crashes which the row does not know of yet."""
    count = situation.observation.restart_count
    if count == row.restarts_seen:
        return {}
    return {"crashes": [list(astuple(crash)) for crash in situation.crashes], "restarts_seen": count}
