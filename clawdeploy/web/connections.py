"""Connections that know how much of a request has arrived, and how long it may take.

What a client can take its time for is waited for without a thread: a request's head, and its body when its length is
said and small enough. What is left, such as bodies in chunks and the rest of bodies that nobody reads, can keep
a few threads waiting and no more (``waiting.py``). Like ``worker.py`` this relies on the inside of gunicorn's threaded
worker.
"""

import fcntl
import re
import socket
import struct
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn

from clawdeploy.web.body import MOST_BYTES
from clawdeploy.web.waiting import MOST_AT_ONCE, READERS, AnsweringSocket, TimedSocket

HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
BODY_PAUSE_SECONDS = 5.0
LONGEST_HEAD = 32 * 1024
# So much of an answer is kept by the kernel, if it allows that much, for a client that does not read it yet.
SEND_BUFFER = 512 * 1024
# An answer that comes before its request was read reaches the client only if the rest is read, too, and forgotten:
# as long as it keeps coming, but not for ever.
DRAIN_PAUSE_SECONDS = 1.0
MOST_DRAINED = 32 * 1024 * 1024
LINGER_SECONDS = 0.3

BLANK_LINE = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r?(?=\n)", re.IGNORECASE)
COMES_LATER = re.compile(rb"\n(?:transfer-encoding|expect):", re.IGNORECASE)
"""Of what is in chunks nobody knows the length before it was read; what is to be asked for comes only then."""


def length_of(seen: bytes) -> int:
    """Return how long the request is that begins like this, as far as that is worth waiting for; 0 without its head.

    It is no more than a guess of when a thread will not have to wait. What a request is, gunicorn's parser says.
    """
    blank = BLANK_LINE.search(seen)
    if blank is None:
        return 0
    head = seen[: blank.end()]
    lengths = [int(length) for length in LENGTH.findall(head)]
    if len(lengths) != 1 or lengths[0] > MOST_BYTES or COMES_LATER.search(head):
        return len(head)
    return len(head) + lengths[0]


class Connection(TConn):
    """A connection that knows whether a request has arrived."""

    parser: Any
    deadline: float | None = None
    """When a request has to be there that has not arrived yet."""
    closed = False
    lingers = True
    _seen = 0
    _length = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    @property
    def has_head(self) -> bool:
        """Whether the head of the request is there, so that the client can be told what was wrong with the rest."""
        return self._length > 0

    def request_has_arrived(self) -> bool:
        """Look, without taking anything, whether a thread could deal with the request without waiting for the client.

        While it could not, the kernel is asked to report the connection only when still more has arrived.
        """
        if self.initialized and self.parser.unreader.buf.getvalue():
            return True
        try:
            seen = self._arrived()
        except BlockingIOError:
            return False
        except OSError:
            return True
        # Reported again with nothing new, the client has closed its side: a thread will find that out.
        complete = seen == self._seen or (seen >= self._length if self._length else seen >= LONGEST_HEAD)
        self._seen = 0 if complete else seen
        wanted = 1 if complete else max(self._length, seen + 1)
        self._length = 0 if complete else self._length
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
        return complete

    def _arrived(self) -> int:
        """Return how many bytes are there, having noted how long the request is once its head is among them."""
        if not self._length:
            begin = self.sock.recv(LONGEST_HEAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            self._length = length_of(begin)
            if not self._length:
                return len(begin)
        return int(struct.unpack("i", fcntl.ioctl(self.sock, termios.FIONREAD, b"\0" * 4))[0])

    def expect_request(self) -> None:
        """Begin the time within which the rest of the request that has begun must arrive."""
        late = self.deadline is not None and self.deadline <= time.monotonic()
        self.deadline = None
        self._length = self._seen = 0
        self.lingers = True
        self.sock.setblocking(True)
        self.init()
        self.parser.unreader.sock = TimedSocket(self.sock, 0 if late else BODY_SECONDS, BODY_PAUSE_SECONDS)

    def to_answer(self) -> "Answering":
        """Return what an answer is sent to."""
        return Answering(AnsweringSocket(self.sock), self.client, self.server)

    def forget_body(self) -> bool:
        """Read what is left of the request's body, and say whether that was all of it, and well formed.

        What is wrong with it is not told: the request has its answer, and a second one would be taken for the answer
        to another request.
        """
        self.lingers = False
        self.parser.unreader.sock.pause = DRAIN_PAUSE_SECONDS
        body = self.parser.mesg.body
        with suppress(ParseException):
            for _ in range(MOST_DRAINED // MOST_AT_ONCE):
                if body.failed or not body.read(MOST_AT_ONCE):
                    return not body.failed
        return False

    def close(self, graceful: bool = False) -> None:
        """Close the connection, once; ``graceful`` leaves the client a moment to read the answer to its end."""
        if not self.closed:
            self.closed = True
            if graceful and READERS.acquire(blocking=False):
                try:
                    self.sock.setblocking(True)
                    util.close_graceful(self.sock, timeout=LINGER_SECONDS)
                finally:
                    READERS.release()
            else:
                util.close(self.sock)


@dataclass(frozen=True)
class Answering:
    """The sending side of a connection."""

    sock: AnsweringSocket
    client: Any
    server: Any
