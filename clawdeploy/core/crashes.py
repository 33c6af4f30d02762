"""How often a bot has ended by itself, and how long to wait before it is brought back. Pure: no clock, no engine."""

from collections.abc import Sequence
from dataclasses import astuple
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


def recent_crashes(row: Any, seen: Observation, now: datetime, before: Observation | None = None) -> tuple[Crash, ...]:
    """Return how a bot has ended by itself in the last ten minutes, oldest first.

    The engine counts how often it has restarted a container since somebody started that. Of those that it has counted
    since the row was last written only the last can have been seen, now or, when it runs again already, a moment
    ``before``.
    """
    # They lie ahead when the clock was put back.
    stored = [_kept(crash) for crash in row.crashes]
    known = [crash for crash in stored if abs(now.timestamp() - crash.at) <= RECENTLY.total_seconds()]
    last = next((each for each in (seen, before) if each and _shows(each, seen)), None)
    return tuple([*known, *_new_crashes(row, seen, last, known, now)][-MOST_KEPT:])


def _new_crashes(
    row: Any, seen: Observation, last: Observation | None, known: Sequence[Crash], now: datetime
) -> list[Crash]:
    """Return those that the row does not know of yet, as far as they are known to be of lately, but at least the last.

    All are when the row has told of the bot within that time. Else, as after a time in which no server looked, the
    engine only says when it has started the bot for the last time, which was right after a crash.
    """
    at = int(now.timestamp())
    new = [Crash(at)] * min(uncounted(row, seen), MOST_KEPT)
    began = (last or seen).started_at
    if not new:
        return []
    if last is not None:
        new[-1] = _caused(last, at)
    if began is None:
        return new
    lately = now - began <= RECENTLY
    if last is None and not lately:
        new[-1] = Crash(int(began.timestamp()))
    if lately and (known or now - row.status_since <= RECENTLY):
        return new
    return new[-2:] if lately and last is not None else new[-1:]


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
