"""A real server in processes of its own, as ``clawdeploy serve`` starts it, and raw connections to it."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawdeploy.core.testing import eventually
from tests.platforms import memory_platform

HOST = "127.0.0.1"
SERVERS_FROM = 30_000
"""Above the ports that bots of tests get, and below those of clients, which begin at 32,768 on Linux."""
FULL = ("DOCKER_HOST", "CLERK_")
SERVE = (sys.executable, "-m", "clawdeploy", "serve")


def free_port() -> int:
    """Return a port that nobody listens on now, and that the kernel gives to no client.

    Else a client that asks again and again while its server is down would at some time be connected to itself.
    """
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(SERVERS_FROM, first_of_clients)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a server whose files all lie in ``folder``.

    Settings are given as ``PORT="80"`` for ``CLAWDEPLOY_PORT``; those with names of others are named in full.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PYTHONUNBUFFERED": "1",
        "CLAWDEPLOY_DATA_DIR": str(folder / "data"),
        "CLAWDEPLOY_RUNTIME": "memory",
        # Tests change more in a minute than people do, and make more bots.
        "CLAWDEPLOY_RATE_LIMIT": "0",
        "CLAWDEPLOY_VISITOR_LIMIT": "0",
        "CLAWDEPLOY_MAX_INSTANCES_PER_USER": "0",
        **{name if name.startswith(FULL) else f"CLAWDEPLOY_{name}": value for name, value in settings.items()},
    }


def run_serve(folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a server that is expected to end by itself, and return what it said."""
    return subprocess.run(
        SERVE,
        env=environment(folder, **settings),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Served:
    """A running server; ``log`` is the file that holds what it said.

    ``program`` is what to run, if it is not ``clawdeploy serve``; it has to say "ready" as that does.
    """

    def __init__(self, folder: Path, program: Sequence[str] = SERVE, **settings: str) -> None:
        self.port = int(settings.pop("PORT", 0)) or free_port()
        self.folder = folder
        self.log = folder / "server.log"
        given: dict[str, Any] = {name: settings[name] for name in ("DATABASE_URL", "SECRET_KEYS") if name in settings}
        platform = memory_platform(folder / "data", **given)
        self.installation = platform.installation
        token, _ = platform.credentials.issue("api_token", "ann", prefix="cd_")
        platform.close()
        self.bearer = f"Bearer {token.reveal()}"
        self._program = program
        self._environment = environment(folder, PORT=str(self.port), **settings)
        self.start()

    def start(self) -> None:
        """Start it, the first time or again after it has ended; returns when it says that it is ready."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self._program,
                env=self._environment,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.announced = self.process.stdout.readline()
        assert "ready" in self.announced, self.log.read_text()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Tell the server to end and return its exit code."""
        self.process.send_signal(by)
        return self.process.wait(timeout=40)

    def kill(self) -> None:
        """End all its processes without a chance to do anything; returns when they are gone, with what they held."""
        # Stopped first, so that it begins no worker meanwhile.
        self.process.send_signal(signal.SIGSTOP)
        workers = self.workers()
        for pid in (self.process.pid, *workers):
            os.kill(pid, signal.SIGKILL)
        self.close()
        assert eventually(lambda: not any(map(_lives, workers)), within=20)

    def close(self) -> None:
        """End the server, by force if need be."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def ready(self, count: int) -> set[int]:
        """Wait until so many workers are ready, and no others are there; return their process ids.

        It says that it is ready when the first one is.
        """

        def all_do() -> bool:
            return len(self.workers()) == count and all(_serves(pid) for pid in self.workers())

        assert eventually(all_do, within=40), self.log.read_text()
        return set(self.workers())

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> "Answer":
        """Send a whole request on a connection of its own and return the answer."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Authorization": self.bearer, **sent})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def connect(self, begin: bytes = b"") -> socket.socket:
        """Open a connection and send the beginning of a request."""
        opened = socket.create_connection((HOST, self.port), timeout=30)
        try:
            opened.sendall(begin)
        except OSError:
            opened.close()
            raise
        return opened

    def answer(self, request: bytes) -> "Answer":
        """Send bytes as they are and return the answer."""
        with self.connect(request) as opened:
            response = http.client.HTTPResponse(opened)
            response.begin()
            return Answer(response)


def _serves(pid: int) -> bool:
    # The kernel lists what a process waits for; a worker that is not ready yet waits for nothing.
    try:
        return any("tfd:" in waiting.read_text() for waiting in Path(f"/proc/{pid}/fdinfo").iterdir())
    except OSError:
        return False


def _lives(pid: int) -> bool:
    """Say whether a process has not ended; one that nobody has asked about yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Answer:
    """An answer, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def problem(self) -> dict[str, Any]:
        """Return the problem document."""
        assert self.headers["Content-Type"] == "application/problem+json"
        said: dict[str, Any] = json.loads(self.body)
        assert (said["status"], said["requestId"]) == (self.status, self.headers["X-Request-Id"])
        return said
