"""The engine is in trouble: reads go on, changes are refused in time and kept, and all is made good when it is back."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.testing import eventually
from tests.browser.sites import STANDIN_IMAGE
from tests.faults.proxy import Fault
from tests.faults.troubled_site import Reads, Took, TroubledSite
from tests.private_engine import PrivateEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ANSWERS_WITHIN = 5.0
READS_WITHIN = 0.3
HEALTH_WITHIN = 2.0
RECOVERS_WITHIN = 10.0
AT_ONCE = 1.0
"""How long a refusal takes of an engine that is known not to answer."""
MOST_THREADS = 32 + 32 + 36
"""Of a worker: those that answer requests, those that may be inside the engine, and room for those that look after."""


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

    def is_as_wished(self, wished: Mapping[str, str]) -> bool:
        """Say whether all is so, and nothing is left of what was deleted."""
        return self.site.is_as_wished(wished) and not self.site.has_container(self.deleted)


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


@dataclass
class Seen:
    """What was measured while the engine was in trouble and after it."""

    took: dict[str, Took]
    created: dict[str, Any]
    during: dict[str, Any]
    recovered: float | None
    reads: Reads

    def figures(self) -> dict[str, Any]:
        """Return it for the report of a run, in seconds."""
        answered = {name: round(each.seconds, 2) for name, each in self.took.items()}
        return {
            "p99": self.reads.p99(), "worst": self.reads.worst(), "answered": answered, "recovered": self.recovered,
        }  # fmt: skip


def go_through(site: TroubledSite, fleet: Fleet, trouble: Callable[[], object], end: Callable[[], object]) -> Seen:
    """Ask for everything while there is trouble, and wait until all of it is made after its end."""
    runs = fleet.roles[2]
    logs = partial(site.call, "GET", f"/api/instances/{runs}/logs")
    with ThreadPoolExecutor(8) as threads, site.reading(runs) as reads:
        trouble()
        calls: dict[str, Callable[[], Took]] = {**fleet.changes(), "logs": logs}
        asked = {name: threads.submit(ask) for name, ask in calls.items()}
        took = {name: each.result() for name, each in asked.items()}
        took["logs again"] = logs()
        created = created_in_time(took["create"])
        during = site.bot(runs)
        end()
        ended = time.monotonic()
        wished = fleet.wished(created["id"])
        is_made = eventually(lambda: fleet.is_as_wished(wished), RECOVERS_WITHIN)
        recovered = round(time.monotonic() - ended, 2)
    return Seen(took, created, during, recovered if is_made else None, reads)


def assert_kept(seen: Seen, before: dict[str, Any]) -> None:
    """Check that reads went on, that all was refused in time and made afterwards, and that what was known stayed."""
    figures = seen.figures()
    for name, took in seen.took.items():
        if name != "create":
            refused_in_time(took)
    assert seen.took["logs again"].seconds < AT_ONCE, figures
    assert (seen.during["status"], seen.during["statusAsOf"]) == ("running", before["statusAsOf"])
    assert figures["p99"] < READS_WITHIN, figures
    assert max(seen.reads.seconds["health"]) < HEALTH_WITHIN, figures
    assert seen.recovered is not None, figures


@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_the_engine_does_reads_go_on_and_changes_are_kept(
    site: TroubledSite, fleet: Fleet, fault: Fault, record_property: Any
) -> None:
    before = site.bot(fleet.roles[2])
    seen = go_through(site, fleet, lambda: site.proxy.break_(fault), site.proxy.mend)
    record_property("figures", seen.figures())
    assert site.proxy.injected > 0
    assert_kept(seen, before)
    assert eventually(lambda: site.bot(fleet.roles[2])["statusAsOf"] > before["statusAsOf"], 5)


def test_an_engine_that_only_says_that_it_is_there_is_answered_for_in_time(site: TroubledSite, fleet: Fleet) -> None:
    before = site.bot(fleet.roles[2])
    seen = go_through(site, fleet, lambda: site.proxy.break_(Fault.HANG, only=b"/v1.41/containers"), site.proxy.mend)
    for name, took in seen.took.items():
        if name != "create":
            refused_in_time(took)
    assert (seen.during["status"], seen.during["statusAsOf"]) == ("running", before["statusAsOf"])
    assert seen.recovered is not None, seen.figures()


CHANGES = {
    "create": rb"POST \S+/containers/create",
    "start": rb"POST \S+/containers/\w+/start",
    "stop": rb"POST \S+/containers/\w+/stop",
    "remove": rb"DELETE \S+/containers/",
}


@pytest.mark.prove
@pytest.mark.parametrize("only", CHANGES)
@pytest.mark.parametrize("fault", list(Fault))
def test_an_engine_that_fails_in_one_thing_only(site: TroubledSite, fleet: Fleet, fault: Fault, only: str) -> None:
    """It answers everything else, so that nobody can know beforehand; what it did and did not say is found again."""
    hit = site.proxy.injected
    with ThreadPoolExecutor(8) as threads:
        site.proxy.break_(fault, CHANGES[only])
        asked = {name: threads.submit(ask) for name, ask in fleet.changes().items()}
        assert eventually(lambda: site.proxy.injected > hit, 10)
        # Answers that were not hit, and tries that follow a failure, have their time.
        time.sleep(2)
        site.proxy.mend()
        took = {name: each.result() for name, each in asked.items()}
    created = json.loads(took.pop("create").answer.body)["instance"]
    wished = fleet.wished(created["id"])
    assert {each.answer.status for each in took.values()} <= {200, 503}, [each.answer.body for each in took.values()]
    if fault is Fault.ERROR:
        # A refusal ends a start: it is the engine's word, and only its owner can know whether it is worth another try.
        assert eventually(lambda: not any(bot["operation"] for bot in site.bots()), RECOVERS_WITHIN)
        for bot in site.bots():
            if bot["status"] == "error":
                assert bot["statusDetail"] == "Docker says: fault"
                assert site.call("PATCH", f"/api/instances/{bot['id']}", {"status": "running"}).answer.status == 200
    assert eventually(lambda: fleet.is_as_wished(wished), RECOVERS_WITHIN), (site.bots(), site.states(), wished)


def test_a_crowd_that_asks_a_hung_engine_keeps_nobody_from_reading(
    site: TroubledSite, fleet: Fleet, record_property: Any
) -> None:
    """Fifty changes at once, most of which are refused because another one of the same bot is not through."""
    settled = {bot["id"]: bot["status"] for bot in site.bots()}
    idle = site.threads()
    site.proxy.break_(Fault.HANG)
    with ThreadPoolExecutor(50) as threads, site.reading(fleet.roles[2]) as reads:
        asked = [
            threads.submit(site.call, "POST", f"/api/instances/{bot}/{'restart' if status == 'running' else 'stop'}")
            for bot, status in settled.items()
            for _ in range(10)
        ]
        most = 0
        while not all(each.done() for each in asked):
            most = max(most, *site.threads())
            time.sleep(0.05)
        took = [each.result() for each in asked]
    site.proxy.mend()
    slowest = max(each.seconds for each in took)
    figures = {"idle": idle, "threads": most, "p99": reads.p99(), "slowest": slowest}
    record_property("figures", figures)
    assert {each.answer.status for each in took} == {503, 409}, figures
    assert sum(each.answer.status == 503 for each in took) == len(settled)
    assert all("Retry-After" in each.answer.headers for each in took)
    assert slowest < ANSWERS_WITHIN, figures
    assert reads.p99() < READS_WITHIN, figures
    assert most < MOST_THREADS, figures
    assert eventually(lambda: site.is_as_wished(settled), RECOVERS_WITHIN), site.bots()


@pytest.mark.prove
def test_fifty_bots_are_asked_for_on_a_hung_engine_and_made_when_it_is_back(
    site: TroubledSite, fleet: Fleet, record_property: Any
) -> None:
    settled = {bot["id"]: bot["status"] for bot in site.bots()}
    site.proxy.break_(Fault.HANG)
    most = 0
    with ThreadPoolExecutor(50) as threads, site.reading(fleet.roles[2]) as reads:
        asked = [threads.submit(site.create, f"crowd {at}") for at in range(50)]
        while not all(each.done() for each in asked):
            most = max(most, *site.threads())
            time.sleep(0.05)
        made = [created_in_time(each.result()) for each in asked]
        after = [site.create(f"late {at}") for at in range(3)]
        made += [created_in_time(each) for each in after]
    site.proxy.mend()
    mended = time.monotonic()
    wished = {**settled, **{bot["id"]: "running" for bot in made}}
    is_made = eventually(lambda: site.is_as_wished(wished), 120)
    figures = {"threads": most, "p99": reads.p99(), "made after": time.monotonic() - mended}
    record_property("figures", figures)
    assert is_made, (figures, site.bots())
    assert reads.p99() < READS_WITHIN, figures
    assert most < MOST_THREADS, figures
    assert max(each.seconds for each in after) < ANSWERS_WITHIN
    for bot in made:
        assert site.call("DELETE", f"/api/instances/{bot['id']}").answer.status == 200


@pytest.mark.prove
def test_an_engine_that_answers_pings_and_hangs_in_everything_else_takes_no_more_threads_than_there_are_places(
    site: TroubledSite, fleet: Fleet, record_property: Any
) -> None:
    settled = {bot["id"]: bot["status"] for bot in site.bots()}
    site.proxy.break_(Fault.HANG, only=b"/v1.41/(containers|volumes)")
    most = 0
    with ThreadPoolExecutor(50) as threads, site.reading(fleet.roles[2]) as reads:
        asked = [
            threads.submit(site.call, "POST", f"/api/instances/{bot}/restart")
            for bot, status in settled.items()
            for _ in range(10)
            if status == "running"
        ]
        while not all(each.done() for each in asked):
            most = max(most, *site.threads())
            time.sleep(0.05)
        health = json.loads(site.call("GET", "/api/health").answer.body)
    site.proxy.mend()
    figures = {"threads": most, "p99": reads.p99()}
    record_property("figures", figures)
    assert {each.result().answer.status for each in asked} <= {200, 409, 503}
    assert health["docker"] == "connected"
    assert reads.p99() < READS_WITHIN, figures
    assert most < MOST_THREADS, figures
    assert eventually(lambda: site.is_as_wished(settled), RECOVERS_WITHIN), site.bots()


@pytest.mark.prove
def test_the_log_says_once_that_the_engine_is_away_and_once_that_it_is_back(site: TroubledSite, fleet: Fleet) -> None:
    """All the trouble of this file is in the log by now; a line for each look would make it hundreds."""
    before = site.served.log.read_text()
    site.proxy.break_(Fault.REFUSE)
    refused_in_time(site.call("POST", f"/api/instances/{fleet.roles[2]}/restart"))
    assert eventually(lambda: "does not answer" in _new(site, before), 5)
    # Each process looks once a second for whether it is back.
    time.sleep(3)
    site.proxy.mend()
    assert eventually(lambda: "The engine answers again" in _new(site, before), 5)
    said = [line for line in _new(site, before).splitlines() if "clawdeploy.web" not in line]
    assert len(said) < 15, said
    assert eventually(lambda: not any(bot["operation"] for bot in site.bots()), RECOVERS_WITHIN)


def _new(site: TroubledSite, before: str) -> str:
    return site.served.log.read_text()[len(before) :]


@pytest.mark.prove
def test_an_engine_that_is_frozen_and_thawed(
    tmp_path: Path, private_engine: PrivateEngine, record_property: Any
) -> None:
    private_engine.load(STANDIN_IMAGE)
    site = TroubledSite(tmp_path, private_engine.address, PORT_RANGE="26000-26999")
    try:
        fleet = Fleet(site)
        before = site.bot(fleet.roles[2])
        seen = go_through(site, fleet, private_engine.freeze, private_engine.thaw)
        record_property("figures", seen.figures())
        assert_kept(seen, before)
    finally:
        private_engine.thaw()
        site.close()
