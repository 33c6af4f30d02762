"""The engine is really killed, again and again: what ran runs again, and what was stopped stays stopped."""

import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from clawdeploy.core.testing import eventually
from tests.browser.sites import STANDIN_IMAGE
from tests.faults.counting import Faults
from tests.platforms import GOOD
from tests.private_engine import PrivateEngine
from tests.web.serving import Served

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

BOTS = 10
RUNNING = 6
RECOVERS_WITHIN = 20.0
JSON = {"Content_Type": "application/json"}


class Fleet:
    """A server on an engine of its own, with ten bots of which six are wished to run."""

    def __init__(self, folder: Path, engine: PrivateEngine) -> None:
        self.engine = engine
        self.served = Served(
            folder,
            RUNTIME="docker",
            DOCKER_HOST=engine.address,
            PORT_RANGE="26000-26999",
            WORKERS="2",
            WAIT_SECONDS="60",
        )
        ids = [self.create(f"bot {number}") for number in range(BOTS)]
        self.running, self.stopped = set(ids[:RUNNING]), set(ids[RUNNING:])
        assert self.settled(), self.statuses()
        for each in self.stopped:
            self.call("POST", f"/api/instances/{each}/stop")

    def call(self, method: str, path: str, body: object = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        answer = self.served.call(method, path, sent, **(JSON if sent else {}))
        assert answer.status < 300, (answer.status, answer.body)
        return json.loads(answer.body)

    def create(self, name: str) -> str:
        return str(self.call("POST", "/api/instances", {**GOOD, "name": name})["instance"]["id"])

    def get(self, instance_id: str) -> Any:
        return self.call("GET", f"/api/instances/{instance_id}")["instance"]

    def statuses(self) -> dict[str, str]:
        listed = self.call("GET", "/api/instances?limit=100")["instances"]
        return {each["id"]: each["status"] if each["operation"] is None else "busy" for each in listed}

    def settled(self, within: float = 60.0) -> bool:
        return eventually(lambda: set(self.statuses().values()) <= {"running", "stopped"}, within)

    def seen(self) -> dict[str, str]:
        """Say what the engine itself knows of each bot's container."""
        return {one["Labels"]["clawdeploy.instance"]: one["State"] for one in self._containers()}

    def lost(self) -> set[str]:
        """Return the containers that have processes and do not run as far as the engine knows."""
        return self.engine.with_processes() - {one["Id"] for one in self._containers() if one["State"] == "running"}

    def _containers(self) -> list[Any]:
        client = docker.APIClient(self.engine.address, version="1.41", timeout=10)
        try:
            return list(client.containers(all=True))
        finally:
            client.close()

    def is_as_wished(self) -> bool:
        wished = {**dict.fromkeys(self.running, "running"), **dict.fromkeys(self.stopped, "stopped")}
        there = {**dict.fromkeys(self.running, "running"), **dict.fromkeys(self.stopped, "exited")}
        return self.seen() == there and self.statuses() == wished and not self.lost()

    def odd(self) -> str:
        """Tell of the bots that are not as they are wished to be."""
        seen, lines = self.seen(), []
        for each, status in self.statuses().items():
            if (seen.get(each), status) not in (("running", "running"), ("exited", "stopped")):
                happened = self.call("GET", f"/api/instances/{each}/activity")["activity"]
                told = [(one["at"], one["actor"], one["what"], one["reason"], one["detail"]) for one in happened[:20]]
                lines += [f"{each}: {status}, its container {seen.get(each)}", *map(str, told)]
        return "\n".join([*lines, *(f"{each}: its process is lost" for each in self.lost())])


@pytest.fixture
def fleet(tmp_path: Path, private_engine: PrivateEngine) -> Iterator[Fleet]:
    private_engine.load(STANDIN_IMAGE)
    made = Fleet(tmp_path, private_engine)
    try:
        yield made
    finally:
        made.served.close()


def engine_alone(fleet: Fleet) -> None:
    fleet.engine.kill()
    fleet.engine.start()


def engine_twice(fleet: Fleet) -> None:
    engine_alone(fleet)
    engine_alone(fleet)


def engine_twice_without_server(fleet: Fleet) -> None:
    fleet.served.kill()
    engine_twice(fleet)
    fleet.served.start()


def engine_first(fleet: Fleet) -> None:
    fleet.engine.kill()
    fleet.served.kill()
    fleet.engine.start()
    fleet.served.start()


def server_first(fleet: Fleet) -> None:
    fleet.served.kill()
    fleet.engine.kill()
    fleet.served.start()
    fleet.engine.start()


def server_in_between(fleet: Fleet) -> None:
    fleet.engine.kill()
    fleet.served.stop(signal.SIGTERM)
    fleet.served.close()
    fleet.served.start()
    fleet.engine.start()


ORDERS = (engine_alone, engine_twice, engine_twice_without_server, engine_first, server_first, server_in_between)


def test_what_ran_runs_again_in_any_order(fleet: Fleet) -> None:
    for order in (engine_twice_without_server, server_first):
        order(fleet)
        assert eventually(fleet.is_as_wished, RECOVERS_WITHIN), (order.__name__, fleet.odd())


@pytest.mark.prove
def test_twenty_times_out_of_twenty(fleet: Fleet, faults: Faults, seed: int, record_property: Any) -> None:
    chance = random.Random(seed)
    took = []
    for _ in range(20):
        order = chance.choice(ORDERS)
        order(fleet)
        began = time.monotonic()
        assert eventually(fleet.is_as_wished, RECOVERS_WITHIN), (order.__name__, fleet.odd())
        took.append(round(time.monotonic() - began, 1))
        faults.injected()
        faults.tell(f"{order.__name__}: all is as wished after {took[-1]} s")
    record_property("recovered_after_seconds", took)


def test_a_bot_that_an_operator_stopped_while_nobody_looked_is_left_alone(fleet: Fleet) -> None:
    by_hand = sorted(fleet.running)[0]
    fleet.served.kill()
    with docker.APIClient(fleet.engine.address, version="1.41", timeout=30) as client:
        client.stop(f"clawdeploy-{by_hand}", timeout=5)
    engine_twice(fleet)
    fleet.served.start()
    fleet.running.discard(by_hand)
    fleet.stopped.add(by_hand)
    assert eventually(fleet.is_as_wished, RECOVERS_WITHIN), (fleet.seen(), fleet.statuses())
    assert fleet.get(by_hand)["statusReason"] == "stopped_outside"


def test_a_bot_that_an_operator_stopped_by_hand_is_left_alone(fleet: Fleet) -> None:
    client = docker.APIClient(fleet.engine.address, version="1.41", timeout=30)
    by_hand = sorted(fleet.running)[0]
    began = time.monotonic()
    client.stop(f"clawdeploy-{by_hand}", timeout=5)
    assert eventually(lambda: fleet.statuses()[by_hand] == "stopped", 10)
    assert time.monotonic() - began < 7, "five seconds for the stop and two for the news"
    fleet.running.discard(by_hand)
    fleet.stopped.add(by_hand)
    engine_alone(fleet)
    assert eventually(fleet.is_as_wished, RECOVERS_WITHIN), (fleet.seen(), fleet.statuses())
    removed = sorted(fleet.running)[0]
    port = fleet.get(removed)["port"]
    client.remove_container(f"clawdeploy-{removed}", force=True)
    client.close()
    assert eventually(lambda: fleet.statuses()[removed] == "error", 10)
    assert fleet.get(removed)["statusReason"] == "container_missing"
    afresh = fleet.call("POST", f"/api/instances/{removed}/start")["instance"]
    assert (afresh["status"], afresh["port"]) == ("running", port)


@pytest.mark.prove
def test_what_the_engine_is_killed_in_the_middle_of_starting_runs(fleet: Fleet, faults: Faults, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        asked = [
            threading.Thread(target=fleet.served.call, args=("POST", f"/api/instances/{each}/restart"), daemon=True)
            for each in fleet.running
        ]
        for each in asked:
            each.start()
        time.sleep(pause := chance.uniform(0.1, 2.0))
        engine_alone(fleet)
        assert eventually(fleet.is_as_wished, RECOVERS_WITHIN), f"{pause} s, {fleet.odd()}"
        for each in asked:
            each.join()
        faults.injected()
