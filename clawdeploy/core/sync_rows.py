"""What only the sync reads and writes: the rows of all owners at once, and when they were last looked at."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.contracts import Status
from clawdeploy.core.crashes import LONGEST_PAUSE, RECENTLY
from clawdeploy.core.database import Database
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.core.holders import lapsed
from clawdeploy.core.models import Tables
from clawdeploy.core.spans import CLOCKS_DIFFER

UNSURE_FOR = timedelta(seconds=10)
"""How long after the engine failed to do something it is looked at often whether it did it all the same."""


class SyncRows:
    """Rows past the scope of any owner: never for what somebody asks for."""

    def __init__(self, database: Database, tables: Tables, clock: Callable[[], datetime]) -> None:
        self.database = database
        self.row = tables.instance
        self.clock = clock
        self._installation = tables.installation

    def synced(self, at: datetime) -> None:
        """Note that all instances were compared with the engine, as it was at that moment."""
        with self.database.transaction():
            known = self._installation.synced_at
            # A moment that has yet to come is of before the clock was put back.
            older = known.is_null() | (known < at) | (known > self.clock() + CLOCKS_DIFFER)
            self._installation.update(synced_at=at).where(older).execute()

    def synced_at(self) -> datetime | None:
        """Return when all instances were last compared with the engine; ``None`` before the first time."""
        with self.database.reading():
            at: datetime | None = self._installation.select(self._installation.synced_at).scalar()
            return at

    def overlooked(self) -> bool:
        """Say whether all instances were compared last so long ago that nobody knows when they have crashed since."""
        at = self.synced_at()
        return at is not None and self.clock() - at > RECENTLY

    def answered(self, row: Any, until: datetime | None) -> None:
        """Note until when a running bot is known to have answered, ``None`` if it does.

        That says nothing of one that somebody has worked on since its row was read. It may have been stopped, and would
        be taken for one that nobody has looked at since it fell silent.
        """
        as_it_was = (self.row.id == row.id) & (self.row.status_since == row.status_since)
        with self.database.transaction():
            self.row.update(unanswered_since=until).where(as_it_was, self.row.operation.is_null()).execute()

    def unfinished(self) -> dict[str, str]:
        """Return the unfinished operations by the ids of their instances, the oldest first."""
        with self.database.reading():
            unfinished = self.row.select(self.row.id, self.row.operation).where(self.row.operation.is_null(False))
            return {row.id: row.operation for row in unfinished.order_by(self.row.created_at)}

    def restless(self) -> list[str]:
        """Return the ids of settled instances that something is expected of soon.

        They have yet to answer for the first time, the time to bring them back has come, a secret of theirs has just
        been changed, or the engine has just failed to do something: it may have done it all the same.
        """
        now = self.clock()
        lately = self.row.updated_at.between(now - UNSURE_FOR, now)
        unsure = ((self.row.reason == RuntimeFailure.code) | self.row.secrets_unread) & lately
        # As in ``core/observing.py``: also after the clock was put back.
        due = (self.row.retry_at <= now) | (self.row.retry_at > now + LONGEST_PAUSE)
        soon = self.row.status.in_((Status.PENDING, Status.CREATING)) | due | unsure
        with self.database.reading():
            return [row.id for row in self.row.select(self.row.id).where(self.row.operation.is_null(), soon)]

    def busy(self, ids: Collection[str]) -> list[str]:
        """Return those of some instances that somebody works on."""
        worked_on = self.row.operation.is_null(False) | self.row.claim.is_null(False)
        with self.database.reading():
            return [row.id for row in self.row.select(self.row.id).where(self.row.id.in_(list(ids)), worked_on)]

    def worked_on(self, instance_id: str, lifetime: timedelta) -> bool:
        """Say whether somebody carries out an operation on an instance, with a claim that holds for a ``lifetime``."""
        held = self.row.claim.is_null(False) & ~lapsed(self.row.claim_until, self.clock(), lifetime)
        with self.database.reading():
            here = self.row.select().where(self.row.id == instance_id, self.row.operation.is_null(False), held)
            return bool(here.exists())

    def rows(self, ids: Collection[str]) -> list[Any]:
        """Return the rows of some instances, as far as there are any, the oldest first."""
        with self.database.reading():
            return list(self.row.select().where(self.row.id.in_(list(ids))).order_by(self.row.created_at))

    def all_rows(self) -> list[Any]:
        """Return all rows, deleted ones included."""
        with self.database.reading():
            return list(self.row.select().order_by(self.row.created_at))
