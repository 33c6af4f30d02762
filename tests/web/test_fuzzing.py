"""What Schemathesis makes of the OpenAPI document, sent to the application: no defect, and every answer as documented.

It knows the document and nothing else. So that it does not only meet instances that are not there, some of the ids
that it invents are replaced by real ones, and some of the cursors by such as the server gave out.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.databases import PostgresServer
from tests.platforms import GOOD
from tests.web.people import SYNC_SECRET, Site

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
FEW_LIVE, MOST_LIVE = 3, 20
"""How many instances there are at least and at most."""
QUICK = 150
WHOLE = 10_000
"""Requests on each database."""


class Fuzzed:
    """A site and what Schemathesis makes of its document."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.statuses: Counter[int] = Counter()
        self.reached: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._headers = {**site.program().headers, "X-Sync-Secret": SYNC_SECRET.encode().decode("latin-1")}
        self.schema = schemathesis.openapi.from_wsgi("/api/openapi.json", site.app)

    def send(self, case: schemathesis.Case[Any], mode: GenerationMode) -> None:
        """Send a request that was made up, some of it replaced by what is there; raises what is wrong about it."""
        live = [one["id"] for one in self.site.instances()]
        if len(live) < FEW_LIVE:
            live.append(self.site.platform.instances.create("ann", GOOD).id)
        # What is forbidden about a request may be its id.
        if mode is GenerationMode.POSITIVE and self._random.random() < 0.7:
            if "instance_id" in case.path_parameters:
                case.path_parameters["instance_id"] = self._random.choice(live)
            if "cursor" in case.query:
                case.query["cursor"] = self.site.platform.instances.list("ann", limit=1).next_cursor
        if len(live) > MOST_LIVE:
            for one in live[FEW_LIVE:]:
                self.site.platform.instances.delete("ann", one)
        answer = case.call(headers=self._headers)
        self.statuses[answer.status_code] += 1
        self.reached[f"{case.method} {case.operation.path}"] += 200 <= answer.status_code < 400
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code < 500

    def run(self, requests: int) -> None:
        """Send about so many requests, spread over all calls; half of them are what the document forbids."""
        operations = [found.ok() for found in self.schema.get_all_operations() if isinstance(found, Ok)]
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        each = requests // (len(operations) * len(modes)) + 1
        for operation, mode in itertools.product(operations, modes):
            self._fuzz(operation, mode, each)

    def _fuzz(self, operation: Any, mode: GenerationMode, times: int) -> None:
        @hypothesis.seed(self._random.randrange(2**32))
        @settings(max_examples=times, deadline=None, database=None, suppress_health_check=list(HealthCheck),
                  phases=[Phase.generate])  # fmt: skip
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def send(case: schemathesis.Case[Any]) -> None:
            self.send(case, mode)

        try:
            send()
        except hypothesis.errors.Unsatisfiable:
            # A call that takes nothing cannot be given anything that is forbidden.
            assert mode is GenerationMode.NEGATIVE


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.prove])])
def fuzzed(request: pytest.FixtureRequest, tmp_path: Path, seed: int) -> Iterator[Fuzzed]:
    """A site on each database, on which nothing limits how much is asked for."""
    settings: dict[str, Any] = {"SYNC_SECRET": SYNC_SECRET, "RATE_LIMIT": "0", "SIGN_IN_LIMIT": "0"}
    server: PostgresServer | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        settings["DATABASE_URL"] = server.create_database()
    site = Site(tmp_path, **settings)
    yield Fuzzed(site, seed)
    site.close()
    if server is not None:
        server.drop_database(settings["DATABASE_URL"])


def test_some_requests_of_all_kinds(fuzzed: Fuzzed) -> None:
    fuzzed.run(QUICK)
    # There are not that many ways to ask for what takes nothing.
    assert fuzzed.statuses.total() > QUICK / 2
    assert {200, 400, 404} <= set(fuzzed.statuses)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_ten_thousand_requests(fuzzed: Fuzzed) -> None:
    """Each call succeeds some time, but for the sign-in link: nobody can make one up."""
    while fuzzed.statuses.total() < WHOLE:
        fuzzed.run(WHOLE - fuzzed.statuses.total())
    assert {call for call, times in fuzzed.reached.items() if not times} == {
        "GET /sign-in/{token}",
        "POST /sign-in/{token}",
    }
    assert {200, 201, 303, 400, 404, 410} <= set(fuzzed.statuses)
