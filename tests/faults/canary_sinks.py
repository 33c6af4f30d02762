"""Everywhere that a secret could come to lie or be shown, gathered while a server runs and after it."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.databases import PostgresServer
from tests.faults.canary_walk import Walk
from tests.faults.facts import Machine, instance_of
from tests.faults.scene import ENGINE

Sink = tuple[str, bytes]


def of_the_engine(walk: Walk, since: int) -> Iterator[Sink]:
    """Give what the engine shows and keeps of our containers, volumes and network, and its events.

    A bot's own log is not among it: what a bot writes there itself lies there, for whoever is root to read.
    """
    machine = Machine(f"unix://{ENGINE}", walk.served.installation, ())
    root = Path(walk.engine.info()["DockerRootDir"])
    for one in machine.containers():
        name = f"the container of {instance_of(one)}"
        yield f"{name}, inspected", repr(one).encode()
        yield f"{name}, exported", b"".join(walk.engine.export(one["Id"]))
        for file in (root / "containers" / one["Id"]).rglob("*"):
            if file.is_file() and "-json.log" not in file.name:
                yield f"{name}, {file.name} on disk", file.read_bytes()
    for what, _, said in machine.kept():
        yield f"the {what}, inspected", repr(said).encode()
    events = walk.engine.events(since=since, until=int(time.time()) + 1, decode=True)
    yield "the engine's events", repr(list(events)).encode()


def of_the_server(walk: Walk) -> Iterator[Sink]:
    """Give what the server and commands said, what all answers were, and the command lines of its processes."""
    yield "the log", walk.served.log.read_bytes()
    yield "what was announced", walk.served.announced.encode()
    yield from walk.answers
    yield from walk.said
    for pid in (walk.served.process.pid, *walk.served.workers()):
        yield "a command line", Path(f"/proc/{pid}/cmdline").read_bytes()


def of_the_disk(walk: Walk, postgres: PostgresServer | None, url: str) -> Iterator[Sink]:
    """Give every file of the data folder, and all that a PostgreSQL keeps, logs and dumps."""
    for file in walk.folder.joinpath("data").rglob("*"):
        if file.is_file():
            yield f"the file {file.name}", file.read_bytes()
    if postgres is None:
        return
    yield "PostgreSQL's log", postgres._log.read_bytes()
    for file in (postgres._folder / "data").rglob("*"):
        if file.is_file():
            yield f"PostgreSQL's file {file.name}", file.read_bytes()
    dump = subprocess.run([postgres._programs / "pg_dump", url], capture_output=True, timeout=60, check=True)
    assert b"COPY public.secret" in dump.stdout
    yield "a dump", dump.stdout
