"""The worker process: a client that is slow, or that stops half-way, costs a place in a list and no thread.

This goes further than gunicorn's own threaded worker, which waits in a thread for the rest of a
request that was begun, for ever. It relies on that worker's inside, so ``setup.cfg`` allows one
major version of gunicorn, and ``tests/web/test_server.py`` tries all of it on real sockets.
"""

import contextlib
import errno
import json
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors as http_errors
from gunicorn.workers.gthread import ThreadWorker

from clawdeploy.core.context import address, begin_request, request_id
from clawdeploy.web import errors
from clawdeploy.web.boot import Boot
from clawdeploy.web.connections import HEAD_SECONDS, Connection
from clawdeploy.web.errors import INTERNAL, Problem

logger = logging.getLogger(__name__)

FIRST_REQUEST_SECONDS = 1.0
"""How long a worker that ends still waits for the first request of a connection that it has accepted."""

# What gunicorn refuses before the application sees it; any other malformed request is a 400.
REFUSED: dict[type[BaseException], tuple[int, str, str]] = {
    http_errors.LimitRequestLine: errors.URI_TOO_LONG,
    http_errors.LimitRequestHeaders: errors.HEADERS_TOO_LARGE,
    http_errors.ExpectationFailed: errors.EXPECTATION_FAILED,
}


class PatientWorker(ThreadWorker):
    """gunicorn's threaded worker, in which threads deal with requests that have arrived.

    ``boot`` says how its start went; ``noted`` and ``leaving`` are the parent's: it knows that the worker is ready, it
    has told the worker to end.
    """

    app: Any
    noted = False
    leaving = False
    _ends_at: float | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.boot = Boot()

    def init_process(self) -> None:
        """Start, in the new process, and serve until told to end."""
        try:
            super().init_process()
        except Exception as error:
            if self.booted:
                raise
            self.boot.fail(error)
            # It is for the parent to tell that; any other exit code would be logged at each try.
            sys.exit(0)

    def run(self) -> None:
        """Serve until told to end."""
        self.boot.succeed()
        # The parent sleeps between looks at its workers; this is the signal that wakes it. One that has died meanwhile
        # is missed by the loop, which ends then.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.ppid, signal.SIGCHLD)
        super().run()

    def is_parent_alive(self) -> bool:
        """Say whether the parent lives; without one the worker ends as when it is told to.

        The base class would keep the address while it finishes what is under way, and whoever connects to it waiting.
        """
        lives = bool(super().is_parent_alive())
        self.alive = self.alive and lives
        return lives

    def accept(self, listener: Any) -> bool:  # type: ignore[override]
        """Take a new connection; says whether there was one."""
        try:
            client, address = listener.accept()
        except OSError as error:
            # The client may be gone already, or this process has no descriptor left: neither may end the worker.
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                logger.warning("A connection could not be accepted: %s", error.strerror)
            return False
        self.nr_conns += 1
        self.enqueue_req(Connection(self.cfg, client, address, listener.getsockname()))
        return True

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread, or put it back to wait until its request is there."""
        if conn.request_has_arrived():
            super().enqueue_req(conn)
            return
        if conn.deadline is None:
            conn.deadline = time.monotonic() + HEAD_SECONDS
        conn.timeout = conn.deadline
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, lambda sock: self.on_pending_socket_readable(conn, sock))

    def handle(self, conn: Any) -> Any:
        """Serve one request, in a thread; says whether the connection stays open."""
        try:
            conn.expect_request()
        except OSError:
            return False
        keep = super().handle(conn)
        if not keep:
            # Waiting for the client takes a moment, and the loop that would close the connection serves all others.
            conn.close(graceful=conn.lingers)
        return keep

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request; says whether the connection may stay open."""
        return super().handle_request(req, conn.to_answer())

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Begin or cease to accept connections; when the worker ends, new ones are refused and do not hang.

        Those that the kernel has accepted already are served: it would end them without a word.
        """
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while self.nr_conns < self.worker_connections and self.accept(listener):
                    pass
                listener.close()
            self.sockets = []

    def murder_pending(self) -> None:
        """Close the connections whose time is over; when the worker ends, all that have sent nothing whole.

        One that was accepted a moment ago has had no chance to, and its client would not know whether to ask again.
        """
        if not self.alive:
            if self._ends_at is None:
                self._ends_at = time.monotonic() + FIRST_REQUEST_SECONDS
            pending: list[Any] = list(self.pending_conns)
            for conn in pending:
                conn.timeout = 0.0 if conn.initialized else min(conn.timeout, self._ends_at)
            # The base class looks at the first ones only, as long as their time is over.
            pending.sort(key=lambda conn: conn.timeout)
            self.pending_conns = deque(pending)
        now = time.monotonic()
        waiting: list[Any] = list(self.pending_conns)
        for conn in [one for one in waiting if one.has_head and one.timeout <= now]:
            # It gets an answer, from a thread that does not wait for the rest any more.
            self.pending_conns.remove(conn)
            self.poller.unregister(conn.sock)
            super().enqueue_req(conn)
        super().murder_pending()

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        return conn.forget_body() and keepalive

    def init_signals(self) -> None:
        """Leave to the parent what is sent to all processes at once, such as Ctrl-C: it ends workers in good order."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what gunicorn itself refused in the shape that all errors have."""
        begin_request()
        # No proxy has said anything that could be read, so it is the one that has connected.
        address.set(addr[0] if isinstance(addr, tuple) else "")
        problem = _refusal(exc)
        if problem is INTERNAL:
            logger.error("An unexpected error outside the application", exc_info=exc)
        else:
            # The error quotes the request, and a request may hold a sign-in link: its kind has to do.
            logger.warning("Refused a malformed request with %s: %s", problem.status, type(exc).__name__)
        with contextlib.suppress(OSError):
            util.write_nonblock(client, _raw_answer(problem, self.app.security_headers))


def _refusal(error: BaseException) -> Problem:
    if not isinstance(error, http_errors.ParseException):
        return INTERNAL
    status, code, detail = REFUSED.get(type(error), errors.MALFORMED_REQUEST)
    return Problem(status, code, "The request was not understood", detail)


def _raw_answer(problem: Problem, hardening: Mapping[str, str]) -> bytes:
    body = json.dumps(problem.body(request_id.get())).encode()
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id.get(),
        **hardening,
    }
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
