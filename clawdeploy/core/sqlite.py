"""Connections to a SQLite file, through which the threads of a process write in their order."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee

from clawdeploy.core.connections import BUSY_SECONDS, Pool
from clawdeploy.core.fair_lock import FairLock

LOG_PAGES = 256
"""How long the log of changes gets, of 4 KiB each, before it is put into the file: it takes room, too."""
SOON = 0.1
"""Seconds that need not be accounted for."""


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
        "wal_autocheckpoint": LOG_PAGES,
    }
    return Sqlite(path, pragmas=pragmas, check_same_thread=False)


class Sqlite(Pool, peewee.SqliteDatabase):
    """One SQLite file, and none that comes to lie in its place.

    A connection to a file that was moved or removed goes on working, and what is written through it is lost.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None
        self._writing = FairLock()
        super().__init__(str(path), **options)

    @contextmanager
    def turn_to_write(self) -> Iterator[None]:
        """Run the block, which writes, when the threads of this process that asked before have written.

        SQLite lets a writer that waits look ever more seldom whether it can go on; others come in between, and of two
        threads that wrote without pause one waited for three seconds. Raises ``OperationalError`` after the time that
        SQLite would wait too.
        """
        if self.in_transaction():
            yield
            return
        began = time.monotonic()
        if not self._writing.acquire(BUSY_SECONDS):
            raise peewee.OperationalError("others write to it all the time")
        try:
            with self._waiting_for(BUSY_SECONDS - (time.monotonic() - began)):
                yield
        finally:
            self._writing.release()

    @contextmanager
    def _waiting_for(self, seconds: float) -> Iterator[None]:
        """Let SQLite wait only for the rest of the time when some of it is gone already."""
        if seconds > BUSY_SECONDS - SOON:
            yield
            return
        self._wait_at_most(seconds)
        try:
            yield
        finally:
            self._wait_at_most(BUSY_SECONDS)

    def _wait_at_most(self, seconds: float) -> None:
        self.pragma("busy_timeout", max(0, round(seconds * 1000)))

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
