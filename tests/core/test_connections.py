"""Connections: kept and shared well, and no thread waits for a database that does not answer."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from clawdeploy.core import connections, postgresql
from clawdeploy.core import database as database_module
from clawdeploy.core.database import Database
from clawdeploy.core.deadline import at_most
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.testing import eventually
from tests.databases import PostgresServer
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.troubles import through

PATIENCE = 0.5


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "ANSWERS_WITHIN", PATIENCE)


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[FaultProxy]:
    made = FaultProxy(("127.0.0.1", 0), postgres_server.address)
    yield made
    made.close()


@pytest.fixture
def database(proxy: FaultProxy, postgres_url: str, tmp_path: Path) -> Iterator[Database]:
    with closing(Database(through(proxy, postgres_url), tmp_path)) as made:
        yield made


def ask(database: Database) -> Any:
    with database.reading():
        return database.peewee.execute_sql("SELECT pg_backend_pid()").fetchone()[0]


def refusal(use: Callable[[], object]) -> float:
    """Have something refused and return how long that took."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        use()
    return time.monotonic() - began


@pytest.mark.usefixtures("impatient")
def test_one_that_accepts_connections_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        database = Database(f"postgresql://ann@127.0.0.1:{silent.getsockname()[1]}/bots", tmp_path)

        def try_it(_: int) -> float:
            return refusal(lambda: ask(database))

        with ThreadPoolExecutor(16) as threads:
            took = list(threads.map(try_it, range(16)))
        assert PATIENCE * 0.9 < max(took) < PATIENCE * 4
        assert try_it(0) < PATIENCE * 4


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP])
@pytest.mark.parametrize("block", [Database.reading, Database.transaction, lambda database: database.alone(PATIENCE)])
def test_one_that_ceases_to_answer_is_given_up_and_works_again(
    database: Database, proxy: FaultProxy, fault: Fault, block: Callable[[Database], AbstractContextManager[None]]
) -> None:
    first = ask(database)

    def use() -> None:
        with block(database):
            proxy.break_(fault)
            # It would drip for 40 seconds, and each byte that arrives is no reason to wait longer.
            database.peewee.execute_sql("SELECT repeat('x', 200)")

    assert refusal(use) < PATIENCE * 4
    assert len(database.peewee._used) == 0
    proxy.mend()
    assert ask(database) != first
    with block(database):
        database.peewee.execute_sql("SELECT 1")


@pytest.mark.usefixtures("impatient")
def test_time_is_counted_for_the_whole_transaction(database: Database) -> None:
    def use() -> None:
        with database.transaction():
            for _ in range(10):
                database.peewee.execute_sql(f"SELECT pg_sleep({PATIENCE / 4})")

    assert PATIENCE * 0.9 < refusal(use) < PATIENCE * 4


def test_the_shorter_patience_counts(postgres_url: str) -> None:
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        postgresql.Postgresql("bots")
        with at_most(60), at_most(0.2), at_most(60), pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT pg_sleep(30)")
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        with at_most(0.2):
            pass
        cursor.execute("SELECT pg_sleep(0.3)")


def test_a_connection_is_used_again_until_it_is_old(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask(database)
    assert ask(database) == first
    monkeypatch.setattr(connections, "KEPT_SECONDS", 0.0)
    assert ask(database) != first


def test_who_has_a_connection_does_not_wait_for_one_who_makes_one(database: Database, proxy: FaultProxy) -> None:
    first = ask(database)
    with ThreadPoolExecutor(1) as threads:
        with database.reading():
            proxy.break_(Fault.HANG, b"user\0")
            connecting = threads.submit(ask, database)
            assert eventually(lambda: proxy.injected > 0, 4)
        assert ask(database) == first
        assert not connecting.done()
        proxy.mend()
        with pytest.raises(DatabaseUnavailable):
            connecting.result(10)


def test_one_that_was_made_while_nothing_could_be_written_is_not_kept(
    database: Database, postgres_server: PostgresServer, postgres_url: str
) -> None:
    ask(database)
    name = postgres_url.rpartition("/")[2]
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database.peewee.close_idle()
    ask(database)
    postgres_server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    with database.transaction():
        database.peewee.execute_sql("CREATE TABLE note (text text)")
