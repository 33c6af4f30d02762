"""Writing down what was found: how an instance is, or that one is held back for a while."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from clawdeploy.core.activity import evidence
from clawdeploy.core.claim_keeper import Claim
from clawdeploy.core.claims import Claims
from clawdeploy.core.contracts import ContainerState, Observation, Operation, Status, Wish
from clawdeploy.core.crashes import failures_in_a_row, newly_counted, tried_later, uncounted
from clawdeploy.core.errors import EngineError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.events import Event, InstanceDeleted
from clawdeploy.core.measurements import Measurement, OperationEnded, unmeasured
from clawdeploy.core.reasons import SENTENCES, Note, explain, mended, not_stopped
from clawdeploy.core.situation import Situation
from clawdeploy.core.steps import ALIVE, CRASHED, Action, Step

logger = logging.getLogger(__name__)

MOST_NOTED = 10
"""How many crashes of ten minutes are noted one by one; a bot that never ends to crash must not drive out all else."""

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
        mended = _mended(row, situation) if step.action is Action.SETTLE and step.reason not in CRASHED else None
        if mended is not None and row.status == Status.RUNNING:
            # It runs since then: what ran before has ended.
            now = self._clock()
            fields.update(status_since=now, failures=failures_in_a_row(row, now))
        if step.action is Action.SETTLE:
            detail = explain(step.reason, seen, situation.crashes, unread=situation.unread)
            fields.update(status=step.status, reason=step.reason, detail=detail, retry_at=None)
        if seen.container_id:
            fields["container_id"] = seen.container_id
        if row.operation is None and all(getattr(row, name) == fields[name] for name in fields):
            self._claims.release(claim)
        else:
            self._claims.finish(claim, evidence=evidence(seen), mended=mended, **fields)
            self._measured(claim, row, Status(fields.get("status", row.status)), fields.get("reason", row.reason))

    def fail(self, claim: Claim, row: Any, reason: str, detail: Mapping[str, Any]) -> None:
        """Record that an operation failed and give the claim back; ``detail`` are the fields that say more."""
        self._claims.finish(claim, status=Status.ERROR, reason=reason, **detail)
        self._measured(claim, row, Status.ERROR, reason)

    def give_up(self, claim: Claim, error: EngineError, seen: Observation | None) -> None:
        """End an operation that the engine did not let us finish, or leave it to the next sync.

        ``seen`` is how the container was just before, ``None`` when nobody knows.
        """
        row = self._claims.row(claim)
        if row.operation is None:
            self._claims.release(claim)
            return
        reason = error.code if error.code in SENTENCES else RuntimeFailure.code
        # What still runs with old secrets, or is to be held back, is no outcome: it is tried until it is stopped.
        runs_on = (row.secrets_unread or row.retry_at is not None) and (seen is None or seen.state in ALIVE)
        if row.wish == Wish.RUN and not runs_on and not isinstance(error, RuntimeUnavailable):
            # Where there is something to start, or nobody waits, it is tried once more after a pause.
            ended = seen is not None and seen.state is ContainerState.EXITED
            # A restart, too, that has removed the container for another one; a bot without a port was never there.
            remade = row.operation == Operation.RESTART and row.container_id is None and row.host_port is not None
            again = ended or remade or row.operation == Operation.RECOVER
            said = tried_later(row, error.sentence, self._clock()) if again else {"detail": error.detail}
            self.fail(claim, row, reason, said)
            return
        fields: dict[str, Any] = {}
        if row.retry_at is None:
            # Otherwise it is held back after crashes, and that this is said decides what comes next.
            fields = {"reason": reason, "detail": error.put_off().detail}
        elif not isinstance(error, RuntimeUnavailable):
            fields = {"detail": not_stopped(row.detail, error.sentence)}
        if row.status in (Status.PENDING, Status.CREATING):
            # Nothing is going on until the engine lets us; what was last known of a bot before stays.
            fields["status"] = Status.ERROR
        if any(getattr(row, name) != value for name, value in fields.items()):
            logger.warning("Instance %s: %s of %s is put off: %s", row.id, row.operation, row.owner, error.for_log)
            self._claims.save(claim, **fields, claim=None, claim_until=None)
        else:
            self._claims.release(claim)
        # That it crashes in a loop is an outcome, also while it is not stopped.
        if not claim.resumed and (row.retry_at is None or isinstance(error, RuntimeUnavailable)):
            raise error.put_off() from error

    def forget(self, claim: Claim, row: Any) -> None:
        """Delete the row of a bot of which nothing is left."""
        self._claims.forget(claim)
        self._publish(InstanceDeleted(self._clock(), claim.actor, row.id, row.owner))
        self._measured(claim, row, Status.DELETED, "")

    def remember(self, claim: Claim, row: Any, situation: Situation) -> None:
        """Keep how a bot that is being started has crashed; its engine starts it again, and shows that no more."""
        counted = newly_counted(row, situation)
        if counted and row.started:
            told = evidence(situation.observation)
            self._claims.save(claim, evidence=told, mended=_mended(row, situation), **counted)

    def back_off(self, claim: Claim, row: Any, step: Step, situation: Situation) -> None:
        """Record that a bot crashes in a loop and when it is tried again; what is left is to stop it until then."""
        sentence = explain(step.reason, situation.observation, situation.crashes)
        now = self._clock()
        begun = {} if row.operation else {"operation": Operation.RECOVER, "operation_since": now}
        fields = {**newly_counted(row, situation), **begun, **tried_later(row, sentence, now)}
        told = evidence(situation.observation)
        self._claims.save(claim, evidence=told, status=Status.ERROR, reason=step.reason, **fields)

    def _measured(self, claim: Claim, row: Any, status: Status, reason: str) -> None:
        if row.operation is not None:
            why = "" if status is AS_WISHED[Wish(row.wish)] else reason or status
            self._measure(OperationEnded(Operation(row.operation), why, time.monotonic() - claim.since))


def _mended(row: Any, situation: Situation) -> Note | None:
    """Return the note that an engine has started a bot again since it was looked at last; not without an end."""
    new = uncounted(row, situation.observation)
    if not new or len(situation.crashes) > MOST_NOTED:
        return None
    return mended(new, situation.crashes[-1], situation.observation)
