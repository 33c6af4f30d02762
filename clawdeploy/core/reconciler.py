"""Sync: what the database says is compared with what the runtime observes, and corrected.

What merely diverged is recorded. Only operations that were asked for here and left unfinished are carried on.
"""

import logging
import secrets
import threading
import time
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import timedelta
from typing import Any

from clawdeploy.core.background import in_background
from clawdeploy.core.claims import ClaimLost, Claims
from clawdeploy.core.contracts import MISSING, Observation, Runtime, Status
from clawdeploy.core.errors import ClawDeployError, DatabaseUnavailable, EngineError
from clawdeploy.core.lifecycle import Lifecycle
from clawdeploy.core.models import Tables
from clawdeploy.core.steps import Action, Step, verdict
from clawdeploy.core.store import InstanceStore

logger = logging.getLogger(__name__)

LEASE = "reconciler"
SYNC_ACTOR = "sync"
LEASE_LIFETIME = timedelta(seconds=15)
LOOKS_EVERY = 5.0
"""Seconds between two looks for unfinished operations; the lease is renewed as often."""


class Reconciler:
    """Compares all instances with the runtime, on demand and periodically."""

    def __init__(
        self, store: InstanceStore, tables: Tables, claims: Claims, lifecycle: Lifecycle, runtime: Runtime
    ) -> None:
        self._store = store
        self._lease = tables.lease
        self._claims = claims
        self._lifecycle = lifecycle
        self._runtime = runtime
        self._holder = secrets.token_hex(8)
        self._has_lease = False
        self._closing = threading.Event()

    def sync(self, actor: str = SYNC_ACTOR, *, patience: float = 0.0) -> list[dict[str, str]]:
        """Compare every instance once and return what changed: ``id``, ``before``, ``after`` and ``reason``.

        Unfinished operations that nobody works on are carried on in the background; ``patience`` is how many
        seconds to wait for them (a process that is about to end has to). Raises an ``EngineError`` when the
        engine does not answer, and changes nothing then.
        """
        seen = self._runtime.observe_all()
        changes = []
        resumed = []
        for row in self._store.all_rows():
            if row.operation is not None:
                resumed += self._resume(row.id, actor)
            elif self._differs(row, seen.get(row.id, MISSING)):
                changes += self._record(row, actor)
        wait(resumed, timeout=patience)
        return changes

    def start(self, interval: float) -> None:
        """Sync every ``interval`` seconds in a thread, in one process of all at a time.

        Unfinished operations that nobody works on any more are looked for more often.
        """
        threading.Thread(target=self._run, args=(interval,), name="reconciler", daemon=True).start()

    def close(self) -> None:
        """End the periodic sync, and leave it to another process at once."""
        self._closing.set()
        if self._has_lease:
            with suppress(DatabaseUnavailable), self._store.database.transaction():
                self._lease.delete().where(self._lease.name == LEASE, self._lease.holder == self._holder).execute()

    def _run(self, interval: float) -> None:
        next_sync = time.monotonic()
        while True:
            try:
                self._has_lease = self._holds_lease(LEASE_LIFETIME)
                if self._has_lease and time.monotonic() >= next_sync:
                    next_sync = time.monotonic() + interval
                    self.sync()
                elif self._has_lease:
                    self._resume_unfinished()
            except ClawDeployError as error:
                logger.warning("Sync was not possible: %s", error.detail)
            except Exception:
                logger.exception("Sync failed")
            if self._closing.wait(min(interval, LOOKS_EVERY)):
                return

    def _resume_unfinished(self) -> None:
        for instance_id in self._store.unfinished():
            self._resume(instance_id, SYNC_ACTOR)

    def _holds_lease(self, lifetime: timedelta) -> bool:
        """Take or renew the lease; says whether this process has it."""
        now = self._store.clock()
        mine = {"holder": self._holder, "until": now + lifetime}
        with self._store.database.transaction():
            free = (self._lease.holder == self._holder) | (self._lease.until <= now)
            if self._lease.update(**mine).where(self._lease.name == LEASE, free).execute():
                return True
            insert = self._lease.insert(name=LEASE, **mine).on_conflict_ignore()
            # The number of rows, not an id: SQLite answers an ignored insert with the id of whatever came before.
            return bool(insert.as_rowcount().execute())

    def _differs(self, row: Any, seen: Observation) -> bool:
        try:
            step = verdict(self._lifecycle.observer.situation(row, seen, trust_running=True))
        except EngineError:
            return False
        recorded = (row.status, row.reason) == (step.status, step.reason)
        known = seen.container_id in (None, row.container_id)
        # A bot that does not answer yet is looked at closely: only that tells since when, and how often it crashed.
        passing = step.status is Status.CREATING
        return not known or (step.action is Action.SETTLE and (passing or not recorded))

    def _record(self, row: Any, actor: str) -> list[dict[str, str]]:
        """Look once more, now with a claim and in full detail, and record what is so."""
        claim = self._claims.resume(row.id, actor)
        if claim is None:
            return []
        try:
            with self._claims.kept(claim):
                row = self._claims.row(claim)
                if row.operation is not None:
                    self._claims.release(claim)
                    return []
                seen, situation = self._lifecycle.observer.observed(row, trust_running=True)
                step = verdict(situation)
                self._lifecycle.settle(claim, row, step, seen)
        except ClaimLost:
            return []
        except EngineError as error:
            logger.warning("Instance %s could not be looked at: %s", row.id, error.detail)
            self._claims.release(claim)
            return []
        return self._change(row, step)

    @staticmethod
    def _change(row: Any, step: Step) -> list[dict[str, str]]:
        if step.status is None or (step.status, step.reason) == (row.status, row.reason):
            return []
        logger.info("Sync: instance %s was %s and is %s %s", row.id, row.status, step.status, step.reason)
        return [{"id": row.id, "before": row.status, "after": step.status.value, "reason": step.reason}]

    def _resume(self, instance_id: str, actor: str) -> "list[Future[None]]":
        claim = self._claims.resume(instance_id, actor)
        if claim is None:
            return []
        logger.info("Sync: carrying on with instance %s", instance_id)
        return [in_background(lambda: self._lifecycle.carry_out(claim))]
