"""Threads that wait for clients: each for a time, and never more than a few of them.

All others are left for clients that do not keep anybody waiting.
"""

import errno
import select
import socket
import time
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Any

SENDERS = BoundedSemaphore(12)
"""The threads of this process that may wait for what clients send."""
READERS = BoundedSemaphore(8)
"""The threads of this process that may wait for clients to read, be it only the end of an answer."""
MOST_AT_ONCE = 64 * 1024
"""Bytes that are taken from a client at once; what is read by bigger pieces is copied more often."""
SEND_PAUSE_SECONDS = 20.0
SEND_SECONDS = 60.0


class TimedSocket:
    """The receiving side of a connection: what is read has to arrive within a time, however it is spread.

    ``pause`` is how many seconds at most may pass without anything.
    """

    def __init__(self, sock: socket.socket, seconds: float, pause: float) -> None:
        self._sock = sock
        self._deadline = time.monotonic() + seconds
        self.pause = pause

    def recv(self, size: int) -> bytes:
        """Return some of what arrived.

        Raises ``ConnectionResetError`` when the time is over, or when too many others are being waited for already.
        """
        size = min(size, MOST_AT_ONCE)
        with suppress(BlockingIOError):
            return self._sock.recv(size, socket.MSG_DONTWAIT)
        with _Seat(SENDERS):
            _wait(self._sock, select.POLLIN, min(self.pause, self._deadline - time.monotonic()))
            return self._sock.recv(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class AnsweringSocket:
    """The sending side of a connection: what is sent has to be read within a time, beyond what the kernel keeps."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline = time.monotonic() + SEND_SECONDS

    def sendall(self, data: bytes) -> None:
        """Send everything.

        Raises ``ConnectionResetError`` when the time is over, or when too many others are being waited for already.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                with _Seat(READERS):
                    _wait(self._sock, select.POLLOUT, min(SEND_PAUSE_SECONDS, self._deadline - time.monotonic()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Seat:
    """One of the few places to wait; whoever finds none waits no longer."""

    def __init__(self, seats: BoundedSemaphore) -> None:
        self._seats = seats

    def __enter__(self) -> None:
        if not self._seats.acquire(blocking=False):
            raise ConnectionResetError(errno.ECONNRESET, "too many clients are slow")

    def __exit__(self, *_: object) -> None:
        self._seats.release()


def _wait(sock: socket.socket, event: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(sock, event)
    if seconds <= 0 or not poll.poll(seconds * 1000):
        raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")
