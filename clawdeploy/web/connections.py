"""How connections are served: a client that is slow, or that stops half-way, costs a place in a list and no thread.

This goes further than gunicorn's own threaded worker, which waits in a thread for the rest of a
request that was begun, for ever. It relies on that worker's inside, so ``setup.cfg`` allows one
major version of gunicorn, and ``tests/web/test_server.py`` tries all of it on real sockets.
"""

import contextlib
import errno
import json
import logging
import signal
import socket
import struct
import time
from http import HTTPStatus
from secrets import token_hex
from typing import Any

from gunicorn import util
from gunicorn.http import errors as http_errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from clawdeploy.web.errors import FRAMEWORK, INTERNAL, Problem
from clawdeploy.web.logs import request_id

logger = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
BODY_PAUSE_SECONDS = 5.0
SEND_SECONDS = 20
LONGEST_HEAD = 32 * 1024
# An answer that comes before its request was read reaches the client only if the rest is read, too, and forgotten:
# as long as it keeps coming, but not for ever.
DRAIN_SECONDS = 3.0
DRAIN_PAUSE_SECONDS = 0.3
MOST_DRAINED = 32 * 1024 * 1024
LINGER_SECONDS = 0.3

# What gunicorn refuses before the application sees it; any other malformed request is a 400.
REFUSED: dict[type[BaseException], tuple[int, str, str]] = {
    http_errors.LimitRequestLine: (414, *FRAMEWORK[414]),
    http_errors.LimitRequestHeaders: (431, "headers_too_large", "The request's headers are too large."),
    http_errors.ExpectationFailed: (417, "expectation_failed", "The Expect header asks for something unknown."),
}


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
    read_to_its_end = False

    def head_has_arrived(self) -> bool:
        """Look, without taking anything, whether the blank line that ends a request's head is there.

        While it is not, the kernel is asked to report the connection only when still more has arrived.
        """
        if self.initialized and self.parser.unreader.buf.getvalue():
            return True
        try:
            seen = self.sock.recv(LONGEST_HEAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        complete = not seen or b"\n\r\n" in seen or b"\n\n" in seen or len(seen) >= LONGEST_HEAD
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 if complete else len(seen) + 1)
        return complete

    def expect_request(self) -> None:
        """Begin the time within which the request that has begun must arrive completely."""
        self.head_deadline = None
        self.read_to_its_end = False
        self.sock.setblocking(True)
        self.init()
        self.parser.unreader.sock = TimedSocket(self.sock, BODY_SECONDS, BODY_PAUSE_SECONDS)

    def close(self, graceful: bool = False) -> None:
        """Close the connection, once; ``graceful`` leaves the client a moment to read the answer to its end."""
        if not self.closed:
            self.closed = True
            if graceful:
                self.sock.setblocking(True)
                util.close_graceful(self.sock, timeout=LINGER_SECONDS)
            else:
                util.close(self.sock)


class PatientWorker(ThreadWorker):
    """gunicorn's threaded worker, in which threads deal only with requests whose head has arrived."""

    def accept(self, listener: Any) -> None:
        """Take a new connection."""
        try:
            client, address = listener.accept()
        except OSError as error:
            # The client may be gone already, or this process has no descriptor left: neither may end the worker.
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                logger.warning("A connection could not be accepted: %s", error.strerror)
            return
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
        self.nr_conns += 1
        self.enqueue_req(Connection(self.cfg, client, address, listener.getsockname()))

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread, or put it back to wait until its request's head is there."""
        if conn.head_has_arrived():
            super().enqueue_req(conn)
            return
        if conn.head_deadline is None:
            conn.head_deadline = time.monotonic() + HEAD_SECONDS
        conn.timeout = conn.head_deadline
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, 1, lambda sock: self.on_pending_socket_readable(conn, sock))

    def handle(self, conn: Any) -> Any:
        """Serve one request, in a thread; says whether the connection stays open."""
        try:
            conn.expect_request()
        except OSError:
            return False
        keep = super().handle(conn)
        if not keep:
            # Waiting for the client takes a moment, and the loop that would close the connection serves all others.
            conn.close(graceful=not conn.read_to_its_end)
        return keep

    def murder_pending(self) -> None:
        """Close the connections whose time is over, and when the worker ends all that have sent nothing whole."""
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = 0.0
        super().murder_pending()

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        conn.read_to_its_end = True
        conn.parser.unreader.sock.pause = DRAIN_PAUSE_SECONDS
        deadline = time.monotonic() + DRAIN_SECONDS
        drained = conn.parser.finish_body(deadline=deadline, max_bytes=MOST_DRAINED)
        return bool(drained and keepalive)

    def init_signals(self) -> None:
        """Leave Ctrl-C, which the terminal sends to all processes, to the parent: it ends the workers in good order."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what gunicorn itself refused in the shape that all errors have."""
        request_id.set(token_hex(8))
        problem = _refusal(exc)
        if problem is INTERNAL:
            logger.error("An unexpected error outside the application", exc_info=exc)
        else:
            # The error quotes the request, and a request may hold a sign-in link: its kind has to do.
            logger.warning("Refused a malformed request with %s: %s", problem.status, type(exc).__name__)
        with contextlib.suppress(OSError):
            util.write_nonblock(client, _raw_answer(problem))


def _refusal(error: BaseException) -> Problem:
    if not isinstance(error, http_errors.ParseException):
        return INTERNAL
    status, code, detail = REFUSED.get(type(error), (400, "malformed_request", "The request is not well-formed HTTP."))
    return Problem(status, code, "The request was not understood", detail)


def _raw_answer(problem: Problem) -> bytes:
    body = json.dumps(problem.body(request_id.get())).encode()
    head = (
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
        f"Connection: close\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: {request_id.get()}\r\n\r\n"
    )
    return head.encode() + body
