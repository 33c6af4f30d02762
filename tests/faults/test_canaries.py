"""More than 200 secrets go in by every field, and none comes out anywhere: not in an answer, a log, a file, a dump.

One walk (:mod:`tests.faults.canary_walk`) through all routes, operations and failures that can be forced.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.databases import PostgresServer, running_postgres
from tests.faults import canary_sinks
from tests.faults.canaries import MARK, Canaries
from tests.faults.canary_walk import Walk
from tests.faults.leaks import written
from tests.plugins.clerk.frontend_api import Instance
from tests.plugins.clerk.surroundings import serving
from tests.plugins.docker_runtime.conftest import busybox_image, witness
from tests.web.isolation import Served as Route
from tests.web.isolation import served as served_by
from tests.web.people import Site
from tests.web.serving import Answer, Served

__all__ = ["busybox_image", "witness"]

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

AT_LEAST = 200


def routes(folder: Path) -> list[Route]:
    """Return every address of the application with each method that it has a responder for."""
    site = Site(folder, SYNC_SECRET="x", METRICS_SECRET="x")
    try:
        return [one for one in served_by(site) if one.own]
    finally:
        site.close()


def role(postgres: PostgresServer, canaries: Canaries) -> str:
    """Make a database and whoever uses it, with a password to be found again; return the URL."""
    url = postgres.create_database()
    password, name = canaries.key("password of the database"), url.rpartition("/")[2]
    literal = password.replace("'", "''")
    postgres.execute(f"CREATE ROLE canary LOGIN PASSWORD '{literal}'")
    postgres.execute(f'ALTER DATABASE "{name}" OWNER TO canary')
    host, port = postgres.address
    return f"postgresql://canary:{quote(password, safe='')}@{host}:{port}/{name}"


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.usefixtures("busybox_image")
def test_none_of_those_is_found_that_go_in_by_a_route(tmp_path: Path, undo: ExitStack) -> None:
    """The part of it that takes seconds."""
    canaries, place, began = Canaries(), tmp_path / "server", int(time.time())
    place.mkdir()
    walk = Walk(place, canaries)
    undo.callback(walk.close)
    walk.bots()
    walk.forms()
    walk.nonsense()
    walk.spray(routes(tmp_path / "site"))
    walk.operators()
    found = canaries.found(canary_sinks.of_the_engine(walk, began))
    found += canaries.found(canary_sinks.of_the_server(walk))
    found += canaries.found(canary_sinks.of_the_disk(walk, None, ""))
    assert found == [], "\n".join(found)
    assert len(canaries) >= AT_LEAST


@pytest.mark.prove
def test_nor_any_of_clerk(tmp_path: Path, undo: ExitStack) -> None:
    canaries = Canaries()
    api = undo.enter_context(serving(Instance(origin="http://127.0.0.1:8080")))
    settings = {**api.settings(), "CLERK_WEBHOOK_SIGNING_SECRET": canaries.webhook_secret("the webhook's setting")}
    server = undo.enter_context(closing(Served(tmp_path, WORKERS="1", SIGN_IN_LIMIT="0", **settings)))
    good = api.instance.token()
    canaries.issued[good] = "a session token"
    answers: list[Answer] = []
    for value in (good, f"{good}{canaries.plain('end of a token')}", canaries.plain("a token")):
        for path in ("/api/instances", "/dashboard", "/"):
            answers.append(server.call("GET", path, Authorization=f"Bearer {value}"))
            cookies = f"__session={value}; __client_uat=1; __clerk_db_jwt={canaries.plain('another cookie')}"
            answers.append(server.call("GET", path, Cookie=cookies, Authorization="", Accept="text/html"))
        # As a cookie, which a production instance takes. What somebody puts into an address leads back to that address.
        cookies = f"__clerk_handshake={canaries.plain('handshake')}; __clerk_handshake_nonce={canaries.plain('nonce')}"
        answers.append(server.call("GET", "/dashboard", Cookie=cookies, Authorization="", Accept="text/html"))
    for name in ("svix-id", "svix-signature"):
        signed = {"svix-id": "1", "svix-timestamp": str(int(time.time())), "svix-signature": "v1,x"}
        headers = {**signed, name: canaries.plain(f"header {name}")}
        answers.append(server.call("POST", "/api/clerk/webhook", b'{"type": "x"}', **headers))
    assert {answer.status for answer in answers} >= {200, 401}
    server.stop()
    sinks = [("the log", server.log.read_bytes()), ("what was announced", server.announced.encode())]
    sinks += [(f"answer {n}", repr(one.headers.items()).encode() + one.body) for n, one in enumerate(answers)]
    sinks += [(str(file), file.read_bytes()) for file in (tmp_path / "data").rglob("*") if file.is_file()]
    found = canaries.found(sinks)
    assert found == [], "\n".join(found)


@pytest.mark.usefixtures("busybox_image")
@pytest.mark.parametrize(
    "database",
    [
        pytest.param("sqlite", marks=pytest.mark.prove),
        pytest.param("postgresql", marks=[pytest.mark.prove, pytest.mark.postgres]),
    ],
)
def test_none_of_them_is_found_anywhere(tmp_path: Path, undo: ExitStack, database: str) -> None:
    canaries, postgres, url = Canaries(), None, ""
    if database == "postgresql":
        postgres = undo.enter_context(running_postgres())
        url = role(postgres, canaries)
    place = tmp_path / "server"
    place.mkdir()
    began = int(time.time())
    walk = Walk(place, canaries, url)
    undo.callback(walk.close)
    walk.bots()
    walk.changes()
    walk.forms()
    walk.nonsense()
    walk.spray(routes(tmp_path / "site"))
    walk.operators()
    walk.engine_trouble()
    walk.crash()
    found = canaries.found(canary_sinks.of_the_engine(walk, began))
    backup = walk.commands()
    found += canaries.found([("the backup", backup.read_bytes())])
    found += canaries.found(canary_sinks.of_the_disk(walk, postgres, url))
    walk.operators()
    walk.remove()
    found += canaries.found(canary_sinks.of_the_engine(walk, began))
    found += canaries.found(canary_sinks.of_the_server(walk))
    found += canaries.found(canary_sinks.of_the_disk(walk, postgres, url))
    assert found == [], "\n".join(found)
    assert len(canaries) >= AT_LEAST
    assert "defect of the server" not in walk.served.log.read_text()


def test_one_is_found_however_it_is_written_and_also_in_part() -> None:
    canaries = Canaries()
    for made in (canaries.key("here"), canaries.telegram("here"), canaries.discord("here"), canaries.plain("here")):
        assert made.count(MARK) >= 2
        for form in written(made):
            for part in (form, form[: len(form) * 2 // 3], form[len(form) // 3 :]):
                assert canaries.found([("a place", b"before " + part + b" after")]), form
    assert canaries.found([("a place", b"nothing of them")]) == []
