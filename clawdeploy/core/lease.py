"""A lease: of all processes on one database, one at a time has it, and one that dies loses it by itself."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.holders import is_dead, lapsed, new_holder

LIFETIME = timedelta(seconds=8)
RENEWED_EVERY = timedelta(seconds=2)


class Lease:
    """The right of one process to do a job that is called ``name``.

    It orders who looks when; what keeps two from changing the same container is the claim on the instance.
    """

    def __init__(self, database: Database, row: Any, clock: Callable[[], datetime], name: str) -> None:
        self._database = database
        self._row = row
        self._clock = clock
        self._name = name
        self._holder = new_holder()
        self._renew_at: datetime | None = None

    def hold(self) -> bool:
        """Take the lease if it is free, or renew it; says whether this process has it."""
        now = self._clock()
        # Further ahead than it is ever put, the clock was put back: what is stored now lapses too late by as much.
        if self._renew_at is not None and now < self._renew_at <= now + RENEWED_EVERY:
            return True
        self._renew_at = now + RENEWED_EVERY if self._taken(now) else None
        return self._renew_at is not None

    def release(self) -> None:
        """Leave it to another process at once."""
        if self._renew_at is not None:
            self._renew_at = None
            mine = (self._row.name == self._name) & (self._row.holder == self._holder)
            with suppress(DatabaseUnavailable), self._database.transaction():
                self._row.delete().where(mine).execute()

    def _taken(self, now: datetime) -> bool:
        with self._database.reading():
            known = self._row.get_or_none(self._row.name == self._name)
        free = (self._row.holder == self._holder) | lapsed(self._row.until, now, LIFETIME)
        if known is not None and known.holder != self._holder and not lapsed(known.until, now, LIFETIME):
            if not is_dead(known.holder):
                return False
            free |= self._row.holder == known.holder
        mine = {"holder": self._holder, "until": now + LIFETIME}
        with self._database.transaction():
            if self._row.update(**mine).where(self._row.name == self._name, free).execute():
                return True
            insert = self._row.insert(name=self._name, **mine).on_conflict_ignore()
            # The number of rows, not an id: SQLite answers an ignored insert with the id of whatever came before.
            return bool(insert.as_rowcount().execute())
