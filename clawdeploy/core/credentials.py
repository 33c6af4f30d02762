"""Credentials that we issue: sign-in links, sessions, API tokens. Only hashes are kept.

The values are 256 random bits, so a plain SHA-256 is enough: there is nothing to guess.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from peewee import fn

from clawdeploy.core.audit import REMOVED, AuditTrail
from clawdeploy.core.columns import UtcField
from clawdeploy.core.contracts import CredentialRecord, Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable, InvalidInput
from clawdeploy.core.locks import CREATIONS, one_at_a_time
from clawdeploy.core.models import Tables
from clawdeploy.core.redaction import remember
from clawdeploy.core.visible import is_visible, is_well_behaved

logger = logging.getLogger(__name__)

LONGEST_VALUE = 200
LONGEST_NAME = 100
USE_IS_NOTED_EVERY = timedelta(minutes=1)
NEVER = 2**63 - 1
"""The last moment that there is a number for."""


class StoredCredentials:
    """The credential store of one database; see the ``CredentialStore`` contract."""

    def __init__(self, database: Database, tables: Tables, clock: Callable[[], datetime], audit: AuditTrail) -> None:
        self._database = database
        self._row = tables.credential
        self._clock = clock
        self._audit = audit
        self._note_again_at: datetime | None = None
        self._noting = Lock()

    def issue(
        self,
        kind: str,
        user_id: str,
        *,
        prefix: str = "",
        label: str = "",
        lifetime: timedelta | None = None,
        unused_for: timedelta | None = None,
        peer: str = "",
    ) -> tuple[Secret, CredentialRecord]:
        """Make a new random credential and return its value, this once, and its record."""
        _check_user(user_id)
        if label:
            _check_label(label)
        value = prefix + secrets.token_urlsafe(32)
        now = self._clock()
        with self._database.transaction():
            one_at_a_time(self._database, CREATIONS)
            self._audit.check_user(user_id)
            row = self._row.create(
                id=secrets.token_hex(6),
                kind=kind,
                user_id=user_id,
                label=label,
                digest=_digest(kind, value),
                created_at=now,
                expires_at=None if lifetime is None else now + lifetime,
                unused_for=unused_for,
                peer=peer,
            )
            self._audit.note(f"{kind}.made", user_id=user_id, subject=row.id, detail=label)
        return Secret(value), _record(row)

    def find(self, kind: str, value: str, *, peer: str = "") -> CredentialRecord | None:
        """Return the record of a live credential and note its use: at most once a minute, and if that can be."""
        if len(value) > LONGEST_VALUE:
            return None
        now = self._clock()
        with self._database.reading():
            row = self._live(now).where(self._row.digest == _digest(kind, value), self._row.kind == kind).first()
        if row is None:
            return None
        remember(value)
        if row.peer not in ("", peer):
            # Somebody has moved to another network, or has got hold of what is not theirs.
            logger.warning("Credential %s of %s was shown from another network than its own.", row.id, row.user_id)
            return None
        # A use that lies ahead is of before the clock was put back, and says nothing of how long ago it was.
        if row.last_used_at is None or not timedelta(0) <= now - row.last_used_at < USE_IS_NOTED_EVERY:
            self._note_use(row.id, now)
        return _record(row)

    def _note_use(self, row_id: str, now: datetime) -> None:
        """Store when a credential was used; whoever only looks at something must not fail because nobody can write.

        Nor wait long: after a failure, which took some seconds, nothing is noted for a minute, and while one waits no
        other does.
        """
        if (self._note_again_at and now < self._note_again_at) or not self._noting.acquire(blocking=False):
            return
        try:
            with self._database.transaction():
                self._row.update(last_used_at=now).where(self._row.id == row_id).execute()
        except DatabaseUnavailable as error:
            self._note_again_at = now + USE_IS_NOTED_EVERY
            logger.warning("The use of credential %s could not be noted: %s", row_id, error.detail)
        finally:
            self._noting.release()

    def redeem(self, kind: str, value: str) -> CredentialRecord | None:
        """Use up a single-use credential; of simultaneous calls exactly one gets it."""
        record = self.find(kind, value)
        if record is None:
            return None
        return record if self.revoke(kind, record.id) else None

    def end_all(self, kind: str, user_id: str | None = None) -> list[CredentialRecord]:
        """End all credentials of a kind, of one user or of everybody, and return those that were live."""
        self.prune()
        query = self._row.select().where(self._row.kind == kind)
        if user_id is not None:
            query = query.where(self._row.user_id == user_id)
        with self._database.transaction():
            return [_record(row) for row in list(query) if self._end(row)]

    def revoke_all(self, user_id: str) -> list[CredentialRecord]:
        """End everything of every kind that a user has, and return what that was; from now on they get nothing new."""
        with self._database.transaction():
            one_at_a_time(self._database, CREATIONS)
            self._audit.note_first(REMOVED, user_id=user_id)
            mine = self._row.select().where(self._row.user_id == user_id)
            return [_record(row) for row in list(mine) if self._end(row)]

    def list(self, kind: str, user_id: str | None = None) -> list[CredentialRecord]:
        """Return live credentials of a kind, newest first."""
        with self._database.reading():
            query = self._live(self._clock()).where(self._row.kind == kind)
            if user_id is not None:
                query = query.where(self._row.user_id == user_id)
            return [_record(row) for row in query.order_by(self._row.created_at.desc(), self._row.id)]

    def revoke(self, kind: str, credential_id: str, user_id: str | None = None) -> bool:
        """End a credential now; says whether there was one."""
        with self._database.transaction():
            query = self._row.select().where(self._row.id == credential_id, self._row.kind == kind)
            if user_id is not None:
                query = query.where(self._row.user_id == user_id)
            row = query.first()
            return row is not None and self._end(row)

    def _end(self, row: Any) -> bool:
        """Delete a row within a transaction and say so in the audit trail; of two that do it at once, one has."""
        if not self._row.delete().where(self._row.id == row.id).execute():
            return False
        self._audit.note(f"{row.kind}.ended", user_id=row.user_id, subject=row.id, detail=row.label)
        return True

    def prune(self) -> int:
        """Forget credentials that expired, or were not used for too long."""
        with self._database.transaction():
            return int(self._row.delete().where(~self._lives(self._clock())).execute())

    def _live(self, now: datetime) -> Any:
        return self._row.select().where(self._lives(now))

    def _lives(self, now: datetime) -> Any:
        """Return the condition for a row to count."""
        row, moment = self._row, UtcField().db_value(now)
        used_until = fn.COALESCE(row.last_used_at, row.created_at) + row.unused_for
        return (fn.COALESCE(row.expires_at, NEVER) > moment) & (fn.COALESCE(used_until, NEVER) > moment)


def _digest(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).hexdigest()


def _check_user(value: str) -> None:
    # Stricter than a label: who somebody is must not depend on characters that nobody sees.
    if not 1 <= len(value) <= LONGEST_NAME or not value.isprintable() or value != value.strip():
        raise InvalidInput({"user": [f"It must be 1 to {LONGEST_NAME} printable characters, without spaces around."]})


def _check_label(value: str) -> None:
    if len(value) > LONGEST_NAME or not (is_well_behaved(value) and is_visible(value)) or value != value.strip():
        raise InvalidInput({"name": [f"It must be 1 to {LONGEST_NAME} printable characters, without spaces around."]})


def _record(row: Any) -> CredentialRecord:
    return CredentialRecord(row.id, row.kind, row.user_id, row.label, row.created_at, row.expires_at, row.last_used_at)
