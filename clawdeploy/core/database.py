"""The database: opening it, transactions, migrations, and one class of error for all its failures."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import peewee
import psycopg2
from playhouse.db_url import parse
from playhouse.migrations import Runner
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase, PooledSqliteDatabase
from psycopg2.extensions import make_dsn

from clawdeploy.core.errors import ConfigurationError, DatabaseUnavailable

MIGRATIONS = Path(__file__).with_name("migrations")
MIGRATION_LOCK = 0x636C6177  # Any fixed number will do; this one spells "claw" in ASCII.
BUSY_SECONDS = 5
MOST_CONNECTIONS = 64
FAULTS = (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError, MaxConnectionsExceeded)


class Database:
    """One SQLite file or one PostgreSQL database, safe to use from many threads.

    A connection is held only inside :meth:`transaction`, never during an engine call.
    """

    def __init__(self, url: str, data_folder: Path) -> None:
        """Prepare to connect; ``url`` empty means ``clawdeploy.db`` in the data folder. Connects to nothing yet.

        Raises ``ConfigurationError`` for a URL that cannot be connected to.
        """
        self._closing = False
        if not url or urlsplit(url).scheme == "sqlite":
            self.path: Path | None = _sqlite_path(url) or data_folder / "clawdeploy.db"
            self.label = f"SQLite {self.path}"
            self.peewee: Any = _sqlite(self.path)
        else:
            self.path = None
            parts = urlsplit(url)
            self.label = f"PostgreSQL on {parts.hostname or 'a local socket'}{parts.path}"
            self.peewee = _postgresql(url)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction: all of it is stored, or nothing.

        On SQLite the write lock is taken at the start, because a transaction that reads first
        and writes later fails at once when another writer came in between, without waiting.
        Raises ``DatabaseUnavailable`` for anything that is the database's fault.
        """
        with self._errors(), self.peewee.connection_context():
            arguments = ("IMMEDIATE",) if self.path else ()
            with self.peewee.atomic(*arguments):
                yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Run queries that change nothing; no lock is taken."""
        with self._errors(), self.peewee.connection_context():
            yield

    def unlocked(self, query: Any) -> Any:
        """Return a query that locks the rows it finds, and passes over those that another transaction has locked.

        On SQLite a transaction locks everything from its start, so that the query is good as it is.
        """
        return query if self.path else query.for_update("FOR UPDATE SKIP LOCKED")

    def locked(self, query: Any) -> Any:
        """Return a query that locks the rows it finds until the transaction ends, waiting for whoever has them."""
        return query if self.path else query.for_update()

    def now(self) -> datetime:
        """Return the present moment by the one clock that all processes share; to be called in a transaction.

        SQLite is used from one machine, by that machine's clock. The hosts that share a PostgreSQL have a clock each.
        """
        if self.path:
            return datetime.now(UTC)
        moment: datetime = self.peewee.execute_sql("SELECT clock_timestamp()").fetchone()[0]
        return moment

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run the block while no other process runs one: for what is done once in a database's life."""
        if self.path is None:
            with self._errors(), self.peewee.connection_context():
                self.peewee.execute_sql("SET statement_timeout = 0")
                self.peewee.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
                try:
                    yield
                finally:
                    self.peewee.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))
                    self.peewee.execute_sql("RESET statement_timeout")
            return
        with _lock_file(self.path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def migrate(self) -> list[str]:
        """Bring the tables up to date and return the names of the migrations that were applied.

        Processes that start together wait for each other. Raises ``ConfigurationError`` when the
        database was made by a newer ClawDeploy.
        """
        with self._errors(), self.alone(), self.peewee.connection_context():
            runner = Runner(self.peewee, str(MIGRATIONS))
            _refuse_newer(runner)
            applied: list[str] = runner.up()
            return applied

    def pending(self) -> list[str]:
        """Return the names of migrations that are not applied yet."""
        with self._errors(), self.peewee.connection_context():
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
            self._drop_broken_connection()
            raise DatabaseUnavailable(_first_line(error)) from error
        finally:
            if self._closing:
                self.peewee.close_idle()

    def _drop_broken_connection(self) -> None:
        """Forget idle connections after a failure, so that the next call begins with a fresh one."""
        if self.path is None:
            self.peewee.close_idle()


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


def _sqlite(path: Path) -> Any:
    return PooledSqliteDatabase(
        str(path),
        pragmas={"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "busy_timeout": BUSY_SECONDS * 1000},
        max_connections=MOST_CONNECTIONS,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )


def _postgresql(url: str) -> Any:
    arguments = parse(url, unquote_password=True, unquote_user=True)
    try:
        make_dsn(**arguments)
    except psycopg2.ProgrammingError as error:
        raise ConfigurationError(f"The database URL is not usable: {_said(error)}") from None
    return PooledPostgresqlDatabase(
        arguments.pop("database"),
        **{"connect_timeout": BUSY_SECONDS, "options": "-c statement_timeout=10000", **arguments},
        max_connections=MOST_CONNECTIONS,
        timeout=BUSY_SECONDS,
        stale_timeout=300,
    )


def _refuse_newer(runner: Runner) -> None:
    newer = [migration.name for migration in runner.status() if migration.path is None]
    if newer:
        raise ConfigurationError(
            f"This database was made by a newer ClawDeploy (it knows {newer[-1]}, this version does not). "
            "Nothing was changed. Start the newer version, or restore an older backup."
        )


def _first_line(error: Exception) -> str:
    return f"The database is not available right now ({_said(error)})"


def _said(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return said[0][:200] if said else type(error).__name__
