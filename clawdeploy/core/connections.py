"""Connections to the database: kept for whoever needs one next, and used by one thread at a time."""

import threading
import time
from contextlib import nullcontext
from typing import Any

import peewee

from clawdeploy.core.deadline import at_most

MOST_CONNECTIONS = 64
BUSY_SECONDS = 5.0
"""How long is waited: for another writer of SQLite, for a free connection, for a connection to PostgreSQL."""
KEPT_SECONDS = 300.0
"""The age at which a connection is replaced, so that one leads to where the database's name leads now."""

# What peewee's drivers have inside is not in the published stubs.
_Driver: Any = peewee.Database


def said(error: BaseException) -> str:
    """Return the first line of what a driver says, bounded."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


class Pool(_Driver):  # type: ignore[misc]
    """Keeps connections that nobody uses.

    peewee's own pool holds a lock while it connects and while it asks whether a connection is alive. With a database
    that hangs all threads would wait in line, each for the full time.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # It guards what is each thread's own anyway, and is held while connecting.
        self._lock = nullcontext()
        self._idle: list[tuple[Any, float]] = []
        self._used: dict[Any, float] = {}
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def close_idle(self) -> None:
        """Close the connections that nobody uses now."""
        while idle := self._pop():
            super()._close(idle[0])

    def _connect(self) -> Any:
        if not self._places.acquire(timeout=BUSY_SECONDS):
            raise peewee.OperationalError("all connections are in use")
        try:
            with at_most(BUSY_SECONDS):
                connection, since = self._kept() or (super()._connect(), time.monotonic())
        except BaseException:
            self._places.release()
            raise
        self._used[id(connection)] = since
        return connection

    def _kept(self) -> tuple[Any, float] | None:
        while idle := self._pop():
            connection, since = idle
            if time.monotonic() - since < KEPT_SECONDS and self._is_alive(connection):
                return idle
            super()._close(connection)
        return None

    def _pop(self) -> tuple[Any, float] | None:
        """Take the connection that was used last, so that those beyond the need grow old."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _close(self, connection: Any) -> None:
        since = self._used.pop(id(connection))
        try:
            with at_most(BUSY_SECONDS):
                clean = self._is_clean(connection)
            if clean:
                self._idle.append((connection, since))
            else:
                super()._close(connection)
        finally:
            self._places.release()

    def _is_alive(self, connection: Any) -> bool:
        """Say whether a kept connection can be used."""
        raise NotImplementedError

    def _is_clean(self, connection: Any) -> bool:
        """Say whether a connection that is given back is as good as a fresh one."""
        raise NotImplementedError
