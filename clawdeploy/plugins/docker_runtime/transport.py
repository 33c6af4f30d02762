"""docker-py's ways to an engine, mended.

The one to a Unix socket leaves the socket open when nobody answers there, and has a pool of connections for each URL,
so that a connection is hardly ever used twice. On any way a time limit is one for each piece of an answer, and an
engine that sends a byte now and then would hold its caller for hours.
"""

import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_ends_at: ContextVar[float] = ContextVar("ends_at", default=math.inf)


@contextmanager
def all_within(seconds: float) -> Iterator[None]:
    """Let the block read from engines for so many seconds in all; ``TimeoutError`` is raised when they are over.

    Not for a block that yields: the limit would hold for whatever its caller does in between.
    """
    before = _ends_at.set(min(_ends_at.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends_at.reset(before)


class _Socket(socket.socket):
    def recv_into(self, *arguments: Any) -> int:
        left = _ends_at.get() - time.monotonic()
        if left == math.inf:
            return super().recv_into(*arguments)
        if left <= 0:
            raise TimeoutError("The answer has not arrived in time.")
        usual = self.gettimeout()
        self.settimeout(left if usual is None else min(left, usual))
        try:
            return super().recv_into(*arguments)
        finally:
            self.settimeout(usual)


class _Connection(UnixHTTPConnection):
    def connect(self) -> None:
        sock = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self.unix_socket)
        except OSError:
            sock.close()
            raise
        self.sock = sock


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> _Connection:  # type: ignore[override]
        return _Connection(self.base_url, self.socket_path, self.timeout)  # type: ignore[arg-type]


class UnixAdapter(UnixHTTPAdapter):
    """Sends requests through one Unix socket and keeps up to ``connections`` open."""

    def __init__(self, path: str, connections: int) -> None:
        super().__init__(path)
        self._pool = _Pool("engine", self.socket_path, maxsize=connections)

    def get_connection(self, url: bytes | str, proxies: object = None) -> _Pool:  # noqa: ARG002 -- called by requests
        """Return the connections: the same for every address, as all of them lead to the same socket."""
        return self._pool

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _TcpConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        seconds = plain.gettimeout()
        sock = _Socket(fileno=plain.detach())
        sock.settimeout(seconds)
        return sock


class _TcpPool(HTTPConnectionPool):
    ConnectionCls = _TcpConnection


class TcpAdapter(HTTPAdapter):
    """Sends requests over the network and keeps up to ``connections`` open."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the connections; called by requests."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _TcpPool, "https": HTTPSConnectionPool}
