"""The line in which creations wait: a few at a time are made on the engine, the oldest first.

The rows are the line, so that it is one for all processes and hosts that share a database.
"""

import threading
from typing import Any

from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.claim_keeper import LIFETIME, Claim
from clawdeploy.core.claims import Claims
from clawdeploy.core.contracts import Operation, Status, Wish
from clawdeploy.core.holders import lapsed
from clawdeploy.core.locks import one_at_a_time
from clawdeploy.core.reasons import explain
from clawdeploy.core.store import InstanceStore

MOST_AT_ONCE = 4
BEING_MADE = "creating_container"
WAITING = "waiting_in_line"
AT_THE_ENGINE = (BEING_MADE, "starting")
"""What is said of a creation from its turn on, until its container was started or its image has to be downloaded."""
LOOKS_EVERY = 0.25


class Line:
    """Lets claimed creations through. One whose process is gone keeps its place until its claim has lapsed."""

    def __init__(self, store: InstanceStore, claims: Claims, pace: Pace = USUAL) -> None:
        self._database = store.database
        self._row = store.row
        self._clock = store.clock
        self._claims = claims
        self._pace = pace

    def wait(self, claim: Claim, closing: threading.Event) -> bool:
        """Wait for the turn of a creation, and say whether it has come; it has not when everything is closing.

        While it waits, its row says so, and another wish may take over: raises ``ClaimLost``.
        """
        while not self._comes(claim):
            self._pace.pause(closing, LOOKS_EVERY)
            if closing.is_set():
                return False
        return True

    def _comes(self, claim: Claim) -> bool:
        row = self._claims.row(claim)
        made: dict[str, Any] = {"status": Status.CREATING, "reason": BEING_MADE, "detail": explain(BEING_MADE)}
        # The first look takes no lock, because most of those who wait wait longer.
        if self._has_room(row) and self._claims.save(claim, given=lambda: self._has_room_alone(row), **made):
            return True
        if row.reason != WAITING:
            self._claims.save(claim, status=Status.PENDING, reason=WAITING, detail=explain(WAITING))
        return False

    def _has_room_alone(self, row: Any) -> bool:
        one_at_a_time(self._database, "line")
        return self._has_room(row)

    def _has_room(self, row: Any) -> bool:
        """Say whether fewer are at the engine, or wait and came earlier, than may be made at once."""
        rows = self._row
        creations = (rows.operation == Operation.CREATE) & (rows.wish == Wish.RUN) & (rows.id != row.id)
        worked_on = creations & rows.claim.is_null(False) & ~lapsed(rows.claim_until, self._clock(), LIFETIME)
        at_the_engine = (rows.status == Status.CREATING) & rows.reason.in_(AT_THE_ENGINE)
        earlier = (rows.created_at < row.created_at) | ((rows.created_at == row.created_at) & (rows.id < row.id))
        ahead = (rows.reason == WAITING) & earlier
        with self._database.reading():
            return bool(rows.select().where(worked_on, at_the_engine | ahead).count() < MOST_AT_ONCE)
