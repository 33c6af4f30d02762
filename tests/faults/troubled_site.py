"""A server on the machine's engine, behind a proxy that can be made to fail; and what its answers took."""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime.labels import INSTANCE_LABEL
from tests.faults.proxy import FaultProxy
from tests.networks import remove_networks
from tests.platforms import GOOD
from tests.web.serving import Answer, Served

ENGINE = "/var/run/docker.sock"
JSON = {"Content_Type": "application/json"}


@dataclass(frozen=True)
class Took:
    """An answer and how many seconds it took."""

    answer: Answer
    seconds: float


class TroubledSite:
    """``clawdeploy serve`` with two workers and some bots of one owner.

    ``address`` is that of an engine whose trouble the test makes itself; without one it is the machine's own, behind
    ``proxy``.
    """

    def __init__(self, folder: Path, address: str = "", **settings: str) -> None:
        # A short path: the kernel allows 107 characters for a socket.
        self._sockets = tempfile.TemporaryDirectory(prefix="trouble-")
        self.proxy = FaultProxy(f"{self._sockets.name}/s", (address or f"unix://{ENGINE}").removeprefix("unix://"))
        self.client = docker.APIClient(address or f"unix://{ENGINE}", version="1.41", timeout=30)
        usual = {"RUNTIME": "docker", "PORT_RANGE": "27000-27999", "WORKERS": "2"}
        self.served = Served(folder, DOCKER_HOST=f"unix://{self.proxy.address}", **{**usual, **settings})

    def close(self) -> None:
        """Remove the bots and end the server."""
        try:
            self.proxy.mend()
            assert eventually(self._is_empty, 60)
            remove_networks(self.client, self.served.installation)
        finally:
            self.served.close()
            self.proxy.close()
            self.client.close()
            self._sockets.cleanup()

    def _is_empty(self) -> bool:
        """Delete what can be deleted now; says whether nothing is left."""
        bots = [one["id"] for one in self.bots()]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda bot: self.call("DELETE", f"/api/instances/{bot}"), bots))
        return not bots

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Took:
        """Send a request and say what came of it."""
        sent = None if body is None else json.dumps(body).encode()
        began = time.monotonic()
        answer = self.served.call(method, path, sent, **(JSON if sent else {}), **headers)
        return Took(answer, time.monotonic() - began)

    def create(self, name: str) -> Took:
        """Ask for a bot."""
        return self.call("POST", "/api/instances", {**GOOD, "name": name})

    def made(self, count: int) -> list[str]:
        """Make bots that run and return their ids."""
        with ThreadPoolExecutor(count) as threads:
            answers = [took.answer for took in threads.map(self.create, [f"bot {at}" for at in range(count)])]
        assert [answer.status for answer in answers] == [201] * count, [answer.body for answer in answers]
        ids = [str(json.loads(answer.body)["instance"]["id"]) for answer in answers]
        assert eventually(lambda: {self.bot(each)["status"] for each in ids} == {"running"}, 30)
        return ids

    def bots(self) -> list[dict[str, Any]]:
        """Return all bots."""
        listed: list[dict[str, Any]] = json.loads(self.call("GET", "/api/instances").answer.body)["instances"]
        return listed

    def bot(self, bot: str) -> dict[str, Any]:
        """Return one bot."""
        shown: dict[str, Any] = json.loads(self.call("GET", f"/api/instances/{bot}").answer.body)["instance"]
        return shown

    def states(self) -> dict[str, str]:
        """Return what the engine itself says of each bot's container."""
        ours = {one["id"] for one in self.bots()}
        seen = self.client.containers(all=True, filters={"label": INSTANCE_LABEL})
        found = {one["Labels"][INSTANCE_LABEL]: one["State"] for one in seen}
        return {bot: state for bot, state in found.items() if bot in ours}

    def has_container(self, bot: str) -> bool:
        """Say whether the engine has a container of a bot that may have been deleted."""
        return bool(self.client.containers(all=True, filters={"label": f"{INSTANCE_LABEL}={bot}"}))

    def is_as_wished(self, wished: Mapping[str, str]) -> bool:
        """Say whether the bots are these, each with its status, settled, and whether the engine says the same."""
        known = {one["id"]: "busy" if one["operation"] else one["status"] for one in self.bots()}
        state = {"running": "running", "stopped": "exited"}
        return known == wished and self.states() == {bot: state[status] for bot, status in wished.items()}

    def threads(self) -> list[int]:
        """Return how many threads each worker has."""
        found = []
        for pid in self.served.workers():
            with suppress(OSError):
                found.append(len(list(Path(f"/proc/{pid}/task").iterdir())))
        return found

    @contextmanager
    def reading(self, bot: str) -> Iterator["Reads"]:
        """Read all the time while the block runs, as two people and two programs would."""
        reads = Reads()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                for name, path in reads.paths(bot).items():
                    headers = {"Accept": "text/html"} if name.endswith("page") else {}
                    took = self.call("GET", path, **headers)
                    assert took.answer.status == 200, (name, took.answer.status, took.answer.body)
                    reads.seconds.setdefault(name, []).append(took.seconds)
                done.wait(0.02)

        with ThreadPoolExecutor(2) as threads:
            reading = [threads.submit(read) for _ in range(2)]
            try:
                yield reads
            finally:
                done.set()
                for each in reading:
                    each.result()


class Reads:
    """How many seconds each kind of read took."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @staticmethod
    def paths(bot: str) -> dict[str, str]:
        """Return what is read."""
        return {
            "list": "/api/instances",
            "one": f"/api/instances/{bot}",
            "activity": f"/api/instances/{bot}/activity",
            "dashboard page": "/dashboard",
            "bot page": f"/dashboard/instances/{bot}",
            "health": "/api/health",
        }

    def p99(self) -> float:
        """Return what 99 of 100 reads took at most, in seconds; that of the server's health is another matter."""
        all_of_them = [took for name, each in self.seconds.items() if name != "health" for took in each]
        return statistics.quantiles(all_of_them, n=100, method="inclusive")[98]

    def worst(self) -> dict[str, float]:
        """Return the longest read of each kind, in seconds."""
        return {name: round(max(each), 3) for name, each in self.seconds.items()}
