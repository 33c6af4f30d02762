"""A lock that comes to whoever has waited longest."""

import threading
from collections import deque


class FairLock:
    """Is held by one thread at a time, in the order in which they asked.

    Python's own locks, and SQLite's, go to whoever asks at the right moment, which may never be the one that has
    waited longest.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, seconds: float) -> bool:
        """Wait at most so long for the lock, and say whether it was had."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            came = turn.acquire(timeout=max(0.0, seconds))
        except BaseException:
            # A signal may end a thread that waits; nobody may wait for it then.
            if not self._leave(turn):
                self.release()
            raise
        return came or not self._leave(turn)

    def release(self) -> None:
        """Give the lock to the next, or to nobody."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def _leave(self, turn: threading.Lock) -> bool:
        """Wait no longer, and say whether that was in time: a turn that has come already is ours."""
        with self._guard:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True
