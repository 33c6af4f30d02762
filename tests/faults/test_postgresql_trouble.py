"""PostgreSQL fails in every way that a proxy in front of it can bring about, and in those that it has itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.databases import PostgresServer, running_postgres
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.site import Site
from tests.faults.troubles import broken, frozen, read_only, restarted, through, without_a_free_connection

pytestmark = [pytest.mark.engine, pytest.mark.postgres, pytest.mark.timeout(400)]

Record = Callable[[str, object], None]

LASTS = 9.0
"""Longer than a claim and the lease hold without being renewed."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as made:
        yield made


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[FaultProxy]:
    made = FaultProxy(("127.0.0.1", 0), server.address)
    yield made
    made.close()


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.create_database()


@pytest.fixture
def site(tmp_path: Path, url: str, proxy: FaultProxy) -> Iterator[Site]:
    made = Site(tmp_path, DATABASE_URL=through(proxy, url))
    yield made
    made.close()


def test_one_that_hangs_is_given_up_and_works_again(
    site: Site, proxy: FaultProxy, seed: int, record_property: Record
) -> None:
    record_property("hang", site.endures(broken(proxy, Fault.HANG), 6.0, seed))


@pytest.mark.prove
@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_happens_on_the_way_to_it(
    site: Site, proxy: FaultProxy, fault: Fault, seed: int, record_property: Record
) -> None:
    record_property(fault, site.endures(broken(proxy, fault), LASTS, seed, reading=12))


@pytest.mark.prove
@pytest.mark.parametrize("fault", [Fault.DROP, Fault.HANG, Fault.TRUNCATE])
@pytest.mark.parametrize("only", [b"COMMIT", b"BEGIN", b'UPDATE "instance"', b'INSERT INTO "instance"'])
def test_whatever_happens_to_one_kind_of_statement(
    site: Site, proxy: FaultProxy, fault: Fault, only: bytes, seed: int, record_property: Record
) -> None:
    """A commit whose answer is lost is stored, and nobody was promised it."""
    record_property(f"{fault} {only.decode()}", site.endures(broken(proxy, fault, only), LASTS, seed))


# -- what it does itself ---------------------------------------------------------------------------------------------


Trouble = Callable[[PostgresServer, str], AbstractContextManager[None]]


@pytest.mark.prove
@pytest.mark.parametrize("trouble", [restarted, frozen, read_only, without_a_free_connection])
def test_whatever_it_does_itself(
    site: Site, server: PostgresServer, url: str, trouble: Trouble, seed: int, record_property: Record
) -> None:
    record_property(trouble.__name__, site.endures(trouble(server, url), LASTS, seed, reading=12))


def test_one_that_can_only_be_read_is_read(site: Site, server: PostgresServer, url: str) -> None:
    bot = site.create()
    with read_only(server, url):
        site.call("GET", "/api/instances")
        for path in ("/api/instances", f"/api/instances/{bot}", f"/api/instances/{bot}/logs"):
            assert site.call("GET", path).status == 200
        assert site.call("POST", f"/api/instances/{bot}/stop").status == 503
        assert site.get(f"/api/instances/{bot}")["instance"]["status"] == "running"
    for action in ("stop", "start") * 3:
        assert site.try_(action, bot), "no connection that was made meanwhile is used by any worker"
