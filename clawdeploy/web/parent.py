"""The parent of the server processes: begins them, replaces those that ended, and ends them all in good order.

gunicorn's own parent ends the whole server when one process cannot start. Here that is so only until the first one was
ready. From then on whoever still serves goes on, and what is missing is tried again. Like ``worker.py`` this relies on
gunicorn's inside.
"""

import logging
import signal
import time
from collections.abc import Callable
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from clawdeploy.web.boot import BootFailure

logger = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


class Pause:
    """How long to wait before trying again: 1 s after the first failure, then twice as long each time, up to 30 s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = 0.0
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether it is time to try."""
        return self._clock() >= self._until

    def grow(self) -> None:
        """Begin a pause after a failure; failures while one goes on belong to the same try and change nothing."""
        if self.over:
            self._seconds = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._seconds))
            self._until = self._clock() + self._seconds

    def end(self) -> None:
        """Try at once, and begin anew with short pauses."""
        self._seconds = self._until = 0.0


class Parent(Arbiter):
    """gunicorn's parent process, for workers that have a ``Boot``; ``announce`` is called when the first is ready."""

    # What a worker says about its start is in its Boot. No exit code is -1, so none of them ends the server.
    WORKER_BOOT_ERROR = -1
    APP_LOAD_ERROR = -1

    def __init__(self, app: Any, announce: Callable[[], None]) -> None:
        self._announce = announce
        self._announced = False
        self._served = False
        self._halting = False
        self._failing = False
        self._pause = Pause()
        self._told: set[BootFailure] = set()
        # Workers up to this age serve until others have taken their place.
        self._outdated = 0
        super().__init__(app)

    def manage_workers(self) -> None:
        """Begin workers that are missing and end those that are not needed any more; called at least once a second."""
        for worker in self._workers():
            self._note(worker)
        self.spawn_workers()
        ready = sorted((worker for worker in self._workers() if worker.boot.ready), key=lambda worker: worker.age)
        for worker in ready[: max(0, len(ready) - self.num_workers)]:
            if not worker.leaving:
                worker.leaving = True
                self.kill_worker(worker.pid, signal.SIGTERM)
        if self._served and not self._announced:
            self._announced = True
            self._announce()

    def spawn_workers(self) -> None:
        """Begin the workers that are missing, unless one has failed a moment ago."""
        staying = [worker for worker in self._workers() if worker.age > self._outdated and not worker.leaving]
        if not self._pause.over:
            return
        try:
            for _ in range(self.num_workers - len(staying)):
                self.spawn_worker()
        except OSError as error:
            self._fail(BootFailure(f"the system has no room for one more process ({error.strerror})"))

    def reap_workers(self) -> None:
        """Take note of workers that ended, and of why."""
        before = self._workers()
        super().reap_workers()
        ended = [worker for worker in before if worker.pid not in self.WORKERS]
        for worker in ended:
            self._note(worker)
        for worker in ended:
            if not worker.boot.ready and not self._halting:
                self._fail(worker.boot.failure)

    def handle_hup(self) -> None:
        """Replace every worker; each serves until another one, which read everything anew, is ready."""
        self._outdated = self.worker_age
        self._pause.end()
        # Whoever asks for that wants to know how it went, even if it went as before.
        self._told.clear()

    def handle_int(self) -> None:
        """End like on SIGTERM; a second Ctrl-C ends at once."""
        self.handle_term()

    def stop(self, graceful: bool = True) -> None:
        """End all workers; from now on it does not matter why one ends."""
        self._halting = True
        super().stop(graceful)

    def _workers(self) -> list[Any]:
        return list(self.WORKERS.values())

    def _note(self, worker: Any) -> None:
        """Take note of a worker that has become ready."""
        if not worker.boot.ready or worker.noted:
            return
        worker.noted = True
        self._served = True
        self._pause.end()
        self._told.clear()
        if self._failing:
            self._failing = False
            logger.warning("A server process could start again.")

    def _fail(self, failure: BootFailure) -> None:
        """Tell why a worker could not start, once, and plan the next try; before anything was served end the server."""
        if not self._served:
            logger.critical("The server cannot start: %s", failure.sentence, exc_info=failure.cause)
            raise HaltServer("no server process could start", 1)
        self._failing = True
        self._pause.grow()
        if failure not in self._told:
            self._told.add(failure)
            logger.error(
                "A server process cannot start, and is tried again with pauses of up to %.0f s: %s",
                LONGEST_PAUSE,
                failure.sentence,
                exc_info=failure.cause,
            )
