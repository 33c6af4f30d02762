"""Measure one sync of a thousand bots that exist in memory and about which nothing has changed, on both databases."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from figures import table

from tests.databases import running_postgres
from tests.platforms import GOOD, memory_platform

BOTS = 1000
OWNERS = 50


def measure(folder: Path, url: str, rounds: int) -> list[float]:
    """Return how many seconds each of so many syncs took."""
    platform = memory_platform(folder, DATABASE_URL=url)
    try:
        for number in range(BOTS):
            platform.instances.create(f"owner {number % OWNERS}", {**GOOD, "name": f"bot {number}"}, wait=30)
        platform.reconciler.sync()
        return [timed_sync(platform.reconciler.sync) for _ in range(rounds)]
    finally:
        platform.close()


def timed_sync(sync: Callable[[], list[dict[str, str]]]) -> float:
    """Return how many seconds a sync took, which must find that nothing has changed."""
    began = time.perf_counter()
    changes = sync()
    took = time.perf_counter() - began
    if changes:
        sys.exit(f"Something has changed meanwhile: {changes[:3]}")
    return took


def main(rounds: int) -> None:
    """Measure on SQLite and on PostgreSQL and print the figures."""
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="clawdeploy-bench-") as folder:
        times["SQLite"] = measure(Path(folder), "", rounds)
    with tempfile.TemporaryDirectory(prefix="clawdeploy-bench-") as folder, running_postgres() as postgres:
        times["PostgreSQL"] = measure(Path(folder), postgres.create_database(), rounds)
    sys.stdout.write(f"{rounds} syncs of {BOTS} bots in memory, nothing changed, {os.cpu_count()} CPUs\n")
    sys.stdout.write(table("seconds", times))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
