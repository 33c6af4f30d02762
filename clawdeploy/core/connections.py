"""Connections to the database: kept for whoever needs one next, and used by one thread at a time."""

import select
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import peewee
import psycopg2
from playhouse.db_url import parse
from psycopg2.extensions import make_dsn, set_wait_callback

from clawdeploy.core.deadline import at_most, wait_for_answer
from clawdeploy.core.errors import ConfigurationError

MOST_CONNECTIONS = 64
BUSY_SECONDS = 5.0
"""How long is waited: for another writer of SQLite, for a free connection, for a connection to PostgreSQL."""
KEPT_SECONDS = 300.0
"""The age at which a connection is replaced, so that one leads to where the database's name leads now."""

# A statement ends before we lose patience, so that PostgreSQL says what it waited for. What a process holds that froze
# or was cut off in the middle of a transaction is free after a while.
POSTGRESQL_OPTIONS = "-c statement_timeout=4000 -c idle_in_transaction_session_timeout=10000"

READ_ONLY = ("default_transaction_read_only", "in_hot_standby")

# What peewee's drivers have inside is not in the published stubs.
_Driver: Any = peewee.Database


def sqlite(path: Path) -> "Sqlite":
    """Prepare to connect to a SQLite file."""
    busy = round(BUSY_SECONDS * 1000)
    # What is deleted or replaced, such as the ciphertext of a secret, is overwritten.
    pragmas = {
        "journal_mode": "wal",
        "synchronous": "full",
        "foreign_keys": 1,
        "busy_timeout": busy,
        "secure_delete": 1,
    }
    return Sqlite(path, pragmas=pragmas, check_same_thread=False)


def postgresql(url: str) -> "Postgresql":
    """Prepare to connect to a PostgreSQL database; raises ``ConfigurationError`` for a URL that cannot be used."""
    arguments = parse(url, unquote_password=True, unquote_user=True)
    try:
        make_dsn(**arguments)
    except psycopg2.ProgrammingError as error:
        raise ConfigurationError(f"The database URL is not usable: {said(error)}") from None
    return Postgresql(arguments.pop("database"), **{"options": POSTGRESQL_OPTIONS, **arguments})


def said(error: BaseException) -> str:
    """Return the first line of what a driver says, bounded."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


class _Pool(_Driver):  # type: ignore[misc]
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


class Postgresql(_Pool, peewee.PostgresqlDatabase):
    """One PostgreSQL database. It is asked by threads that say :func:`at_most` how long they wait."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        set_wait_callback(wait_for_answer)

    def _is_alive(self, connection: Any) -> bool:
        # Nothing comes unasked but the news that the server has ended the connection, or a remark that means no harm.
        silent = not connection.closed and not select.select([connection], [], [], 0)[0]
        return silent or not self._adapter.is_connection_closed(connection)

    def _is_clean(self, connection: Any) -> bool:
        # One that was made while the database could only be read stays so, and PostgreSQL tells that unasked.
        told = [connection.info.parameter_status(name) for name in READ_ONLY]
        return "on" not in told and bool(self._adapter.is_connection_reusable(connection))


class Sqlite(_Pool, peewee.SqliteDatabase):
    """One SQLite file, and none that comes to lie in its place.

    A connection to a file that was moved or removed goes on working, and what is written through it is lost.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None
        super().__init__(str(path), **options)

    def check_file(self) -> None:
        """Raise ``OperationalError`` when the file is not the one that was opened first."""
        if self._file is not None and self._file != self._found():
            raise peewee.OperationalError("its file was moved, removed or replaced while it was in use")

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _connect(self) -> Any:
        self.check_file()
        connection = super()._connect()
        self._file = self._file or self._found()
        return connection

    def _is_alive(self, connection: Any) -> bool:  # noqa: ARG002 - there is nobody who could have ended it.
        return True

    def _is_clean(self, connection: Any) -> bool:
        return not connection.in_transaction
