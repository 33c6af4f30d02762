"""Measure how soon the API shows that somebody has ended or removed a bot's container on the server."""

import os
import sys
import time
from collections.abc import Callable

import docker
from bench_create import PATIENCE_SECONDS, Server, served
from figures import table


def shows(server: Server, bot: str, status: str) -> float:
    """Return the moment at which the API shows a status first."""
    began = time.perf_counter()
    while time.perf_counter() < began + PATIENCE_SECONDS:
        if server.call("GET", f"/api/instances/{bot}")["instance"]["status"] == status:
            return time.perf_counter()
    sys.exit(f"It never was {status}: {server.call('GET', f'/api/instances/{bot}')}")


def measure(server: Server, bot: str, end: Callable[[str], object], after: str) -> float:
    """Return the seconds from when the engine has ended the container of a running bot until that is shown."""
    end(f"clawdeploy-{bot}")
    ended = time.perf_counter()
    took = shows(server, bot, after) - ended
    server.call("POST", f"/api/instances/{bot}/start")
    shows(server, bot, "running")
    return took


def main(rounds: int) -> None:
    """Serve with one bot, end it again and again, and print the figures."""
    client = docker.APIClient(version="1.41", timeout=60)
    ways: dict[str, tuple[Callable[[str], object], str]] = {
        "docker kill": (client.kill, "stopped"),
        "docker rm -f": (lambda name: client.remove_container(name, force=True), "error"),
    }
    with served() as server:
        bot = server.create_running()
        times = {name: [measure(server, bot, *way) for _ in range(rounds)] for name, way in ways.items()}
    sys.stdout.write(f"{rounds} rounds, Docker {client.version()['Version']}, {os.cpu_count()} CPUs\n")
    sys.stdout.write(table("seconds until shown", times))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
