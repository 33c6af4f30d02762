"""How long requests wait for work on the engine, so that there are always threads for the others."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from clawdeploy.core.engine_health import EngineHealth
from clawdeploy.core.errors import RuntimeUnavailable

MOST_LONG = 8
"""How many requests of a process may wait long at once, so that slow downloads leave threads for everybody else."""
MOST_SHORT = 16
SHORT_WAIT = 1.0
"""Seconds that so many others wait; enough for whatever is not slow. Those beyond do not wait at all."""
LOOKS_EVERY = 0.5


class Patience:
    """Waits for what goes on in the background, but not for an engine that does not answer.

    An engine that is merely slow answers pings, and is waited for.
    """

    def __init__(self, health: EngineHealth) -> None:
        self._health = health
        self._long = BoundedSemaphore(MOST_LONG)
        self._short = BoundedSemaphore(MOST_SHORT)

    def wait(self, outcome: "Future[Any]", seconds: float) -> bool:
        """Wait for an outcome, at most so many seconds, fewer while many others wait; says whether it is there.

        Raises ``RuntimeUnavailable`` as soon as the engine turns out not to answer. The work goes on all the same.
        """
        with self._place(seconds) as most:
            return self._wait(outcome, most)

    def wait_long(self, outcome: "Future[Any]") -> None:
        """Wait for an outcome as long as it takes; raises ``RuntimeUnavailable`` as ``wait`` does."""
        self._wait(outcome, float("inf"))

    def _wait(self, outcome: "Future[Any]", most: float) -> bool:
        deadline = time.monotonic() + most
        step = min(LOOKS_EVERY, most)
        while not wait([outcome], step).done:
            if self._health.turns_out_silent():
                raise RuntimeUnavailable(self._health.complaint)
            # Nobody is told that all is well while it has yet to turn out whether the engine hangs.
            if time.monotonic() >= deadline and not (most and self._health.is_asked()):
                return False
            step = min(LOOKS_EVERY, max(deadline - time.monotonic(), 0.05))
        return True

    @contextmanager
    def _place(self, seconds: float) -> Iterator[float]:
        for places, most in ((self._long, seconds), (self._short, min(seconds, SHORT_WAIT))):
            if places.acquire(blocking=False):
                try:
                    yield most
                finally:
                    places.release()
                return
        yield 0.0
