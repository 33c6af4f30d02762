"""Measure POST to ``running`` against a bare create and start of the same container, side by side."""

import http.client
import json
import os
import secrets
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.utils import kwargs_from_env
from figures import table

# Away from the usual range, so that a ClawDeploy that is in use on this machine keeps its ports.
PORT_RANGE = "21000-21999"
PATIENCE_SECONDS = 60
WISH = {"name": "bench", "model": "gpt-5.2", "channel": "telegram"}


class Server:
    """A ClawDeploy that is served for this measurement, and a caller of its API."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Make one call and return the JSON of its answer; waits as long as the rate limit asks for."""
        while True:
            self._connection.request(method, path, json.dumps(body) if body else None, self._headers)
            answer = self._connection.getresponse()
            said = json.load(answer)
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                break
            time.sleep(int(answer.headers["Retry-After"]))
        if answer.status >= HTTPStatus.BAD_REQUEST:
            sys.exit(f"{method} {path} was refused: {said}")
        return said

    def create_running(self) -> str:
        """Make an instance and return its id when it is running."""
        instance = self.call("POST", "/api/instances", WISH)["instance"]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while instance["status"] in ("pending", "creating") and time.monotonic() < deadline:
            instance = self.call("GET", f"/api/instances/{instance['id']}")["instance"]
        if instance["status"] != "running":
            sys.exit(f"The instance did not get to run: {instance}")
        return str(instance["id"])

    def delete(self, instance_id: str) -> None:
        """Remove an instance and its container."""
        self.call("DELETE", f"/api/instances/{instance_id}")

    def delete_all(self) -> None:
        """Remove what an interrupted measurement has left."""
        self._connection.close()
        for instance in self.call("GET", "/api/instances")["instances"]:
            self.delete(instance["id"])


class BareEngine:
    """The same container without ClawDeploy: docker-py creates and starts it."""

    def __init__(self, example: str) -> None:
        """``example`` is the name of a container to make others like."""
        self._client: Any = APIClient(timeout=PATIENCE_SECONDS, **kwargs_from_env())
        seen = self._client.inspect_container(example)
        port, *_ = seen["HostConfig"]["PortBindings"].items()
        bindings = {port[0]: [{**port[1][0], "HostPort": str(free_port())}]}
        # Everything but the labels, by which ClawDeploy would take it for one of its own.
        self._config = {
            **{name: seen["Config"][name] for name in ("Image", "Env", "Cmd", "ExposedPorts", "WorkingDir", "User")},
            "StopTimeout": seen["Config"].get("StopTimeout"),
            "HostConfig": seen["HostConfig"] | {"PortBindings": bindings},
        }
        self.description = f"{self._config['Image']} on Docker {self._client.version()['Version']}"

    def create_running(self) -> str:
        """Create and start the container; returns its id."""
        # The engine frees a name some moments after the removal of its container, so each one gets its own.
        name = f"clawdeploy-bench-{secrets.token_hex(4)}"
        container = str(self._client.create_container_from_config(self._config, name)["Id"])
        try:
            self._client.start(container)
        except BaseException:
            self.delete(container)
            raise
        return container

    def delete(self, container: str) -> None:
        """Remove the container."""
        self._client.remove_container(container, force=True)


def measure(subject: Server | BareEngine) -> float:
    """Return how many seconds a creation took; what was created is removed, outside of the measured time."""
    started = time.perf_counter()
    created = subject.create_running()
    took = time.perf_counter() - started
    subject.delete(created)
    return took


@contextmanager
def served() -> Iterator[Server]:
    """Serve a ClawDeploy with a data folder of its own; it is gone with the block, and so are its containers."""
    program = str(Path(sys.executable).with_name("clawdeploy"))
    folder = tempfile.mkdtemp(prefix="clawdeploy-bench-")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CLAWDEPLOY_", "DATABASE_URL"))}
    environment = ours | {"CLAWDEPLOY_DATA_DIR": folder, "CLAWDEPLOY_PORT_RANGE": PORT_RANGE}
    port = free_port()
    with (Path(folder) / "log").open("w") as log:
        # In a session of its own, so that Ctrl-C ends the measurement first, which then removes what it made.
        process = subprocess.Popen(  # noqa: S603 -- our own program
            [program, "serve", "--port", str(port)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            # The sign-in link is the last thing that is said before calls are answered.
            if not process.stdout or not any("/sign-in/" in line for line in process.stdout):
                sys.exit("clawdeploy serve ended:\n" + (Path(folder) / "log").read_text())
            token = subprocess.run(  # noqa: S603 -- our own program
                [program, "token", "create", "bench"], env=environment, capture_output=True, check=True, text=True
            )
            server = Server(port, token.stdout.strip())
            try:
                yield server
            finally:
                server.delete_all()
        finally:
            process.terminate()
            process.wait()
            remove_network(Path(folder))
            shutil.rmtree(folder)


def remove_network(folder: Path) -> None:
    """Remove the network that the server of a data folder has made, and would keep."""
    with closing(sqlite3.connect(folder / "clawdeploy.db")) as database:
        (installation,) = database.execute("SELECT id FROM installation").fetchone()
    with APIClient(**kwargs_from_env()) as client:
        for network in client.networks(names=[f"clawdeploy-{installation}"]):
            client.remove_network(network["Id"])


def free_port() -> int:
    """Find a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(rounds: int) -> None:
    """Measure both in turn, each going first in every other round."""
    with served() as server:
        example = server.create_running()
        bare = BareEngine(f"clawdeploy-{example}")
        server.delete(example)
        bare.delete(bare.create_running())
        sys.stdout.write(f"{rounds} rounds, {bare.description}, {os.cpu_count()} CPUs\n")
        ours: list[float] = []
        its: list[float] = []
        for number in range(rounds):
            both: list[tuple[Server | BareEngine, list[float]]] = [(server, ours), (bare, its)]
            for subject, times in both if number % 2 else reversed(both):
                times.append(measure(subject))
    sys.stdout.write(table("seconds", {"POST to running": ours, "bare create and start": its}))
    sys.stdout.write(f"{'ratio of the medians':24}{statistics.median(ours) / statistics.median(its):16.2f}\n")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
