"""What can happen to a database, each as a context in which it does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from tests.databases import PostgresServer
from tests.faults.proxy import Fault, FaultProxy
from tests.platforms import memory_platform

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def through(proxy: FaultProxy, url: str) -> str:
    """Return the URL of a PostgreSQL database as it is reached through a proxy."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.address[1]}")).geturl()


@contextmanager
def broken(proxy: FaultProxy, fault: Fault, only: bytes = b"") -> Iterator[None]:
    """Something on the way to it fails."""
    before = proxy.injected
    proxy.break_(fault, only)
    try:
        yield
    finally:
        proxy.mend()
    assert proxy.injected > before


# -- PostgreSQL ------------------------------------------------------------------------------------------------------


@contextmanager
def restarted(server: PostgresServer, url: str) -> Iterator[None]:
    """It is away for a while."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def frozen(server: PostgresServer, url: str) -> Iterator[None]:
    """Its processes stand still."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def read_only(server: PostgresServer, url: str) -> Iterator[None]:
    """New sessions can only read, and all are new."""
    name = url.rpartition("/")[2]
    server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    _end_sessions(server, url)
    try:
        yield
    finally:
        server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


@contextmanager
def without_a_free_connection(server: PostgresServer, url: str) -> Iterator[None]:
    """Others have all of its connections."""
    held: list[psycopg2.extensions.connection] = []
    _end_sessions(server, url)
    with suppress(psycopg2.OperationalError):
        while True:
            held.append(psycopg2.connect(url))
    try:
        yield
    finally:
        for connection in held:
            connection.close()


def _end_sessions(server: PostgresServer, url: str) -> None:
    name = url.rpartition("/")[2]
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


# -- SQLite ----------------------------------------------------------------------------------------------------------


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program has begun to write, and does not end."""
    command = [sys.executable, "-c", LOCK, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        yield


@contextmanager
def full(file: Path) -> Iterator[None]:
    """Its disk is full."""
    filler = file.with_name("filler")
    with filler.open("wb", buffering=0) as big, suppress(OSError):
        while big.write(b"\0" * 4096):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def away(file: Path) -> Iterator[None]:
    """Somebody has moved it away."""
    aside = file.rename(file.with_name("aside"))
    yield
    assert not file.exists(), "no server makes a new one"
    aside.rename(file)


@contextmanager
def replaced(file: Path) -> Iterator[None]:
    """The database of another installation lies in its place."""
    memory_platform(file.parent / "elsewhere", DATABASE_URL=f"sqlite:///{file.with_name('other')}").close()
    before = file.with_name("other").read_bytes()
    aside = file.rename(file.with_name("aside"))
    file.with_name("other").rename(file)
    yield
    assert file.read_bytes() == before, "nothing is written into what belongs to somebody else"
    aside.replace(file)
