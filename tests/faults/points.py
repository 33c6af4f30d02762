"""Fault points: the n-th call of an operation to the engine, and what happens at it."""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import StrEnum

from tests.faults.decoys import INSTANCE
from tests.faults.facts import Stored
from tests.faults.proxy import Address, Fault, FaultProxy

REQUEST = re.compile(rb"(GET|POST|PUT|DELETE|HEAD) (?:/v[0-9.]+)?(/\S*) HTTP/1\.1\r\n")
NOT_COUNTED = ("/events", "/version")
LISTS = re.compile(r"/containers/json")
NAMES = re.compile(r"[0-9a-f]{64}|clawdeploy-[a-z2-7]{16}")
PATIENCE_SECONDS = 20.0
QUIET_SECONDS = 0.25
"""After so long without another call, a server that cannot write waits for the database, or has nothing to do."""


class Moment(StrEnum):
    """When a process dies, around one call to the engine."""

    BEFORE = "before"
    """The call does not arrive."""
    UNANSWERED = "unanswered"
    """The engine has done it, and the answer does not arrive."""
    UNCOMMITTED = "uncommitted"
    """The answer has arrived, and what follows from it is not committed yet."""


class PointProxy(FaultProxy):
    """Passes everything on; once armed, strikes at the n-th call to the engine that an operation makes.

    Listening, looking at all containers at once and asking whether the engine is there are the sync's and do not
    count. ``calls`` are those since it was armed, such as ``POST /containers/*/start``.
    """

    def __init__(self, address: Address, target: Address) -> None:
        super().__init__(address, target)
        self.calls: list[str] = []
        self._strike: Future[bool] | None = None
        self._called_at = 0.0
        self._at: int | str = 0
        self._what: Moment | Fault | None = None
        self._kill: Callable[[int], None] = _nothing
        self._stored: Stored | None = None
        self._went_on = threading.Event()
        # A connection has a thread of its own, which sees its requests and its answers.
        self._here = threading.local()
        self.seen, self.answered = self._asked, self._said

    def arm(self, at: int | str, what: Moment | Fault, kill: Callable[[int], None], stored: Stored) -> None:
        """Strike at the call of this number, the first is 1, or at the first that is like this one.

        ``kill`` gets the id of the process that made it. Waits until the sync has looked at what happened before.
        """
        while (rest := self._called_at + QUIET_SECONDS - time.monotonic()) > 0:
            time.sleep(rest)
        self._kill, self._stored = kill, stored
        with self._lock:
            self.calls, self._at, self._what, self._strike = [], at, what, None

    def disarm(self) -> bool:
        """Strike no more; says whether the fault has happened."""
        with self._lock:
            self._what = None
        return self._strike is not None and self._strike.result(PATIENCE_SECONDS)

    def _serve(self, client: socket.socket) -> None:
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self._here.pid, _, _ = struct.unpack("3i", credentials)
        super()._serve(client)

    def _asked(self, piece: bytes) -> None:
        request = REQUEST.match(piece)
        if request is None:
            return
        self._here.due = None
        path = request[2].decode()
        if path.startswith(NOT_COUNTED) or (LISTS.match(path) and INSTANCE not in path):
            return
        with self._lock:
            self._called_at = time.monotonic()
            self._went_on.set()
            if self._what is None:
                return
            self.calls.append(f"{request[1].decode()} {NAMES.sub('*', path.partition('?')[0])}")
            if self._strike or self._at not in (len(self.calls), self.calls[-1]):
                return
            self._here.due, self._strike = self._what, Future()
        if self._here.due is Moment.BEFORE:
            self._die()

    def _said(self, piece: bytes) -> None:
        due, self._here.due = getattr(self._here, "due", None), None
        if due is Moment.UNANSWERED:
            self._die()
        elif due is Moment.UNCOMMITTED:
            self._went_on.clear()
            holding = threading.Event()
            pid = self._here.pid
            threading.Thread(target=self._kill_at_commit, args=(pid, holding), name="commit-point", daemon=True).start()
            assert holding.wait(PATIENCE_SECONDS), "the database cannot be locked"
        elif isinstance(due, Fault):
            self._here.due = due

    def _die(self) -> None:
        self._kill(self._here.pid)
        self._struck(True)
        raise ConnectionAbortedError

    def _struck(self, hit: bool) -> None:
        assert self._strike
        if not self._strike.done():
            self._strike.set_result(hit)

    def _kill_at_commit(self, pid: int, holding: threading.Event) -> None:
        """Let nobody write until the server waits to, and kill it then. If it goes on without, nothing happens."""
        assert self._stored
        with self._stored.locked():
            holding.set()
            waits = not self._went_on.wait(QUIET_SECONDS)
            if waits:
                self._kill(pid)
        self._struck(waits)

    def _hits(self, piece: bytes) -> Fault | None:
        due = getattr(self._here, "due", None)
        if not isinstance(due, Fault):
            return super()._hits(piece)
        self._struck(True)
        # The rest of a request that has been answered already is kept.
        return Fault.HANG if due is Fault.ERROR and not REQUEST.match(piece) else due


def _nothing(_: int) -> None:
    """Do nothing."""
