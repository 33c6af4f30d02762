"""Really killing: workers, whole servers and containers, at random moments of whatever goes on."""

import os
import random
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

import docker

from clawdeploy.core.claim_keeper import LIFETIME
from clawdeploy.core.testing import eventually
from tests.faults.load import Load
from tests.faults.scene import ENGINE, Scene
from tests.web.serving import HOST

FROZEN_SECONDS = LIFETIME.total_seconds() + 1
"""Longer than the claim of a process that stands still."""
LONGEST_PAUSE = 1.0
PORT_FREE_WITHIN = 10.0
DOWN_SECONDS = 1.5
"""How long a server is down at most before it is started again."""

KINDS = {
    "kill a worker": 27,
    "kill the server": 14,
    "kill the parent": 6,
    "end the server": 10,
    "reload": 10,
    "docker kill": 8,
    "docker stop": 8,
    "docker rm -f": 7,
    "freeze a worker": 10,
}
"""What is done, and how often of a hundred times."""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0


class Killer:
    """Does one thing after the other to a scene under load; ``done`` tells what, and when in seconds."""

    def __init__(self, scene: Scene, load: Load, seed: int) -> None:
        self.done: list[str] = []
        self._scene = scene
        self._load = load
        self._chance = random.Random(f"killer {seed}")
        self._engine = docker.APIClient(f"unix://{ENGINE}", version="1.41", timeout=60)
        self._began = time.monotonic()

    def choose(self, times: int) -> Sequence[str]:
        """Choose so many kinds of kills."""
        return self._chance.choices(list(KINDS), list(KINDS.values()), k=times)

    def strike(self, kind: str) -> None:
        """Wait for a random moment, do one thing, and return when a server is there again."""
        time.sleep(self._chance.uniform(0, LONGEST_PAUSE))
        self.strike_now(kind)

    def strike_now(self, kind: str) -> None:
        """Do one thing, and return when a server is there again."""
        self.done.append(f"{time.monotonic() - self._began:.1f} s {kind}")
        served = self._scene.served
        if kind == "kill a worker":
            self._signal_worker(signal.SIGKILL)
        elif kind == "freeze a worker":
            frozen = self._signal_worker(signal.SIGSTOP)
            time.sleep(FROZEN_SECONDS)
            os.kill(frozen, signal.SIGCONT)
        elif kind == "reload":
            served.process.send_signal(signal.SIGHUP)
        elif kind == "kill the server":
            served.kill()
            self._start_again()
        elif kind == "kill the parent":
            # Its workers notice that within a second, let go of the port and end when they have answered everybody.
            served.process.kill()
            served.close()
            assert eventually(lambda: _is_free(served.port), PORT_FREE_WITHIN), "the workers do not notice"
            self._start_again()
        elif kind == "end the server":
            code = served.stop()
            assert code == 0, f"The server ended with {code}: {served.log.read_text()[-3000:]}"
            served.close()
            self._start_again()
        else:
            self._meddle(kind)

    def close(self) -> None:
        """Give back the connection to the engine."""
        self._engine.close()

    def _start_again(self) -> None:
        time.sleep(self._chance.uniform(0, DOWN_SECONDS))
        self._scene.served.start()

    def _signal_worker(self, number: signal.Signals) -> int:
        """Send a signal to one of the workers that there are, which may be one that begins or ends."""
        while True:
            workers = self._scene.served.workers()
            if workers:
                worker = self._chance.choice(sorted(workers))
                with suppress(ProcessLookupError):
                    os.kill(worker, number)
                    return worker

    def _meddle(self, kind: str) -> None:
        """Do something to the container of some bot, as an operator of the machine may."""
        owner = self._chance.choice([owner for owner in self._load.owners if owner.bots] or self._load.owners)
        if not owner.bots:
            return
        bot = self._chance.choice(sorted(owner.bots))
        name = f"clawdeploy-{bot}"

        def act() -> None:
            # It may be gone, or not running, and both are as good.
            with suppress(docker.errors.APIError):
                if kind == "docker kill":
                    self._engine.kill(name)
                elif kind == "docker stop":
                    self._engine.stop(name, timeout=2)
                else:
                    self._engine.remove_container(name, force=True)

        owner.meddle(bot, act)
