"""PostgreSQL fails in every way that a proxy in front of it can bring about, and in those that it has itself."""

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.databases import PostgresServer, running_postgres
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.site import Site

pytestmark = [pytest.mark.engine, pytest.mark.postgres, pytest.mark.timeout(400)]

LASTS = 8.0


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
def site(tmp_path: Path, server: PostgresServer, proxy: FaultProxy) -> Iterator[Site]:
    url = server.create_database()
    parts = urlsplit(url)
    through = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.address[1]}")).geturl()
    made = Site(tmp_path, DATABASE_URL=through)
    yield made
    made.close()


def lasts(seconds: float) -> None:
    threading.Event().wait(seconds)


def report(site: Site, threads: int) -> None:
    for reads in (True, False):
        took = sorted(asked.seconds for asked in site.asked if asked.reads == reads)
        print("reads" if reads else "changes", len(took), [round(x,2) for x in took[-5:]])
    from collections import Counter
    print(Counter((a.reads, a.status, a.code, a.wrong[:60]) for a in site.asked), "threads", threads)


@pytest.mark.prove
@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_happens_on_the_way_to_it(site: Site, proxy: FaultProxy, fault: Fault, request: pytest.FixtureRequest) -> None:
    site.create("before")
    with site.clients(request.config.getoption("--seed")):
        lasts(1.0)
        proxy.break_(fault)
        lasts(LASTS)
        threads = site.threads()
        proxy.mend()
        lasts(2.0)
    report(site, threads)
    site.answered_well()
    again = site.works_again(5)
    settled = site.settles()
    print(fault, again, settled, proxy.injected)
