"""A change of a container that came too late: its claim had lapsed, and others may have finished the work meanwhile."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clawdeploy.core.attempt import Attempt
from clawdeploy.core.background import Pace
from clawdeploy.core.claim_keeper import Claim, ClaimLost
from clawdeploy.core.claims import Claims
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.steps import Action

logger = logging.getLogger(__name__)

MAKING = (Action.CREATE, Action.START)
ASKS_AGAIN = 1.0
"""Seconds between two tries to find out whether a claim was lost, while the database is away."""


class LateChanges:
    """Sees to it that a container is as it is wished after such a change; ``carry_out`` does the work of a claim."""

    def __init__(
        self, claims: Claims, carry_out: Callable[[Claim], None], closing: threading.Event, pace: Pace
    ) -> None:
        self._claims = claims
        self._carry_out = carry_out
        self._closing = closing
        self._pace = pace

    @contextmanager
    def made_good(self, attempt: Attempt) -> Iterator[None]:
        """Run the block, which works on an instance, and see to what it changed too late.

        Its end, when its claim was lost, is that of the block. A ``DatabaseUnavailable`` is raised at once.
        """
        try:
            yield
        except ClaimLost:
            logger.info("Work on instance %s was taken over", attempt.claim.instance_id)
            self._make_good(attempt)
        except DatabaseUnavailable:
            self._make_good_later(attempt)
            raise

    def _make_good(self, attempt: Attempt) -> None:
        """See to it after a claim was lost: this process froze in the middle of a change, or could not renew it."""
        if not attempt.acts or self._closing.is_set():
            return
        try:
            again = self._claims.reopen(attempt.claim, gave_secrets=attempt.acts in MAKING)
        except DatabaseUnavailable:
            self._make_good_later(attempt)
            raise
        if again is not None:
            self._carry_out(again)

    def _make_good_later(self, attempt: Attempt) -> None:
        """See to it in the background when the database is back; only then it turns out whether the claim was lost."""
        if attempt.acts and not self._closing.is_set():
            self._pace.beside(lambda: self._wait_and_make_good(attempt))

    def _wait_and_make_good(self, attempt: Attempt) -> None:
        while not self._pace.pause(self._closing, ASKS_AGAIN):
            try:
                self._claims.row(attempt.claim)
                # Whoever comes next finds the change made, and carries on.
                self._claims.release(attempt.claim)
            except ClaimLost:
                self._make_good(attempt)
            except DatabaseUnavailable:
                continue
            return
