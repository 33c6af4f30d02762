"""Sync: what the database says is compared with what the runtime observes, and corrected.

What merely diverged is recorded. Operations that were left unfinished are carried on, and bots that should run and
ended by nobody's hand are brought back; that is an operation as well.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from clawdeploy.core.background import USUAL, Crew, Pace
from clawdeploy.core.claim_keeper import Claim, ClaimLost
from clawdeploy.core.claims import Claims
from clawdeploy.core.comparing import MOST_AT_ONCE, Comparison
from clawdeploy.core.contracts import MISSING, ContainerState, Observation, Operation, Runtime, Status
from clawdeploy.core.engine_health import EngineHealth
from clawdeploy.core.errors import ClawDeployError, EngineError
from clawdeploy.core.lifecycle import Lifecycle
from clawdeploy.core.measurements import Measurement, SyncEnded, unmeasured
from clawdeploy.core.observing import guarded
from clawdeploy.core.phases import WITH_OTHER_SECRETS, why_brought_back
from clawdeploy.core.situation import Situation
from clawdeploy.core.steps import Action, Step, verdict
from clawdeploy.core.store import InstanceStore

logger = logging.getLogger(__name__)

SYNC_ACTOR = "sync"
ENGINE_ACTOR = "engine"
RESUMED_EVERY = timedelta(seconds=5)
"""The time between two tries to carry on with the same instance; to find that somebody else works on it is no try."""

Change = dict[str, str]


class Reconciler:
    """Compares instances with the runtime; ``watch.py`` says when."""

    def __init__(
        self,
        store: InstanceStore,
        claims: Claims,
        lifecycle: Lifecycle,
        runtime: Runtime,
        health: EngineHealth,
        measure: Callable[[Measurement], None] = unmeasured,
        pace: Pace = USUAL,
    ) -> None:
        self._store = store
        self._claims = claims
        self._lifecycle = lifecycle
        self._observer = lifecycle.observer
        self._comparison = Comparison(store, lifecycle.observer)
        self._runtime = runtime
        self._health = health
        self._measure = measure
        self._pace = pace
        # One for each, so that no stop waits for downloads, which take minutes.
        self._crews = {operation: Crew(MOST_AT_ONCE, pace) for operation in Operation}
        self._resumed_at: dict[str, datetime] = {}
        self._patient = False

    def sync(self, actor: str = SYNC_ACTOR, *, patience: float = 0.0) -> list[Change]:
        """Compare every instance once and return what changed: ``id``, ``before``, ``after`` and ``reason``.

        Unfinished operations that nobody works on are carried on in the background; ``patience`` is how many
        seconds to wait for them (a process that is about to end has to). Raises an ``EngineError`` when the
        engine does not answer, and changes nothing then.
        """
        # Nobody may be there to carry on with what gives way to others.
        self._patient = patience > 0
        begun: list[Future[None]] = []
        since = time.monotonic()
        try:
            changes = self._compare(actor, begun)
        except ClawDeployError:
            self._measure(SyncEnded(False, 0, time.monotonic() - since))
            raise
        self._measure(SyncEnded(True, len(changes), time.monotonic() - since))
        wait(begun, timeout=patience)
        return changes

    def _compare(self, actor: str, begun: "list[Future[None]]") -> list[Change]:
        began = self._store.clock()
        seen = guarded(self._runtime.observe_all)
        changes = self._catch_up(seen, actor) if self._store.overlooked() else []
        rows = self._store.all_rows()
        idle = [(row, seen.get(row.id, MISSING)) for row in rows if row.operation is None]
        ready = self._comparison.readiness(idle)
        begun += [self._resume(row.id, row.operation, actor) for row in rows if row.operation is not None]
        for row, listed in idle:
            if self._comparison.differs(row, listed, ready.get(row.id)):
                changes += self._record(row, actor, ready.get(row.id), begun)
        self._store.synced(began)
        return changes

    def _catch_up(self, seen: Mapping[str, Observation], actor: str) -> list[Change]:
        """Look closely at what runs, after minutes in which no server has looked; returns what changed.

        A list does not tell of crashes that the engine has mended: the next one would count for all of them.
        """
        try:
            return self.look([each for each in seen if seen[each].state is ContainerState.RUNNING], actor)
        except EngineError as error:
            logger.warning("Not all that happened meanwhile could be seen: %s", error.for_log)
            return []

    def look(self, ids: Collection[str], actor: str = SYNC_ACTOR) -> list[Change]:
        """Compare a few instances, of which something is known to have happened; returns what changed as a sync does.

        Raises an ``EngineError`` when the engine does not answer.
        """

        changes: list[Change] = []

        def look(row: Any) -> None:
            trusted = True if row.status == Status.RUNNING and row.unanswered_since is None else None
            seen = self._observer.look(row.id)
            if seen.restart_count != row.restarts_seen or self._comparison.differs(row, seen, trusted, closely=True):
                changes.extend(self._record(row, actor, trusted, [], seen))

        # Side by side, because each of those that hang keeps whoever looks waiting.
        crew = Crew(MOST_AT_ONCE, self._pace)
        looks = [crew.do(row.id, partial(look, row)) for row in self._store.rows(ids) if row.operation is None]
        wait(looks)
        for each in looks:
            each.result()
        return changes

    def resume(self, actor: str = SYNC_ACTOR) -> None:
        """Carry on with unfinished operations that nobody works on, with each of them every few seconds at most.

        While the engine does not answer there is nothing to carry on with; when it does again, all are tried at once.
        """
        unfinished = self._store.unfinished()
        if unfinished and not self._health.connected():
            self._resumed_at.clear()
            return
        now = self._store.clock()
        # A copy, because those who work write into it.
        self._resumed_at = {each: at for each, at in self._resumed_at.copy().items() if each in unfinished}
        for instance_id, operation in unfinished.items():
            # Also after the clock was put back.
            if not timedelta(0) <= now - self._resumed_at.get(instance_id, now - RESUMED_EVERY) < RESUMED_EVERY:
                self._resume(instance_id, operation, actor)

    def _record(
        self,
        row: Any,
        actor: str,
        ready: bool | None,
        begun: "list[Future[None]]",
        before: Observation | None = None,
    ) -> list[Change]:
        """Look once more, now with a claim and in full detail, and record what is so."""
        claim = self._claims.resume(row.id, actor)
        if claim is None:
            return []
        try:
            with self._claims.kept(claim):
                known, row = row, self._claims.row(claim)
                if row.operation is not None:
                    self._claims.release(claim)
                    return []
                if row.status_since != known.status_since:
                    # Somebody has worked on it since then, and what was found before says nothing about it now.
                    ready, before = None, None
                seen, situation = self._observer.observed(row, ready=ready, before=before)
                if row.container_id not in (None, seen.container_id) and seen.container_id:
                    # Made by hand, or after the backup that this row is of: nobody knows from what.
                    self._claims.save(claim, container_id=seen.container_id, made_from=None)
                step = verdict(situation)
                if step.action in (Action.RECOVER, Action.RESTART):
                    step = self._begin(claim, row, step, situation)
                    begun.append(self._resume(row.id, step.action, SYNC_ACTOR))
                elif step.action is Action.BACK_OFF:
                    self._lifecycle.recorder.back_off(claim, row, step, situation)
                    self._claims.release(claim)
                    begun.append(self._resume(row.id, Operation.RECOVER, SYNC_ACTOR))
                else:
                    self._lifecycle.recorder.settle(claim, row, step, situation)
        except ClaimLost:
            return []
        except EngineError as error:
            logger.warning("Instance %s could not be looked at: %s", row.id, error.for_log, extra={"instance": row.id})
            self._claims.release(claim)
            self._comparison.not_seen(known)
            return []
        return self._change(row, step)

    def _begin(self, claim: Claim, row: Any, step: Step, situation: Situation) -> Step:
        why = WITH_OTHER_SECRETS if step.action is Action.RESTART else why_brought_back(situation)
        # Whoever told how it is: it is the server that brings it back, or starts it afresh.
        self._claims.begin(replace(claim, actor=SYNC_ACTOR), Operation(step.action), why)
        # One that is restarted runs until it is stopped.
        status = Status(row.status) if step.action is Action.RESTART else Status.CREATING
        return Step(step.action, status, "starting")

    @staticmethod
    def _change(row: Any, step: Step) -> list[Change]:
        if step.status is None or (step.status, step.reason) == (row.status, row.reason):
            return []
        found = (row.id, row.status, step.status, step.reason)
        logger.info("Sync: instance %s was %s and is %s %s", *found, extra={"instance": row.id})
        return [{"id": row.id, "before": row.status, "after": step.status.value, "reason": step.reason}]

    def _resume(self, instance_id: str, operation: str, actor: str) -> "Future[None]":
        def work() -> None:
            claim = self._claims.resume(instance_id, actor)
            if claim is not None:
                self._resumed_at[instance_id] = self._store.clock()
                logger.info("Sync: carrying on with instance %s", instance_id, extra={"instance": instance_id})
                self._lifecycle.carry_out(claim, lambda: not self._patient and crew.is_waited_for())

        crew = self._crews[Operation(operation)]
        return crew.do(instance_id, work)
