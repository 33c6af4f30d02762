"""Requests that are carried out once, however often they are sent: their keys, and their first answers.

A key belongs to one owner and one call. It is taken before the work begins. What the work made is noted under it in the
very transaction that makes it, so that whoever repeats a request whose process died finds it instead of making another.
The note is made only while the key still belongs to whoever took it: a process that froze, and whose key was taken
over, makes nothing when it goes on.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import IdempotencyInFlight, IdempotencyKeyReused, InvalidInput, WrongKey
from clawdeploy.core.holders import is_dead, lapsed, new_holder
from clawdeploy.core.models import Tables
from clawdeploy.core.vault import Vault

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
"""How long a key is remembered with its answer."""
IN_FLIGHT = timedelta(minutes=1)
"""After this long without an answer the process that took a key is taken to be dead.

Sooner when it is known to be dead and has made nothing, or when the work on what it made is over and it has not
answered: then somebody else had to finish its work, or the answer could not be kept.
"""
ABOUT_TO_ANSWER = timedelta(seconds=5)
"""How long after the work is over an answer may still come from a process that lives."""
TAKEN_OVER = (
    "This took so long that the same request, sent again, was let through. Send it once more to see its outcome."
)
PATIENCE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.05
FORM = re.compile(r"[\x21-\x7e]{1,255}")
PLAIN_CALL = re.compile(r"[\x20-\x7e]{1,200}")
FORGOTTEN_AT_ONCE = 200


@dataclass(frozen=True)
class Once:
    """The right to carry a request out. ``made`` is the id of what an earlier try has made, if there was one."""

    owner: str
    call: str
    key: str
    until: datetime
    holder: str
    made: str | None = None


@dataclass(frozen=True)
class FirstAnswer:
    """What a request was answered with the first time: HTTP status, body and the address of what was made, if any."""

    status: int
    body: str
    location: str | None
    media_type: str | None = None


class Idempotency:
    """The keys of one database. All methods raise ``DatabaseUnavailable``."""

    def __init__(self, database: Database, tables: Tables, vault: Vault, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._row = tables.idempotency
        self._instance = tables.instance
        self._vault = vault
        self._clock = clock

    def begin(self, owner: str, call: str, key: str, body: Mapping[str, Any] | bytes) -> Once | FirstAnswer:
        """Take a key for a call such as ``POST /api/instances``, or return the answer that it has already.

        A body of fields is the same in whatever order they are; of any other, each byte counts.

        Raises ``InvalidInput`` for a malformed key, ``IdempotencyKeyReused`` when it came with another body before, and
        ``IdempotencyInFlight`` while the first request with it is being carried out.
        """
        if not FORM.fullmatch(key):
            raise InvalidInput({HEADER: ["It must be 1 to 255 visible ASCII characters, such as a random UUID."]})
        now = self._clock()
        once = Once(owner, _bounded(call), key, now + IN_FLIGHT, new_holder())
        digest = _digest(body)
        self._forget_old(now)
        with self._database.transaction():
            # Sealed, because the hash of a body that holds a short secret could be guessed. No two seals are the same.
            sealed = self._vault.seal(owner, HEADER, Secret(digest))
            row = self._locked(once, sealed, now)
            if row.created_at <= now - KEPT:
                self._row.delete().where(self._here(once)).execute()
                row = self._locked(once, sealed, now)
            return once if row.fingerprint == sealed else self._again(once, row, digest, now)

    def begin_patiently(self, owner: str, call: str, key: str, body: Mapping[str, Any]) -> Once:
        """Take a key under which no answer is kept, waiting for a first request that is being carried out.

        Two clicks are two requests, and a browser shows the answer to the second. Raises what :meth:`begin` does.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                begun = self.begin(owner, call, key, body)
            except IdempotencyInFlight:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_AGAIN_SECONDS)
            else:
                if isinstance(begun, Once):
                    return begun
                raise IdempotencyKeyReused

    def noting(self, once: Once | None) -> Callable[[str], None]:
        """Return what notes the id of that which the request makes; call it inside the transaction that makes it.

        That raises ``IdempotencyInFlight``, which ends the transaction, when the key was taken over in between.
        """

        def note(made: str) -> None:
            if once is not None and not self._row.update(made=made).where(self._mine(once)).execute():
                raise IdempotencyInFlight(TAKEN_OVER)

        return note

    def finish(self, once: Once, answer: FirstAnswer) -> None:
        """Keep the answer, to give it again."""
        with self._database.transaction():
            self._row.update(**vars(answer)).where(self._mine(once)).execute()

    def release(self, once: Once) -> None:
        """Free the key of a request that was refused; one that has made something keeps leading to that."""
        with self._database.transaction():
            self._row.delete().where(self._mine(once), self._row.made.is_null()).execute()
            self._row.update(until=self._clock()).where(self._mine(once)).execute()

    def _locked(self, once: Once, sealed: str, now: datetime) -> Any:
        """Return the row of the key, made now if there was none; nobody else changes it before the transaction ends.

        Looking first and writing then would let another process write, or free the key, in between.
        """
        insert = self._row.insert(**{**vars(once), "created_at": now, "fingerprint": sealed})
        here = (self._row.owner, self._row.call, self._row.key)
        insert.on_conflict(conflict_target=here, update={self._row.key: once.key}).execute()
        return self._row.select().where(self._here(once)).get()

    def _again(self, once: Once, row: Any, digest: str, now: datetime) -> Once | FirstAnswer:
        if self._opened(row) != digest:
            raise IdempotencyKeyReused
        if row.status is not None:
            return FirstAnswer(row.status, row.body, row.location, row.media_type)
        if not lapsed(row.until, now, IN_FLIGHT) and not self._is_over(row, now):
            raise IdempotencyInFlight
        self._row.update(until=once.until, holder=once.holder).where(self._here(once)).execute()
        return replace(once, made=row.made)

    def _is_over(self, row: Any, now: datetime) -> bool:
        """Say whether nobody works any more on what was made, or for certain nobody will make anything."""
        dead = row.holder is not None and is_dead(row.holder)
        if row.made is None:
            return dead
        unfinished = self._instance.operation.is_null(False)
        if not dead:
            # Whoever finished it a moment ago is about to answer, and two answers might differ.
            unfinished |= self._instance.updated_at > now - ABOUT_TO_ANSWER
        return not self._instance.select().where(self._instance.id == row.made, unfinished).exists()

    def _forget_old(self, now: datetime) -> None:
        """Delete some of the keys that are too old, in a transaction of its own that waits for nobody."""
        old = self._row.select(self._row.owner, self._row.call, self._row.key)
        old = old.where(self._row.created_at <= now - KEPT).order_by(self._row.created_at).limit(FORGOTTEN_AT_ONCE)
        with self._database.transaction():
            for row in self._database.unlocked(old):
                self._row.delete().where(self._here(row), self._row.created_at <= now - KEPT).execute()

    def _opened(self, row: Any) -> str:
        try:
            return self._vault.open(row.owner, HEADER, row.fingerprint).reveal()
        except WrongKey:
            return ""

    def _here(self, once: Any) -> Any:
        return (self._row.owner == once.owner) & (self._row.call == once.call) & (self._row.key == once.key)

    def _mine(self, once: Once) -> Any:
        return self._here(once) & (self._row.holder == once.holder)


def _bounded(call: str) -> str:
    """Return a call as it can stand in the index of any database: addresses may be long and hold anything."""
    if PLAIN_CALL.fullmatch(call):
        return call
    return f"sha256:{hashlib.sha256(call.encode('utf-8', 'backslashreplace')).hexdigest()}"


def _digest(body: Mapping[str, Any] | bytes) -> str:
    content = body if isinstance(body, bytes) else json.dumps(body, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()
