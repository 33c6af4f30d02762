"""Whether the database can be read, for the many who ask at once: one question to it, and its answer shared."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from threading import RLock

from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.errors import DatabaseUnavailable

KEEP_SECONDS = 1.0
"""For how long an answer is good."""
PATIENCE_SECONDS = 1.0
"""For how long a question is waited for, counted from its beginning."""


@dataclass(frozen=True)
class Condition:
    """How the database is: whether it can be read, and when all bots were last compared, as far as that is known."""

    connected: bool
    synced_at: datetime | None


class DatabaseHealth:
    """Says whether the database answers, and never makes anybody wait for one that hangs.

    ``read`` asks it when all bots were last compared with the engine, and raises ``DatabaseUnavailable``. At most one
    question is under way, in a thread of its own, however many ask. Whoever comes when it plainly hangs is answered
    at once. ``clock`` returns seconds that never run backwards, the pace's if it is not given.
    """

    def __init__(
        self,
        read: Callable[[], datetime | None],
        *,
        clock: Callable[[], float] | None = None,
        pace: Pace = USUAL,
    ) -> None:
        self._read = read
        self._clock = clock or pace.seconds
        self._pace = pace
        self._lock = RLock()
        self._asking: Future[None] | None = None
        self._asked_at = 0.0
        self._answered_at: float | None = None
        self._connected = False
        self._synced_at: datetime | None = None

    def ask(self) -> None:
        """Begin a question unless one is under way or the last answer is still good, and wait for nothing."""
        with self._lock:
            kept = self._answered_at is not None and self._clock() - self._answered_at < KEEP_SECONDS
            if self._asking is None and not kept:
                self._asked_at = self._clock()
                asking = self._pace.beside(self._work)
                self._asking = None if asking.done() else asking

    def condition(self, patience: float = PATIENCE_SECONDS) -> Condition:
        """Return how the database is; one that has not answered a question within the patience is not connected."""
        self.ask()
        with self._lock:
            asking, waited = self._asking, self._clock() - self._asked_at
        if asking is not None:
            wait([asking], max(0.0, patience - waited))
        with self._lock:
            return Condition(self._connected and (asking is None or asking.done()), self._synced_at)

    def _work(self) -> None:
        connected, synced_at = False, None
        try:
            synced_at = self._read()
            connected = True
        except DatabaseUnavailable:
            # That is the answer. The database tells of its outages itself, once. Any other error is one too, and goes
            # on as the defect that it is.
            pass
        finally:
            with self._lock:
                self._connected = connected
                self._synced_at = synced_at or self._synced_at
                self._answered_at = self._clock()
                self._asking = None
