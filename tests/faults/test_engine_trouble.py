"""The engine is in trouble: reads go on, changes are refused in time and kept, and all is made good when it is back."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clawdeploy.core.testing import eventually
from tests.faults.proxy import Fault
from tests.faults.troubled_site import Took, TroubledSite

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ANSWERS_WITHIN = 5.0
READS_WITHIN = 0.3
HEALTH_WITHIN = 2.0
RECOVERS_WITHIN = 10.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TroubledSite]:
    made = TroubledSite(tmp_path_factory.mktemp("trouble"))
    try:
        yield made
    finally:
        made.close()


class Fleet:
    """Five bots, each of which is asked for something else; the roles go round, so that it can be asked again."""

    def __init__(self, site: TroubledSite) -> None:
        self.site = site
        self.roles = site.made(5)
        self.deleted = ""

    def changes(self) -> dict[str, Callable[[], Took]]:
        """Return what to ask for, by what it is."""
        call = self.site.call
        stop, start, restart, patch, delete = self.roles
        return {
            "stop": lambda: call("POST", f"/api/instances/{stop}/stop"),
            "start": lambda: call("POST", f"/api/instances/{start}/start"),
            "restart": lambda: call("POST", f"/api/instances/{restart}/restart"),
            "patch": lambda: call("PATCH", f"/api/instances/{patch}", {"status": "stopped", "name": "renamed"}),
            "delete": lambda: call("DELETE", f"/api/instances/{delete}"),
            "create": lambda: self.site.create("another"),
        }

    def wished(self, created: str) -> dict[str, str]:
        """Return what is so once all changes are made, and let the roles go round."""
        stop, start, restart, patch, self.deleted = self.roles
        self.roles = [start, patch, restart, created, stop]
        return {stop: "stopped", start: "running", restart: "running", patch: "stopped", created: "running"}


@pytest.fixture(scope="module")
def fleet(site: TroubledSite) -> Fleet:
    return Fleet(site)


def refused_in_time(took: Took) -> None:
    assert took.answer.status == 503, (took.answer.status, took.answer.body)
    assert took.answer.problem()["code"] in ("runtime_unavailable", "runtime_failure")
    assert int(took.answer.headers["Retry-After"]) > 0
    assert took.seconds < ANSWERS_WITHIN


def created_in_time(took: Took) -> dict[str, Any]:
    assert took.answer.status == 201, (took.answer.status, took.answer.body)
    made: dict[str, Any] = json.loads(took.answer.body)["instance"]
    if made["status"] not in ("pending", "creating"):
        assert (made["status"], made["statusReason"]) == ("error", "runtime_unavailable")
    assert made["operation"] == "create"
    assert took.seconds < ANSWERS_WITHIN
    return made


@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_the_engine_does_reads_go_on_and_changes_are_kept(
    site: TroubledSite, fleet: Fleet, fault: Fault, record_property: Any
) -> None:
    runs = fleet.roles[2]
    before = site.bot(runs)
    changes = fleet.changes()
    with ThreadPoolExecutor(8) as threads, site.reading(runs) as reads:
        site.proxy.break_(fault)
        logs = threads.submit(site.call, "GET", f"/api/instances/{runs}/logs")
        asked = {name: threads.submit(ask) for name, ask in changes.items()}
        took = {name: each.result() for name, each in asked.items()}
        refused_in_time(logs.result())
        created = created_in_time(took.pop("create"))
        for each in took.values():
            refused_in_time(each)
        again = site.call("GET", f"/api/instances/{runs}/logs")
        refused_in_time(again)
        during = site.bot(runs)
        site.proxy.mend()
        mended = time.monotonic()
        wished = fleet.wished(created["id"])
        recovered = eventually(lambda: site.is_as_wished(wished), RECOVERS_WITHIN)
        recovery = time.monotonic() - mended
    figures = {
        "p99": round(reads.p99(), 3), "worst": reads.worst(), "recovered": round(recovery, 2),
        "answered": {name: round(each.seconds, 2) for name, each in took.items()} | {"logs": round(again.seconds, 2)},
    }  # fmt: skip
    print(fault, figures)  # noqa: T201
    record_property("figures", figures)
    assert not site.has_container(fleet.deleted)
    assert recovered, (site.bots(), site.states(), wished)
    assert reads.p99() < READS_WITHIN, figures
    assert max(reads.seconds["health"]) < HEALTH_WITHIN, figures
    assert during["status"] == before["status"] == "running"
