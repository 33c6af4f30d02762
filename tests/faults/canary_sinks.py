"""Everywhere that a secret could come to lie or be shown, gathered while a server runs and after it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker

from tests.databases import PostgresServer
from tests.faults.canary_walk import Walk
from tests.faults.facts import Machine, instance_of

Sink = tuple[str, bytes]


def of_the_engine(walk: Walk, since: int) -> Iterator[Sink]:
    """Give what the engine shows and keeps of our containers, volumes and network, and its events.

    A bot's own log is not among it: what a bot writes there itself lies there, for whoever is root to read.
    """
    machine = Machine(walk.engine.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock"),
                      walk.served.installation, ())  # fmt: skip
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
    now = int(walk.engine.info()["SystemTime"] and _seconds(walk.engine))
    yield "the engine's events", repr(list(walk.engine.events(since=since, until=now + 1, decode=True))).encode()


def _seconds(engine: docker.APIClient) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(engine.info()["SystemTime"][:19] + "+00:00").timestamp())


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
