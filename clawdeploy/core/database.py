"""The database: opening it, transactions, migrations, and one class of error for all its failures."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import peewee
from playhouse.migrations import Runner

from clawdeploy.core.clock import utc_now
from clawdeploy.core.connections import said
from clawdeploy.core.deadline import at_most
from clawdeploy.core.errors import ConfigurationError, DatabaseUnavailable
from clawdeploy.core.known_database import KnownDatabase
from clawdeploy.core.models import Tables, tables
from clawdeploy.core.outage import Outage
from clawdeploy.core.postgresql import postgresql
from clawdeploy.core.sqlite import sqlite

MIGRATIONS = Path(__file__).with_name("migrations")
MIGRATION_LOCK = 0x636C6177  # Any fixed number will do; this one spells "claw" in ASCII.
ANSWERS_WITHIN = 5.0
"""Seconds within which a transaction is through, or has failed."""
MIGRATES_WITHIN = 600.0
ASKS_AGAIN = 0.05
"""Seconds between two tries to be :meth:`Database.alone`."""
FAULTS = (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError)


class Database:
    """One SQLite file or one PostgreSQL database, safe to use from many threads.

    A connection is held only inside :meth:`transaction`, never during an engine call.
    """

    def __init__(self, url: str, data_folder: Path) -> None:
        """Prepare to connect; ``url`` empty means ``clawdeploy.db`` in the data folder. Connects to nothing yet.

        Raises ``ConfigurationError`` for a URL that cannot be connected to.
        """
        self._closing = False
        self._reading = Outage("read")
        self._writing = Outage("written", self._reading)
        self._known: KnownDatabase | None = None
        self.failures = 0
        """How often it was not available; after a failure another server may answer, with an older state."""
        if not url or urlsplit(url).scheme == "sqlite":
            self.path: Path | None = _sqlite_path(url) or data_folder / "clawdeploy.db"
            self.label = f"SQLite {self.path}"
            self.peewee: Any = sqlite(self.path)
        else:
            self.path = None
            parts = urlsplit(url)
            self.label = f"PostgreSQL on {parts.hostname or 'a local socket'}{parts.path}"
            self.peewee = postgresql(url)

    @cached_property
    def tables(self) -> Tables:
        """The models of this database."""
        return tables(self.peewee)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction: all of it is stored, or nothing.

        On SQLite the write lock is taken at the start, because a transaction that reads first
        and writes later fails at once when another writer came in between, without waiting. The threads of a process
        come one after the other.
        Raises ``DatabaseUnavailable`` for anything that is the database's fault; whether the block was stored cannot
        be told then.
        """
        with self._connected(self._writing):
            arguments = ("IMMEDIATE",) if self.path else ()
            with self.peewee.turn_to_write(), self.peewee.atomic(*arguments):
                yield
            if self.path:
                self.peewee.check_file()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Run queries that change nothing; no lock is taken."""
        with self._connected(self._reading):
            yield

    @contextmanager
    def _connected(self, outage: Outage) -> Iterator[None]:
        if not self.peewee.is_closed():
            with self._errors():
                yield
            return
        with outage.noted(), self._errors(), at_most(ANSWERS_WITHIN), self.peewee.connection_context():
            if self._known is None:
                yield
                return
            self._known.verify()
            try:
                yield
            except peewee.ProgrammingError:
                # Our own mistake, unless a newer version has changed the tables a moment ago.
                self._known.verify(at_once=True)
                raise

    def unlocked(self, query: Any) -> Any:
        """Return a query that locks the rows it finds, and passes over those that another transaction has locked.

        On SQLite a transaction locks everything from its start, so that the query is good as it is.
        """
        return query if self.path else query.for_update("FOR UPDATE SKIP LOCKED")

    def locked(self, query: Any) -> Any:
        """Return a query that locks the rows it finds until the transaction ends, waiting for whoever has them."""
        return query if self.path else query.for_update()

    def shared(self, query: Any) -> Any:
        """Return a query whose rows nobody changes before the transaction ends, though others may ask the same."""
        return query if self.path else query.for_update("FOR SHARE")

    def now(self) -> datetime:
        """Return the present moment by the one clock that all processes share; to be called in a transaction.

        SQLite is used from one machine, by that machine's clock. The hosts that share a PostgreSQL have a clock each.
        """
        if self.path:
            return utc_now()
        moment: datetime = self.peewee.execute_sql("SELECT clock_timestamp()").fetchone()[0]
        return moment

    @contextmanager
    def alone(self, seconds: float = ANSWERS_WITHIN) -> Iterator[None]:
        """Run the block, for at most so many seconds, while no other process runs one.

        For what is done once in a database's life. The wait for others has no limit.
        """
        if self.path is None:
            with self._errors(), self.peewee.connection_context():
                while not self._ask(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"):
                    time.sleep(ASKS_AGAIN)
                self._ask(f"SET statement_timeout = {round(seconds * 1000)}")
                try:
                    with at_most(seconds):
                        yield
                finally:
                    self._ask(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})")
                    self._ask("RESET statement_timeout")
            return
        with _lock_file(self.path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def migrate(self) -> list[str]:
        """Bring the tables up to date and return the names of the migrations that were applied.

        Processes that start together wait for each other. Raises ``ConfigurationError`` when the
        database was made by a newer ClawDeploy.
        """
        with self._errors(), self.alone(MIGRATES_WITHIN), self.peewee.connection_context():
            runner = Runner(self.peewee, str(MIGRATIONS))
            _refuse_newer(runner)
            applied: list[str] = runner.up()
            return applied

    def forget_overwritten(self) -> None:
        """Take what was overwritten out of the log of a SQLite file, unless somebody reads just now."""
        if self.path:
            with self.reading():
                self.peewee.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def hold_on(self, fits: Callable[[str], bool]) -> None:
        """From now on be of use only while this is the database of the same installation; see ``KnownDatabase``."""
        with self.reading():
            self._known = KnownDatabase(self.peewee, fits)
        self._reading.tells = self._writing.tells = True

    def pending(self) -> list[str]:
        """Return the names of migrations that are not applied yet."""
        with self.reading():
            runner = Runner(self.peewee, str(MIGRATIONS))
            _refuse_newer(runner)
            return [migration.name for migration in runner.status() if not migration.applied]

    def close(self) -> None:
        """Close the connections that are idle; one that is in use is closed when it is given back.

        Closed under another thread's hands, a SQLite connection would end the whole process by a segmentation fault.
        """
        self._closing = True
        self.peewee.close_idle()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (*FAULTS, peewee.DatabaseError) as error:
            # A damaged SQLite file comes as this very class; what its other subclasses say would be our own mistake.
            if not isinstance(error, FAULTS) and type(error) is not peewee.DatabaseError:
                raise
            self.failures += 1
            # Whatever was wrong with this connection may be wrong with the idle ones too.
            self.peewee.close_idle()
            raise DatabaseUnavailable(f"The database is not available right now ({said(_first(error))})") from error
        finally:
            if self._closing:
                self.peewee.close_idle()

    def _ask(self, statement: str) -> Any:
        with at_most(ANSWERS_WITHIN):
            cursor = self.peewee.execute_sql(statement)
            return cursor.fetchone()[0] if cursor.description else None


def _sqlite_path(url: str) -> Path | None:
    if not url:
        return None
    path = urlsplit(url).path[1:]
    if not path or path == ":memory:":
        raise ConfigurationError("A SQLite database URL must name a file, such as sqlite:////srv/clawdeploy/bots.db.")
    return Path(path).absolute()


def _lock_file(path: Path) -> TextIO:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise DatabaseUnavailable(f"The folder of the database {path} cannot be written ({error.strerror}).") from None


def _refuse_newer(runner: Runner) -> None:
    newer = [migration.name for migration in runner.status() if migration.path is None]
    if newer:
        raise ConfigurationError(
            f"This database was made by a newer ClawDeploy (it knows {newer[-1]}, this version does not). "
            "Nothing was changed. Start the newer version, or restore an older backup."
        )


def _first(error: BaseException) -> BaseException:
    """Return the first of the failures that led to this one: that a dead connection cannot roll back says nothing."""
    first, link = error, error.__context__
    while link is not None:
        first, link = link if isinstance(link, FAULTS) else first, link.__context__
    return first
