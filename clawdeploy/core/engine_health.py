"""Whether the engine answers, for the many who ask at once: one question to the engine, and its answer shared."""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Lock

from clawdeploy.core.background import in_background
from clawdeploy.core.errors import EngineError

KEEP_SECONDS = 3.0
PATIENCE_SECONDS = 1.0
GIVEN_UP_SECONDS = 5.0


class EngineHealth:
    """Says whether the engine answers, and never makes anybody wait for an engine that hangs.

    ``ping`` proves that the engine answers or raises. At most one is under way, in a thread of its own, however many
    ask; what it found is good for ``KEEP_SECONDS``. ``patience`` is for how many seconds after its beginning a ping is
    waited for. ``clock`` returns seconds that never run backwards.
    """

    def __init__(
        self,
        ping: Callable[[], object],
        *,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ping = ping
        self._patience = patience
        self._clock = clock
        self._lock = Lock()
        self._asking: Future[None] | None = None
        self._asked_at = 0.0
        self._answered_at: float | None = None
        self._connected = False
        self._lost_at: float | None = None

    def silent_for(self) -> float | None:
        """Return for how many seconds this process has known that the engine does not answer; ``None`` when it does."""
        if self.connected():
            return None
        with self._lock:
            since = self._asked_at if self._lost_at is None else self._lost_at
            return max(0.0, self._clock() - since)

    def connected(self) -> bool:
        """Say whether the engine answers; at worst what it was last known to do, and ``False`` before that is known.

        An engine that has not answered a ping within ``GIVEN_UP_SECONDS`` is not connected, whatever it was before.
        """
        with self._lock:
            now = self._clock()
            if self._asking is None:
                if self._answered_at is not None and now - self._answered_at < KEEP_SECONDS:
                    return self._connected
                self._asked_at = now
                self._asking = in_background(self._ask)
            asking, waited = self._asking, now - self._asked_at
        # Counted from the ping's beginning: whoever comes later, when it plainly hangs, is answered at once.
        wait([asking], max(0.0, self._patience - waited))
        with self._lock:
            return self._connected and (asking.done() or waited < GIVEN_UP_SECONDS)

    def _ask(self) -> None:
        connected = False
        try:
            self._ping()
            connected = True
        except EngineError:
            # That is the answer; any other error is one too, and goes on into the log as the defect that it is.
            pass
        finally:
            with self._lock:
                self._connected = connected
                if connected:
                    self._lost_at = None
                elif self._lost_at is None:
                    self._lost_at = self._asked_at
                self._answered_at = self._clock()
                self._asking = None
