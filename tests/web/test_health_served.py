"""The health of a real server is told within two seconds, whatever hangs."""

import json
import logging
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.testing import eventually
from tests.databases import PostgresServer, running_postgres
from tests.faults.troubles import frozen, full, locked
from tests.private_engine import PrivateEngine
from tests.web.serving import HOST, Served

pytestmark = pytest.mark.system

WITHIN = 2.0
AT_ONCE = 24

logger = logging.getLogger(__name__)


def asked(served: Served) -> tuple[int, dict[str, Any], float]:
    """Ask for the health: status, body and how many seconds it took."""
    began = time.monotonic()
    answer = served.call("GET", "/api/health")
    return answer.status, json.loads(answer.body), time.monotonic() - began


def asked_by_many(served: Served) -> list[tuple[int, dict[str, Any], float]]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        said = [each.result() for each in [threads.submit(asked, served) for _ in range(AT_ONCE)]]
    slowest = max(seconds for _, _, seconds in said)
    assert slowest < WITHIN, slowest
    return said


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@contextmanager
def silent_engine() -> Iterator[str]:
    """Give the address of an engine that accepts connections and never answers."""
    with socket.socket() as engine:
        engine.bind((HOST, 0))
        engine.listen(128)
        yield f"tcp://{HOST}:{engine.getsockname()[1]}"


@pytest.mark.postgres
def test_a_postgresql_and_an_engine_that_hang(tmp_path: Path, postgres: PostgresServer) -> None:
    """Both at once, so that to wait for one after the other would be too long."""
    settings = {"DATABASE_URL": postgres.create_database(), "RUNTIME": "docker", "METRICS_SECRET": "secret"}
    with (
        silent_engine() as engine,
        closing(Served(tmp_path, WORKERS="1", DOCKER_HOST=engine, **settings)) as served,
    ):
        status, said, _ = asked(served)
        assert (status, said["docker"], said["database"]) == (200, "disconnected", "connected")
        postgres.freeze()
        try:
            # What was found a second before is still good.
            assert eventually(lambda: {status for status, _, _ in asked_by_many(served)} == {503}, 5)
            for _, said, _ in asked_by_many(served):
                assert (said["docker"], said["database"]) == ("disconnected", "disconnected")
            began = time.monotonic()
            metrics = served.call("GET", "/metrics", Authorization="Bearer secret")
            assert (metrics.status, b"clawdeploy_database_connected 0.0" in metrics.body) == (200, True)
            assert time.monotonic() - began < WITHIN
        finally:
            postgres.thaw()
        assert eventually(lambda: asked(served)[0] == 200, 15)
        assert served.stop() == 0


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Give a file system of the test's own, in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "clawdeploy-tests", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def longest(served: Served, seconds: float) -> tuple[float, set[int]]:
    """Ask again and again for a while, from many at once; return the longest answer and all statuses."""
    slowest, statuses, until = 0.0, set(), time.monotonic() + seconds
    while time.monotonic() < until:
        said = asked_by_many(served)
        slowest = max(slowest, *(took for _, _, took in said))
        statuses |= {status for status, _, _ in said}
    return slowest, statuses


@pytest.mark.prove
@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_a_real_engine_that_is_stopped_and_a_database_that_hangs_or_has_no_room(
    tmp_path: Path, private_engine: PrivateEngine, postgres: PostgresServer, database: str
) -> None:
    """From the first moment on, while nobody has noticed yet that it hangs."""
    with small_disk(tmp_path / "disk") as disk, ExitStack() as undo:
        file = disk / "clawdeploy.db"
        on_sqlite = database == "sqlite"
        url = f"sqlite:///{file}" if on_sqlite else postgres.create_database()
        settings = {"DATABASE_URL": url, "RUNTIME": "docker", "SYNC_SECONDS": "1"}
        served = undo.enter_context(closing(Served(tmp_path, DOCKER_HOST=private_engine.address, **settings)))
        assert eventually(lambda: asked(served)[1]["docker"] == "connected", 10)
        undo.callback(private_engine.thaw)
        private_engine.freeze()
        slowest, statuses = longest(served, 8)
        logger.info("%s, engine stopped: longest %.2f s", database, slowest)
        assert statuses == {200}
        with full(file) if on_sqlite else frozen(postgres, url):
            slowest, statuses = longest(served, 12)
            logger.info("%s, database in trouble as well: longest %.2f s", database, slowest)
            assert statuses == ({200} if on_sqlite else {200, 503}), "what is on a full disk can be read"
        private_engine.thaw()
        assert eventually(lambda: asked(served)[1]["docker"] == "connected", 20)
        assert eventually(lambda: asked(served)[0] == 200, 20)


@pytest.mark.prove
def test_a_locked_sqlite_file_is_read_and_shows_by_the_age_of_the_sync(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="1", SYNC_SECONDS="1")) as served:
        assert eventually(lambda: asked(served)[1]["syncAgeSeconds"] is not None, 10)
        with locked(tmp_path / "data" / "clawdeploy.db"):
            assert eventually(lambda: asked_by_many(served)[0][1]["syncAgeSeconds"] >= 4, 20)
            status, said, _ = asked(served)
            assert (status, said["database"]) == (200, "connected")
        assert eventually(lambda: asked(served)[1]["syncAgeSeconds"] <= 2, 15)
