"""The database: transactions, one class of error for all its failures, and one process at a time where it matters."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any

import peewee
import psycopg2
import pytest

from clawdeploy.core import connections, sqlite
from clawdeploy.core.connections import MOST_CONNECTIONS
from clawdeploy.core.database import Database
from clawdeploy.core.errors import ConfigurationError, DatabaseUnavailable
from clawdeploy.core.testing import eventually
from tests.core.test_fair_lock import waits


class Note(peewee.Model):
    """A table of the tests' own."""

    text = peewee.TextField(unique=True)


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(database_url, tmp_path)
    with Note.bind_ctx(database.peewee):
        with database.transaction():
            database.peewee.create_tables([Note])
        yield database
    database.close()


def texts(database: Database) -> set[str]:
    with database.reading():
        return {note.text for note in Note.select()}


def write_and_fail(database: Database, text: str) -> None:
    with database.transaction():
        Note.create(text=text)
        raise KeyError


def test_a_transaction_is_stored_whole_or_not_at_all(database: Database) -> None:
    with database.transaction():
        Note.create(text="one")
    with pytest.raises(KeyError):
        write_and_fail(database, "two")
    assert texts(database) == {"one"}


def test_transactions_nest(database: Database) -> None:
    with database.transaction():
        Note.create(text="outer")
        with pytest.raises(KeyError):
            write_and_fail(database, "inner")
        with database.transaction(), database.reading():
            Note.create(text="second")
    assert texts(database) == {"outer", "second"}


def test_our_own_mistakes_are_not_taken_for_its_faults(database: Database) -> None:
    with database.transaction():
        Note.create(text="one")
    with pytest.raises(peewee.IntegrityError), database.transaction():
        Note.create(text="one")
    assert texts(database) == {"one"}


def test_no_connection_is_held_outside_a_transaction(database: Database) -> None:
    with database.transaction():
        assert len(database.peewee._used) == 1
    with database.reading():
        pass
    assert len(database.peewee._used) == 0


def test_many_threads_write_at_once(database: Database) -> None:
    def write(number: int) -> None:
        with database.transaction():
            count = Note.select().count()
            Note.create(text=f"{number} after {count}")

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(100)))
    assert len(texts(database)) == 100


def test_on_sqlite_threads_write_in_the_order_in_which_they_asked(tmp_path: Path) -> None:
    """SQLite alone lets those wait longest who have waited long: they look seldom."""
    with closing(Database("", tmp_path)) as database:
        written, threads = list[int](), list[threading.Thread]()

        def write(number: int) -> None:
            with database.transaction():
                written.append(number)

        with database.transaction():
            for number in range(8):
                threads.append(threading.Thread(target=write, args=(number,)))
                threads[-1].start()
                assert eventually(lambda: waits(threads[-1]), within=10)
        for thread in threads:
            thread.join()
        assert written == list(range(8))


def patience(database: Database) -> Any:
    """Return for how many milliseconds a connection waits for other processes, or ``None`` while nothing works."""
    with suppress(DatabaseUnavailable), database.transaction():
        return database.peewee.pragma("busy_timeout")


def test_on_sqlite_nobody_waits_first_for_threads_and_then_as_long_for_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1.0)
    with closing(Database("", tmp_path)) as database, closing(sqlite3.connect(tmp_path / "clawdeploy.db")) as other:
        with database.transaction():
            pass
        other.execute("BEGIN IMMEDIATE")
        lasted = list[float]()

        def write() -> None:
            began = time.monotonic()
            with pytest.raises(DatabaseUnavailable), database.transaction():
                pass
            lasted.append(time.monotonic() - began)

        first, second = threading.Thread(target=write), threading.Thread(target=write)
        first.start()
        # The second one comes when half of the first one's time is over.
        first.join(0.5)
        second.start()
        for thread in (first, second):
            thread.join()
        assert max(lasted) < 1.4, "each has one second in all"
        other.rollback()
        assert eventually(lambda: patience(database) == 1000, within=10)


def test_on_sqlite_a_reader_that_writes_later_never_fails(tmp_path: Path) -> None:
    database = Database("", tmp_path)
    with Note.bind_ctx(database.peewee):
        with database.transaction():
            database.peewee.create_tables([Note])
            Note.create(text="0")

        def count_up(_: int) -> None:
            with database.transaction():
                note = Note.get()
                Note.update(text=str(int(note.text) + 1)).execute()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(count_up, range(50)))
        assert texts(database) == {"50"}
    database.close()


def test_when_there_are_no_connections_left_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database("", tmp_path)
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.01)
    leave = threading.Event()

    def hold(_: int) -> None:
        with database.reading():
            held.release()
            leave.wait(20)

    held = threading.Semaphore(0)
    with ThreadPoolExecutor(MOST_CONNECTIONS) as threads:
        for number in range(MOST_CONNECTIONS):
            threads.submit(hold, number)
        for _ in range(MOST_CONNECTIONS):
            assert held.acquire(timeout=20)
        with pytest.raises(DatabaseUnavailable), database.reading():
            pass
        leave.set()
    with database.reading():
        pass
    database.close()


def test_closing_takes_no_connection_out_of_anybodys_hands(database: Database) -> None:
    wrote, closed = threading.Event(), threading.Event()

    def write() -> None:
        with database.transaction():
            Note.create(text="one")
            wrote.set()
            assert closed.wait(10)
            Note.create(text="two")

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        assert wrote.wait(10)
        database.close()
        closed.set()
        writing.result(10)
    assert (len(database.peewee._idle), len(database.peewee._used)) == (0, 0)
    assert texts(database) == {"one", "two"}, "it can be used again"
    assert (len(database.peewee._idle), len(database.peewee._used)) == (0, 0)


# -- opening ---------------------------------------------------------------------------------------------------------


def test_without_a_url_it_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    database = Database("", tmp_path)
    assert database.path == tmp_path / "clawdeploy.db"
    assert database.label == f"SQLite {tmp_path / 'clawdeploy.db'}"
    assert not database.path.exists(), "making one must connect to nothing"


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Database("sqlite:///bots.db", tmp_path).path == tmp_path / "bots.db"


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    database = Database("", tmp_path)
    with database.reading():
        pragmas = {
            name: database.peewee.execute_sql(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    database.close()


def test_the_log_of_sqlite_stays_small(tmp_path: Path) -> None:
    database = Database("", tmp_path)
    with database.transaction():
        database.peewee.execute_sql("CREATE TABLE noise (text TEXT)")
    for number in range(100):
        with database.transaction():
            database.peewee.execute_sql("INSERT INTO noise VALUES (?)", [str(number) * 20_000])
    assert tmp_path.joinpath("clawdeploy.db-wal").stat().st_size < 1.5 * 2**20
    database.close()


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("postgresql://ann:hunter2@db.example.org:5433/bots", "PostgreSQL on db.example.org/bots"),
        ("postgres:///bots?host=/run/postgresql", "PostgreSQL on a local socket/bots"),
    ],
)
def test_its_label_shows_no_password(url: str, label: str, tmp_path: Path) -> None:
    assert Database(url, tmp_path).label == label


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:", "sqlite://file.db"])
def test_a_sqlite_url_that_names_no_file_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must name a file"):
        Database(url, tmp_path)


@pytest.mark.parametrize("option", ["nonsense=1", "max_connections=3", "ssl_mode=require"])
def test_an_unknown_option_of_postgresql_is_refused_without_the_password(option: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Database(f"postgresql://ann:hunter2@localhost/bots?{option}", tmp_path)
    assert option.partition("=")[0] in refused.value.detail
    assert "hunter2" not in refused.value.detail


def test_user_and_password_may_hold_anything(tmp_path: Path) -> None:
    database = Database("postgresql://a%40b:p%2F%3A%40s@localhost/bots?connect_timeout=2", tmp_path)
    parameters = database.peewee.connect_params
    assert (parameters["user"], parameters["password"], parameters["connect_timeout"]) == ("a@b", "p/:@s", 2)


# -- failures --------------------------------------------------------------------------------------------------------


def test_connections_that_the_server_ended_meanwhile_are_replaced(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url, tmp_path)
    with database.reading():
        pass
    end_connections(postgres_url)
    # Whether the first call notices before or after it sent its query is a matter of microseconds.
    with suppress(DatabaseUnavailable):
        ask(database)
    ask(database)
    database.close()


def ask(database: Database) -> None:
    with database.reading():
        assert database.peewee.execute_sql("SELECT 1").fetchone() == (1,)


def end_connections(url: str) -> None:
    """Let the server end all connections to a database but our own, as it does when it is restarted."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_connection_that_breaks_in_a_transaction_is_said(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url, tmp_path)
    for block in (database.transaction, database.alone):
        with pytest.raises(DatabaseUnavailable) as caught:
            lose_connection(database, postgres_url, block)
        assert "not available right now" in caught.value.detail
        with block():
            ask(database)
    database.close()


def lose_connection(database: Database, url: str, block: Callable[[], AbstractContextManager[None]]) -> None:
    with block():
        ask(database)
        end_connections(url)
        ask(database)


def test_a_server_that_nobody_runs_is_said(tmp_path: Path) -> None:
    database = Database("postgresql://ann:hunter2@127.0.0.1:1/bots", tmp_path)
    with pytest.raises(DatabaseUnavailable) as caught, database.reading():
        pass
    assert "hunter2" not in caught.value.detail
    with pytest.raises(DatabaseUnavailable), database.alone():
        pass


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "clawdeploy.db").write_bytes(b"This is a letter to my aunt, not a database. " * 100)
    database = Database("", tmp_path)
    with pytest.raises(DatabaseUnavailable, match="not a database"), database.reading():
        database.peewee.get_tables()
    database.close()


@pytest.mark.parametrize("blocked", ["file", "folder"])
def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, blocked: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / ("file" if blocked == "file" else "x" * 300) / "clawdeploy.db"
    database = Database(f"sqlite:///{path}", tmp_path)
    with pytest.raises(DatabaseUnavailable, match="cannot be written"), database.alone():
        pass


def test_a_missing_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'deep' / 'bots.db'}", tmp_path)
    with database.alone():
        pass
    assert (tmp_path / "new" / "deep").stat().st_mode & 0o777 == 0o700


# -- alone -----------------------------------------------------------------------------------------------------------


def test_one_at_a_time(database_url: str, tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        # Each its own pool, as processes have.
        database = Database(database_url, tmp_path)
        with database.alone():
            inside.append(number)
            most.append(len(inside))
            threading.Event().wait(0.005)
            inside.remove(number)
        database.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(enter, range(12)))
    assert most == [1] * 12


def test_a_failure_inside_lets_the_next_one_in(database: Database) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), database.alone():
            raise KeyError
    with database.alone():
        pass


def test_work_that_takes_long_is_given_its_time(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url, tmp_path)

    def timeout() -> Any:
        return database.peewee.execute_sql("SHOW statement_timeout").fetchone()[0]

    with database.alone(120):
        assert timeout() == "2min"
    with database.reading():
        assert timeout() == "4s"
    database.close()
