"""Requests that are carried out once, however often they are sent: their keys, and their first answers.

A key belongs to one owner and one call. It is taken before the work begins. What the work made is noted under it in the
very transaction that makes it, so that whoever repeats a request whose process died finds it instead of making another.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import IdempotencyInFlight, IdempotencyKeyReused, InvalidInput, WrongKey
from clawdeploy.core.models import Tables
from clawdeploy.core.vault import Vault

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
"""How long a key is remembered with its answer."""
IN_FLIGHT = timedelta(minutes=1)
"""After this long without an answer the process that took a key is taken to be dead."""
PATIENCE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.05
FORM = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Once:
    """The right to carry a request out. ``made`` is the id of what an earlier try has made, if there was one."""

    owner: str
    call: str
    key: str
    until: datetime
    made: str | None = None


@dataclass(frozen=True)
class FirstAnswer:
    """What a request was answered with the first time: HTTP status, body and the address of what was made, if any."""

    status: int
    body: str
    location: str | None


class Idempotency:
    """The keys of one database. All methods raise ``DatabaseUnavailable``."""

    def __init__(self, database: Database, tables: Tables, vault: Vault, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._row = tables.idempotency
        self._vault = vault
        self._clock = clock

    def begin(self, owner: str, call: str, key: str, body: Mapping[str, Any]) -> Once | FirstAnswer:
        """Take a key for a call such as ``POST /api/instances``, or return the answer that it has already.

        Raises ``InvalidInput`` for a malformed key, ``IdempotencyKeyReused`` when it came with another body before, and
        ``IdempotencyInFlight`` while the first request with it is being carried out.
        """
        if not FORM.fullmatch(key):
            raise InvalidInput({HEADER: ["It must be 1 to 255 visible ASCII characters, such as a random UUID."]})
        now = self._clock()
        once = Once(owner, call, key, now + IN_FLIGHT)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        fields = {"owner": owner, "call": call, "key": key, "created_at": now, "until": once.until}
        # Sealed, because the hash of a body that holds a short secret could be guessed.
        sealed = self._vault.seal(owner, HEADER, Secret(digest))
        with self._database.transaction():
            self._row.delete().where(self._row.created_at <= now - KEPT).execute()
            inserted = self._row.insert(**fields, fingerprint=sealed).on_conflict_ignore().as_rowcount().execute()
            if inserted:
                return once
            return self._again(once, digest, now)

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
        """Return what notes the id of that which the request makes; call it inside the transaction that makes it."""

        def note(made: str) -> None:
            if once is not None:
                self._row.update(made=made).where(self._here(once)).execute()

        return note

    def finish(self, once: Once, answer: FirstAnswer) -> None:
        """Keep the answer, to give it again."""
        with self._database.transaction():
            kept = {"status": answer.status, "body": answer.body, "location": answer.location}
            self._row.update(**kept).where(self._mine(once)).execute()

    def release(self, once: Once) -> None:
        """Free the key of a request that was refused; one that has made something keeps leading to that."""
        with self._database.transaction():
            self._row.delete().where(self._mine(once), self._row.made.is_null()).execute()
            self._row.update(until=self._clock()).where(self._mine(once)).execute()

    def _again(self, once: Once, digest: str, now: datetime) -> Once | FirstAnswer:
        row = self._row.select().where(self._here(once)).get()
        if self._digest(row) != digest:
            raise IdempotencyKeyReused
        if row.status is not None:
            return FirstAnswer(row.status, row.body, row.location)
        if row.until > now:
            raise IdempotencyInFlight
        taken = self._row.update(until=once.until).where(self._here(once), self._row.until == row.until).execute()
        if not taken:
            raise IdempotencyInFlight
        return Once(once.owner, once.call, once.key, once.until, row.made)

    def _digest(self, row: Any) -> str:
        try:
            return self._vault.open(row.owner, HEADER, row.fingerprint).reveal()
        except WrongKey:
            return ""

    def _here(self, once: Once) -> Any:
        return (self._row.owner == once.owner) & (self._row.call == once.call) & (self._row.key == once.key)

    def _mine(self, once: Once) -> Any:
        return self._here(once) & (self._row.until == once.until)
