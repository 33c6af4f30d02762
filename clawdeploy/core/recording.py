"""Writing down what was found: how an instance is, or that one is held back for a while."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from clawdeploy.core.activity import evidence
from clawdeploy.core.claim_keeper import Claim
from clawdeploy.core.claims import Claims
from clawdeploy.core.contracts import Operation, Status, Wish
from clawdeploy.core.crashes import newly_counted, tried_later
from clawdeploy.core.events import Event, InstanceDeleted
from clawdeploy.core.measurements import Measurement, OperationEnded, unmeasured
from clawdeploy.core.reasons import explain
from clawdeploy.core.steps import Action, Situation, Step

AS_WISHED = {Wish.RUN: Status.RUNNING, Wish.STOP: Status.STOPPED, Wish.DELETE: Status.DELETED}
"""The status that an instance has when all is as its owner wishes."""


class Recorder:
    """Writes what a step says into the claimed row. Every method raises ``ClaimLost``."""

    def __init__(
        self,
        claims: Claims,
        clock: Callable[[], datetime],
        publish: Callable[[Event], None],
        measure: Callable[[Measurement], None] = unmeasured,
    ) -> None:
        self._claims = claims
        self._clock = clock
        self._publish = publish
        self._measure = measure

    def settle(self, claim: Claim, row: Any, step: Step, situation: Situation) -> None:
        """Record the outcome and give the claim back. A row that says so already is not written."""
        seen, fields = situation.observation, newly_counted(row, situation)
        if step.action is Action.SETTLE:
            detail = explain(step.reason, seen, len(situation.crashes))
            fields.update(status=step.status, reason=step.reason, detail=detail, retry_at=None)
        if seen.container_id:
            fields["container_id"] = seen.container_id
        if row.operation is None and all(getattr(row, name) == fields[name] for name in fields):
            self._claims.release(claim)
        else:
            self._claims.finish(claim, evidence=evidence(seen), **fields)
            self._measured(claim, row, Status(fields.get("status", row.status)), fields.get("reason", row.reason))

    def fail(self, claim: Claim, row: Any, reason: str, detail: Mapping[str, Any]) -> None:
        """Record that an operation failed and give the claim back; ``detail`` are the fields that say more."""
        self._claims.finish(claim, status=Status.ERROR, reason=reason, **detail)
        self._measured(claim, row, Status.ERROR, reason)

    def forget(self, claim: Claim, row: Any) -> None:
        """Delete the row of a bot of which nothing is left."""
        self._claims.forget(claim)
        self._publish(InstanceDeleted(self._clock(), claim.actor, row.id, row.owner))
        self._measured(claim, row, Status.DELETED, "")

    def back_off(self, claim: Claim, row: Any, step: Step, situation: Situation) -> None:
        """Record that a bot crashes in a loop and when it is tried again; what is left is to stop it until then."""
        sentence = explain(step.reason, situation.observation, len(situation.crashes))
        now = self._clock()
        begun = {} if row.operation else {"operation": Operation.RECOVER, "operation_since": now}
        fields = {**newly_counted(row, situation), **begun, **tried_later(row, sentence, now)}
        told = evidence(situation.observation)
        self._claims.save(claim, evidence=told, status=Status.ERROR, reason=step.reason, **fields)

    def _measured(self, claim: Claim, row: Any, status: Status, reason: str) -> None:
        if row.operation is not None:
            why = "" if status is AS_WISHED[Wish(row.wish)] else reason or status
            self._measure(OperationEnded(Operation(row.operation), why, time.monotonic() - claim.since))
