"""Connections that know how much of a request has arrived, and how long it may take.

Like ``worker.py`` this relies on the inside of gunicorn's threaded worker.
"""

import errno
import socket
import struct
import time
from contextlib import suppress
from typing import Any

from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn

HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
BODY_PAUSE_SECONDS = 5.0
SEND_SECONDS = 20
LONGEST_HEAD = 32 * 1024
# An answer that comes before its request was read reaches the client only if the rest is read, too, and forgotten:
# as long as it keeps coming, but not for ever.
DRAIN_PAUSE_SECONDS = 0.3
DRAIN_STEP = 64 * 1024
MOST_DRAINED = 32 * 1024 * 1024
LINGER_SECONDS = 0.3


class TimedSocket:
    """The receiving side of a connection: what is read has to arrive within a time, however it is spread.

    ``pause`` is how many seconds at most may pass without anything.
    """

    def __init__(self, sock: socket.socket, seconds: float, pause: float) -> None:
        self._sock = sock
        self._deadline = time.monotonic() + seconds
        self.pause = pause

    def recv(self, size: int) -> bytes:
        """Return some of what arrived; raises ``ConnectionResetError`` when the time is over."""
        before = self._sock.gettimeout()
        remaining = min(self.pause, self._deadline - time.monotonic())
        try:
            if remaining <= 0:
                raise TimeoutError
            self._sock.settimeout(remaining if before is None else min(before, remaining))
            return self._sock.recv(size)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the request did not arrive in time") from None
        finally:
            self._sock.settimeout(before)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Connection(TConn):
    """A connection that knows whether a request's head has arrived."""

    parser: Any
    head_deadline: float | None = None
    closed = False
    lingers = True
    _seen = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))

    def head_has_arrived(self) -> bool:
        """Look, without taking anything, whether the blank line that ends a request's head is there.

        While it is not, the kernel is asked to report the connection only when still more has arrived.
        """
        if self.initialized and self.parser.unreader.buf.getvalue():
            return True
        try:
            seen = self.sock.recv(LONGEST_HEAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            # Reported again with nothing new, the client has closed its side: a thread will find that out.
            ended = len(seen) == self._seen
            complete = ended or b"\n\r\n" in seen or b"\n\n" in seen or len(seen) >= LONGEST_HEAD
            self._seen = 0 if complete else len(seen)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._seen + 1)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return complete

    def expect_request(self) -> None:
        """Begin the time within which the request that has begun must arrive completely."""
        self.head_deadline = None
        self.lingers = True
        self.sock.setblocking(True)
        self.init()
        self.parser.unreader.sock = TimedSocket(self.sock, BODY_SECONDS, BODY_PAUSE_SECONDS)

    def forget_body(self) -> bool:
        """Read what is left of the request's body, and say whether that was all of it, and well formed.

        What is wrong with it is not told: the request has its answer, and a second one would be taken for the answer
        to another request.
        """
        self.lingers = False
        self.parser.unreader.sock.pause = DRAIN_PAUSE_SECONDS
        body = self.parser.mesg.body
        with suppress(ParseException):
            for _ in range(MOST_DRAINED // DRAIN_STEP):
                if body.failed or not body.read(DRAIN_STEP):
                    return not body.failed
        return False

    def close(self, graceful: bool = False) -> None:
        """Close the connection, once; ``graceful`` leaves the client a moment to read the answer to its end."""
        if not self.closed:
            self.closed = True
            if graceful:
                self.sock.setblocking(True)
                util.close_graceful(self.sock, timeout=LINGER_SECONDS)
            else:
                util.close(self.sock)
