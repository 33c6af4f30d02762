"""A database that is not there when a server, or one of its processes, starts."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from clawdeploy.core.testing import eventually
from tests.databases import PostgresServer, running_postgres
from tests.faults.troubles import frozen, locked, restarted
from tests.platforms import memory_platform
from tests.web.serving import Served, free_port, run_serve

GIVEN_UP_WITHIN = 15.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_postgres() as made:
        yield made


def refuses(folder: Path, url: str, why: str) -> None:
    """Start a server, which has to say why it cannot in a sentence, and to end."""
    began = time.monotonic()
    ended = run_serve(folder, DATABASE_URL=url, PORT=str(free_port()))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: The database is not available right now (")
    assert why in ended.stderr
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - began < GIVEN_UP_WITHIN


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("trouble", "why"),
    [(restarted, "refused"), pytest.param(frozen, "it does not answer", marks=pytest.mark.prove)],
)
def test_without_postgresql_it_says_so(
    tmp_path: Path,
    server: PostgresServer,
    trouble: Callable[[PostgresServer, str], AbstractContextManager[None]],
    why: str,
) -> None:
    url = server.create_database()
    memory_platform(tmp_path / "data", DATABASE_URL=url).close()
    with trouble(server, url):
        refuses(tmp_path, url, why)


@pytest.mark.prove
def test_while_another_program_writes_to_sqlite_it_says_so(tmp_path: Path) -> None:
    file = tmp_path / "bots.db"
    memory_platform(tmp_path / "data", DATABASE_URL=f"sqlite:///{file}").close()
    with locked(file):
        refuses(tmp_path, f"sqlite:///{file}", "locked")


@pytest.mark.postgres
@pytest.mark.prove
def test_a_process_that_is_replaced_meanwhile_comes_when_the_database_answers(
    tmp_path: Path, server: PostgresServer
) -> None:
    url = server.create_database()
    with closing(Served(tmp_path, DATABASE_URL=url, WORKERS="2")) as served:
        lost = min(served.ready(2))
        with frozen(server, url):
            os.kill(lost, signal.SIGKILL)
            assert eventually(lambda: "A server process cannot start" in served.log.read_text(), 30)
            assert served.call("GET", "/api/instances").status == 503
        assert eventually(lambda: "A server process could start again" in served.log.read_text(), 60)
        assert served.log.read_text().count("A server process cannot start") == 1
        assert len(served.workers()) == 2
        # The other one asks the database again a second after it did not answer.
        assert eventually(lambda: all(served.call("GET", "/api/instances").status == 200 for _ in range(6)), 5)
        assert served.stop() == 0
