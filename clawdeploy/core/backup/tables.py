"""The tables that a backup holds, as any version of them may be: read in one moment, and made in one."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import peewee
from playhouse.migrations import Runner

from clawdeploy.core.database import MIGRATES_WITHIN, MIGRATIONS, Database
from clawdeploy.core.models import tables

HISTORY = "schema_migration"
LEFT_OUT = frozenset({"lease"})
"""Which process does a job that only one does; that is of no use to any other process."""
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def all_names() -> list[str]:
    """Return the tables of this version, in an order in which rows can be put in."""
    return [model._meta.table_name for model in vars(tables(peewee.Database(None))).values()]


def columns(database: Database, table: str) -> dict[str, str]:
    """Return the columns that a table has, each with its type in lower case."""
    return {column.name: column.data_type.lower() for column in database.peewee.get_columns(table)}


def bound(database: Database, table: str, names: Sequence[str]) -> Any:
    """Return a table for queries, with the columns of that name."""
    return peewee.Table(table, names).bind(database.peewee)


def applied(database: Database) -> list[str]:
    """Return the names of the migrations that made the tables what they are."""
    return sorted(Runner(database.peewee, str(MIGRATIONS)).applied())


def make(database: Database, migrations: Sequence[str] = ()) -> None:
    """Make the tables as these migrations leave them, or bring them up to date."""
    Runner(database.peewee, str(MIGRATIONS)).up(migrations[-1] if migrations else None)


@contextmanager
def in_one_moment(database: Database) -> Iterator[None]:
    """Run queries that see all tables as they are at the first of them, while others go on writing."""
    with database.alone(MIGRATES_WITHIN), database.reading(), database.peewee.atomic():
        if database.path is None:
            database.peewee.execute_sql(ONE_MOMENT)
        yield


@contextmanager
def rebuilding(database: Database) -> Iterator[None]:
    """Run a block that makes tables and rows: all of it is stored, or nothing."""
    with database.alone(MIGRATES_WITHIN), _no_new_file(database), ExitStack() as around:
        if database.path is not None:
            # A migration may replace a table, with which the rows that refer to it would go. It sees to that itself,
            # but not within a transaction.
            around.enter_context(database.reading())
            database.peewee.pragma("foreign_keys", 0)
            around.callback(database.peewee.pragma, "foreign_keys", 1)
        around.enter_context(database.transaction())
        yield


@contextmanager
def _no_new_file(database: Database) -> Iterator[None]:
    """Remove the SQLite file again that a block has made in vain: a server would begin anew with it."""
    path = database.path
    there = path is None or path.exists()
    try:
        yield
    except BaseException:
        if path is not None and not there:
            database.close()
            for end in ("", "-wal", "-shm"):
                path.with_name(path.name + end).unlink(missing_ok=True)
        raise
