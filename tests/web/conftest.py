"""What the tests of the web share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import PostgresServer
from tests.web.people import METRICS_SECRET, SYNC_SECRET, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server on SQLite."""
    site = Site(tmp_path, SYNC_SECRET=SYNC_SECRET, METRICS_SECRET=METRICS_SECRET)
    yield site
    site.close()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on SQLite, and one on PostgreSQL; all tests of a module share them."""
    settings: dict[str, Any] = {"SYNC_SECRET": SYNC_SECRET, "METRICS_SECRET": METRICS_SECRET}
    server: PostgresServer | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        settings["DATABASE_URL"] = server.create_database()
    site = Site(tmp_path_factory.mktemp("site"), **settings)
    yield site
    site.close()
    if server is not None:
        server.drop_database(settings["DATABASE_URL"])
