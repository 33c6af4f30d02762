"""The health of a real server is told within two seconds, whatever hangs."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.testing import eventually
from tests.databases import PostgresServer, running_postgres
from tests.faults.troubles import locked
from tests.web.serving import HOST, Served

pytestmark = pytest.mark.system

WITHIN = 2.0
AT_ONCE = 24


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


@pytest.mark.prove
def test_a_locked_sqlite_file_is_read_and_shows_by_the_age_of_the_sync(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="1", SYNC_SECONDS="1")) as served:
        assert eventually(lambda: asked(served)[1]["syncAgeSeconds"] is not None, 10)
        with locked(tmp_path / "data" / "clawdeploy.db"):
            assert eventually(lambda: asked_by_many(served)[0][1]["syncAgeSeconds"] >= 4, 20)
            status, said, _ = asked(served)
            assert (status, said["database"]) == (200, "connected")
        assert eventually(lambda: asked(served)[1]["syncAgeSeconds"] <= 2, 15)
