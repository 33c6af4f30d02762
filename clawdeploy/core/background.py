"""Work that goes on after a request was answered."""

import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from clawdeploy.core.errors import RuntimeUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> "Future[T]":
    """Run work in a thread of its own and return its outcome as a future.

    The thread is a daemon, so that a server can end while an image is still being downloaded: what it leaves
    unfinished is resumed by whoever comes next. Where the system lets no thread be started just now, the outcome is a
    ``RuntimeUnavailable``, and the work was not begun.
    """
    outcome: Future[T] = Future()
    # What the caller's log lines carry, such as a request id, belongs to the lines of this work too.
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(work)
        except BaseException as error:
            logger.info("Background work ended with %s", type(error).__name__)
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    try:
        threading.Thread(target=run, name="background", daemon=True).start()
    except RuntimeError:
        outcome.set_exception(RuntimeUnavailable("This server has too much to do at once. Try again in a moment."))
    return outcome


@dataclass(frozen=True)
class Pace:
    """How work goes on: ``beside`` lets it go on beside whoever asked for it, ``pause`` waits.

    ``pause`` waits for an event, at most so many seconds, and says whether it came; ``seconds`` never run backwards. In
    tests with a pace of their own nothing takes time, and one thing happens after another.
    """

    beside: Callable[[Callable[[], None]], "Future[None]"] = in_background
    pause: Callable[[threading.Event, float], Any] = threading.Event.wait
    seconds: Callable[[], float] = time.monotonic


USUAL = Pace()


class Crew:
    """Does background work, at most ``size`` pieces at a time; the others wait without a thread of their own."""

    def __init__(self, size: int, pace: Pace = USUAL) -> None:
        self._size = size
        self._pace = pace
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, Callable[[], None], contextvars.Context]] = deque()
        self._outcomes: dict[str, Future[None]] = {}
        self._busy = 0

    def is_waited_for(self) -> bool:
        """Say whether there is work that nobody does yet, because all are busy."""
        return bool(self._waiting)

    def do(self, name: str, work: Callable[[], None]) -> "Future[None]":
        """Do a piece of work soon. While one of that name waits or goes on, that is the one that is meant.

        Raises ``RuntimeUnavailable`` when there can be no thread for it, and forgets it.
        """
        with self._lock:
            if name in self._outcomes:
                return self._outcomes[name]
            outcome = self._outcomes[name] = Future()
            # Whoever does it may have been hired for another one's work.
            self._waiting.append((name, work, contextvars.copy_context()))
            hires = self._busy < self._size
            self._busy += hires
        if hires:
            self._hire(name)
        return outcome

    def _hire(self, name: str) -> None:
        hired = self._pace.beside(self._work)
        refusal = hired.exception() if hired.done() else None
        if refusal is not None:
            with self._lock:
                self._busy -= 1
                # Otherwise somebody is there who comes to it, or has.
                if self._busy == 0 and self._outcomes.pop(name, None) is not None:
                    self._waiting = deque(each for each in self._waiting if each[0] != name)
                    raise refusal

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy -= 1
                    return
                name, work, context = self._waiting.popleft()
                outcome = self._outcomes[name]
            failure: BaseException | None = None
            try:
                context.run(work)
            except BaseException as error:
                failure = error
            with self._lock:
                del self._outcomes[name]
            if failure is None:
                outcome.set_result(None)
            else:
                logger.info("Background work ended with %s", type(failure).__name__)
                outcome.set_exception(failure)
