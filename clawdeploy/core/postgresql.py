"""Connections to PostgreSQL, on which no thread waits without an end."""

import select
from contextlib import nullcontext
from typing import Any

import peewee
import psycopg2
from playhouse.db_url import parse
from psycopg2.extensions import make_dsn, set_wait_callback

from clawdeploy.core.connections import Pool, said
from clawdeploy.core.deadline import wait_for_answer
from clawdeploy.core.errors import ConfigurationError

# A statement ends before we lose patience, so that PostgreSQL says what it waited for. What a process holds that froze
# or was cut off in the middle of a transaction is free after a while.
POSTGRESQL_OPTIONS = "-c statement_timeout=4000 -c idle_in_transaction_session_timeout=10000"

READ_ONLY = ("default_transaction_read_only", "in_hot_standby")


def postgresql(url: str) -> "Postgresql":
    """Prepare to connect to a PostgreSQL database; raises ``ConfigurationError`` for a URL that cannot be used."""
    arguments = parse(url, unquote_password=True, unquote_user=True)
    try:
        make_dsn(**arguments)
    except psycopg2.ProgrammingError as error:
        raise ConfigurationError(f"The database URL is not usable: {said(error)}") from None
    return Postgresql(arguments.pop("database"), **{"options": POSTGRESQL_OPTIONS, **arguments})


class Postgresql(Pool, peewee.PostgresqlDatabase):
    """One PostgreSQL database. It is asked by threads that say :func:`at_most` how long they wait."""

    turn_to_write = staticmethod(nullcontext)
    """There are no turns: it has a lock for each row, and those who wait for one get it in their order."""

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
