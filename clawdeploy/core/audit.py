"""The audit trail: who signed in or failed to, who made or ended a credential, and who did an operator's work.

What a credential becomes is written in the transaction that changes it, so that there is none without its entry.
An entry names things by their ids and never holds what opens anything.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core import context
from clawdeploy.core.columns import EPOCH
from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable, NotSignedIn
from clawdeploy.core.locks import one_at_a_time

FAILED = "sign_in.failed"
REFUSED = "sign_in.refused"
REMOVED = "user.removed"
MOST_FAILURES = 10_000
"""How many failures to sign in are kept: anybody can bring them about, and they push out nothing but each other."""
LOOKED_AT_EVERY = 100
"""After how many entries it is looked whether there are too many failures."""
FORGOTTEN_AT_ONCE = 100
LONGEST_DETAIL = 300


@dataclass(frozen=True)
class AuditEntry:
    """One thing that was done: when, by ``who`` (empty when nobody knows), and from which ``address``.

    ``what`` is a code; ``user_id`` is whom it concerns and ``subject`` the id of what it was done to, if there is one.
    """

    at: datetime
    who: str
    what: str
    user_id: str
    subject: str
    address: str
    detail: str


class AuditTrail:
    """The entries of one database, each for ``kept``."""

    def __init__(self, database: Database, row: Any, clock: Callable[[], datetime], kept: timedelta) -> None:
        self._database = database
        self._row = row
        self._clock = clock
        self._kept = kept

    def note(self, what: str, *, user_id: str = "", subject: str = "", detail: str = "") -> None:
        """Write an entry about what goes on in this context, together with the transaction that it is called in.

        Raises ``DatabaseUnavailable``.
        """
        now = self._clock()
        with self._database.transaction():
            made = self._row.create(
                at=now,
                who=context.user.get() or user_id,
                what=what,
                user_id=user_id,
                subject=subject,
                address=context.address.get(),
                detail=detail[:LONGEST_DETAIL],
            )
            self._forget(self._row.at <= now - self._kept)
            if made.id % LOOKED_AT_EVERY == 0:
                is_failure = self._row.what.in_((FAILED, REFUSED))
                failures = self._row.select(self._row.id).where(is_failure)
                beyond = failures.order_by(self._row.id.desc()).offset(MOST_FAILURES).limit(1).scalar()
                self._forget(is_failure & (self._row.id <= (beyond or 0)))

    def check_user(self, user_id: str) -> None:
        """Refuse a user who was removed, in the transaction that gives them something that would stay.

        A credential that nobody here can end, such as a session token of another service, may outlive its user a
        while. Raises ``NotSignedIn``.
        """
        if self._row.select(self._row.id).where(self._row.user_id == user_id, self._row.what == REMOVED).exists():
            raise NotSignedIn(f"{user_id} was removed, and is no user of this server any more.")

    def note_first(self, what: str, *, user_id: str, subject: str = "", detail: str = "") -> None:
        """Write an entry unless there is one of this kind for the user and the subject; see :meth:`note`."""
        same = (self._row.user_id == user_id) & (self._row.what == what) & (self._row.subject == subject)
        there = self._row.select(self._row.id).where(same)
        # Mostly it is, and then nobody has to wait for a turn to write.
        with self._database.reading():
            if there.exists():
                return
        with self._database.transaction():
            one_at_a_time(self._database, f"audit {what} {user_id} {subject}")
            if not there.exists():
                self.note(what, user_id=user_id, subject=subject, detail=detail)

    def forget_old(self) -> None:
        """Delete entries that are too old, for a server to which nothing happens."""
        with suppress(DatabaseUnavailable), self._database.transaction():
            self._forget(self._row.at <= self._clock() - self._kept)

    def newest(self, limit: int, *, user_id: str | None = None, since: datetime | None = None) -> list[AuditEntry]:
        """Return the newest entries, newest first: those that concern a user, and those since a moment, if given."""
        query = self._row.select().where(self._row.at > max(self._clock() - self._kept, since or EPOCH))
        if user_id is not None:
            query = query.where(self._row.user_id == user_id)
        with self._database.reading():
            return [_entry(row) for row in query.order_by(self._row.id.desc()).limit(limit)]

    def _forget(self, condition: Any) -> None:
        """Delete some of the entries for which this holds; those that another process deletes are its own to delete."""
        found = self._row.select(self._row.id).where(condition).order_by(self._row.id).limit(FORGOTTEN_AT_ONCE)
        ids = [row.id for row in self._database.unlocked(found)]
        if ids:
            self._row.delete().where(self._row.id.in_(ids)).execute()


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(row.at, row.who, row.what, row.user_id, row.subject, row.address, row.detail)
