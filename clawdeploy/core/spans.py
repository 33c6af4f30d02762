"""Spans of time in which a server used this database without a break, as the database itself knows them.

They tell apart what is left over. What was made within a span and has no row is rubbish, because rows come before
containers. Outside of all spans it may belong to a bot whose row is in a newer database than this one, which was
restored from a backup: its spans end when the backup was made, and begin again when a server was started on it.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.database import Database

EXTENDED_EVERY = timedelta(seconds=2)
LONGEST_SILENCE = timedelta(minutes=1)
CLOCKS_DIFFER = timedelta(seconds=2)
"""How much later than the engine's clock ours may be: what seems made so shortly before an end may be of after it."""
MOST_SPANS = 1000

Span = tuple[datetime, datetime]


class Spans:
    """This process's span, which it extends, and those of all others."""

    def __init__(self, database: Database, row: Any, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._row = row
        self._clock = clock
        self._mine: int | None = None
        self._until = clock()
        self._failures = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Begin a span, unless this process has one; whoever takes over soon extends it."""
        if self._mine is None:
            self.extend()

    def extend(self) -> None:
        """Extend this process's span to now, every few seconds; call it more often. Raises ``DatabaseUnavailable``.

        After a silence a new one begins, and also after a failure of the database, or when this one's last end is not
        in it any more: what answers now may be an older state of it.
        """
        with self._lock:
            self._extend()

    def _extend(self) -> None:
        now, failures = self._clock(), self._database.failures
        silence = now - self._until
        unbroken = failures == self._failures and timedelta(0) <= silence <= LONGEST_SILENCE
        if self._mine is not None and unbroken and silence < EXTENDED_EVERY:
            return
        with self._database.transaction():
            if self._mine is None or not unbroken or not self._extended(self._mine, now):
                self._mine = self._begun(now)
        self._until, self._failures = now, failures

    def all(self) -> list[Span]:
        """Return beginning and end of each span, as far as what seems made then is surely of then."""
        with self._database.reading():
            rows = list(self._row.select().order_by(self._row.id))
        return [(row.begun, row.until - CLOCKS_DIFFER) for row in rows]

    def _extended(self, mine: int, now: datetime) -> bool:
        here = (self._row.id == mine) & (self._row.until == self._until)
        return bool(self._row.update(until=now).where(here).execute())

    def _begun(self, now: datetime) -> int:
        mine: int = self._row.create(begun=now, until=now).id
        self._row.delete().where(self._row.id <= mine - MOST_SPANS).execute()
        return mine


def covered(moments: Iterable[datetime], spans: Iterable[Span]) -> bool:
    """Say whether each of the moments lies in one of the spans."""
    known = list(spans)
    return all(any(begun <= moment <= until for begun, until in known) for moment in moments)
