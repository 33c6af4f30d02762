"""Whether the engine answers, for the many who ask at once: one question to the engine, and its answer shared."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import RLock

from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.errors import EngineError, RuntimeUnavailable

KEEP_SECONDS = 3.0
"""For how long it is good to know that the engine answers."""
LOST_SECONDS = 1.0
"""For how long it is good to know that it does not."""
PATIENCE_SECONDS = 1.0
PAGE_SECONDS = 0.05
"""How long a page waits to learn whether the engine answers; after that, what was last known is shown."""
GIVEN_UP_SECONDS = 3.0
FRESH_SECONDS = 0.5
MOMENT = 0.1

logger = logging.getLogger(__name__)


class EngineHealth:
    """Says whether the engine answers, and never makes anybody wait for an engine that hangs.

    ``ping`` proves that the engine answers or raises. At most one is under way, in a thread of its own, however many
    ask. How long somebody waits for it is counted from its beginning, so that whoever comes later, when it plainly
    hangs, is answered at once. ``clock`` returns seconds that never run backwards, the pace's if it is not given.
    """

    def __init__(
        self, ping: Callable[[], object], *, clock: Callable[[], float] | None = None, pace: Pace = USUAL
    ) -> None:
        self._ping = ping
        self._clock = clock or pace.seconds
        self._pace = pace
        self._lock = RLock()
        self._asking: Future[None] | None = None
        self._asked_at: float | None = None
        self._answered_at: float | None = None
        self._lost_at: float | None = None
        self._complaint = ""
        self._for_log = RuntimeUnavailable.summary

    @property
    def complaint(self) -> str:
        """What is wrong with the engine, as a sentence."""
        return self._complaint or f"{RuntimeUnavailable.summary}."

    def connected(self, patience: float = PATIENCE_SECONDS) -> bool:
        """Say whether the engine answers; at worst what it was last known to do, and ``False`` before that is known.

        An engine that has not answered a ping within ``GIVEN_UP_SECONDS`` is not connected, whatever it was before.
        """
        with self._lock:
            kept = KEEP_SECONDS if self._lost_at is None else LOST_SECONDS
            old = self._answered_at is None or self._clock() - self._answered_at >= kept
            asking = self._ask() if old else self._asking
            waited = self._waited()
        if asking is not None:
            wait([asking], max(0.0, patience - waited))
        with self._lock:
            return self._answered_at is not None and not self._is_silent()

    def silent_for(self, patience: float = PAGE_SECONDS) -> float | None:
        """Return for how many seconds this process has known that the engine does not answer, ``None`` when it does.

        Also ``None`` while it has yet to turn out whether it does. When it is known already, nothing is waited for.
        """
        self.connected(0.0 if self.is_silent() else patience)
        with self._lock:
            since = self._asked_at if self._lost_at is None else self._lost_at
            return max(0.0, self._clock() - since) if self._is_silent() and since is not None else None

    def answers(self, patience: float = PATIENCE_SECONDS) -> bool:
        """Say whether the engine answers now, whatever it did before; what does not come in time is a no."""
        with self._lock:
            asking, waited = self._ask(), self._waited()
        # A ping that hangs may be answered in this moment, with whatever else hung.
        wait([asking], max(MOMENT, patience - waited))
        with self._lock:
            return asking.done() and self._lost_at is None

    def answers_at_once(self) -> bool:
        """Say whether it is worth while for a page to ask the engine for something that it can do without."""
        return self.silent_for() is None and not self.is_asked()

    def is_silent(self) -> bool:
        """Say whether the engine is known not to answer, and wait for nothing."""
        with self._lock:
            return self._is_silent()

    def turns_out_silent(self) -> bool:
        """Say the same, for somebody who asks again and again: the engine is asked anew every half second."""
        with self._lock:
            if self._asked_at is None or self._clock() - self._asked_at >= FRESH_SECONDS:
                self._ask()
            return self._is_silent()

    def is_asked(self) -> bool:
        """Say whether a question to the engine is under way."""
        return self._asking is not None

    def _is_silent(self) -> bool:
        hangs = self._asking is not None and self._waited() >= GIVEN_UP_SECONDS
        return hangs or self._lost_at is not None

    def _waited(self) -> float:
        return 0.0 if self._asked_at is None else self._clock() - self._asked_at

    def _ask(self) -> "Future[None]":
        """Begin a ping unless one is under way; called with the lock."""
        if self._asking is None:
            self._asked_at = self._clock()
            asking = self._pace.beside(self._work)
            if asking.done():
                return asking
            self._asking = asking
        return self._asking

    def _work(self) -> None:
        complaint: str | None = RuntimeUnavailable.summary
        try:
            self._ping()
            complaint = None
        except EngineError as error:
            # That is the answer; any other error is one too, and goes on into the log as the defect that it is.
            complaint, self._for_log = error.detail, error.for_log
        finally:
            with self._lock:
                self._note(complaint)
                self._answered_at = self._clock()
                self._asking = None

    def _note(self, complaint: str | None) -> None:
        """Keep what a ping has found, and log what is new about it."""
        if complaint is not None:
            self._complaint = complaint
            if self._lost_at is None:
                self._lost_at = self._asked_at
                logger.warning("The engine does not answer: %s", self._for_log)
        elif self._lost_at is not None:
            logger.info("The engine answers again, after %.0f s", self._clock() - self._lost_at)
            self._lost_at = None
