"""Writing down what was found: how an instance is, or that one is held back for a while."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from clawdeploy.core.activity import evidence
from clawdeploy.core.claim_keeper import Claim
from clawdeploy.core.claims import Claims
from clawdeploy.core.contracts import Operation, Status
from clawdeploy.core.crashes import newly_counted, tried_later
from clawdeploy.core.reasons import explain
from clawdeploy.core.steps import Action, Situation, Step


class Recorder:
    """Writes what a step says into the claimed row. Every method raises ``ClaimLost``."""

    def __init__(self, claims: Claims, clock: Callable[[], datetime]) -> None:
        self._claims = claims
        self._clock = clock

    def settle(self, claim: Claim, row: Any, step: Step, situation: Situation) -> None:
        """Record the outcome and give the claim back. A row that says so already is not written."""
        seen, fields = situation.observation, newly_counted(row, situation)
        if step.action is Action.SETTLE:
            detail = explain(step.reason, seen, situation.crashes)
            fields.update(status=step.status, reason=step.reason, detail=detail, retry_at=None)
        if seen.container_id:
            fields["container_id"] = seen.container_id
        if row.operation is None and all(getattr(row, name) == fields[name] for name in fields):
            self._claims.release(claim)
        else:
            self._claims.finish(claim, evidence=evidence(seen), **fields)

    def remember(self, claim: Claim, row: Any, situation: Situation) -> None:
        """Keep how a bot that is being started has crashed; its engine starts it again, and shows that no more."""
        counted = newly_counted(row, situation)
        if counted and row.started:
            self._claims.save(claim, **counted)

    def back_off(self, claim: Claim, row: Any, step: Step, situation: Situation) -> None:
        """Record that a bot crashes in a loop and when it is tried again; what is left is to stop it until then."""
        sentence = explain(step.reason, situation.observation, situation.crashes)
        now = self._clock()
        begun = {} if row.operation else {"operation": Operation.RECOVER, "operation_since": now}
        fields = {**newly_counted(row, situation), **begun, **tried_later(row, sentence, now)}
        told = evidence(situation.observation)
        self._claims.save(claim, evidence=told, status=Status.ERROR, reason=step.reason, **fields)
