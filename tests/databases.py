"""A real PostgreSQL for tests: one throw-away server for the whole run, a fresh database for each test.

Tests ask for ``postgres_url``, or for ``database_url`` to run on SQLite too. The server starts when the first test asks
for it and is gone, with its files, when the run ends. A missing PostgreSQL is a failure, never a skip.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from clawdeploy.core.database import Database

OLDEST_VERSION = 15
SUPERUSER = "clawdeploy_tests"
START_SECONDS = 60

# Nothing here has to survive a power cut, and not waiting for the disk makes the tests several times faster. What was
# committed survives the end of the server all the same, as on a real one: tests end it in the middle of everything.
SERVER_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
}


class PostgresServer:
    """A PostgreSQL server of our own, listening on a loopback port, with its files in ``folder``.

    ``programs`` is the folder of ``initdb`` and ``postgres``; ``account`` the system user that runs
    them, ``None`` for the current one.
    """

    def __init__(self, folder: Path, programs: Path, account: pwd.struct_passwd | None) -> None:
        self._folder = folder
        self._programs = programs
        self._account = account
        self._as_account: dict[str, Any] = {}
        if account:
            self._as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_hex(16)
        self._port = 0
        self._made = 0

    def make(self) -> None:
        """Make the cluster, with no database in it yet."""
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        if self._account:
            for path in (self._folder, password_file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        data = str(self._folder / "data")
        login = ["-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password_file}"]
        self._initialise("-D", data, *login, "--encoding=UTF8", "--no-locale", "--no-sync")
        self._port = _free_port()

    def start(self) -> None:
        """Start the server; returns when it accepts connections. One that was stopped starts on the same port."""
        settings = [f"-c{name}={value}" for name, value in {"port": self._port, **SERVER_SETTINGS}.items()]
        # The kernel ends the server when this process dies without a chance to do it, killed after a timeout perhaps.
        command = ["setpriv", "--pdeathsig", "INT", str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*command, *settings],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as_account,
            )
        self._wait_for_connections()

    def stop(self) -> None:
        """Stop the server at once, throwing away what it was doing and nothing that was committed."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop all its processes where they are: it accepts connections and answers nobody, until :meth:`thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that it listens on."""
        return "127.0.0.1", self._port

    def create_database(self, template: str = "template0") -> str:
        """Make a database, a copy of ``template``, and return its URL."""
        self._made += 1
        name = f"test_{self._made}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database made here, ending the connections that are still open."""
        self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def _url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def execute(self, statement: str) -> None:
        """Execute a statement as the superuser, in a transaction of its own."""
        with closing(psycopg2.connect(self._url("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)

    def _wait_for_connections(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._process and self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg2.connect(self._url("postgres")).close()
            except psycopg2.OperationalError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"PostgreSQL did not start:\n{self._log.read_text()}")

    def _initialise(self, *arguments: str) -> None:
        command = [str(self._programs / "initdb"), *arguments]
        done = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, check=False, **self._as_account
        )
        if done.returncode:
            pytest.fail(f"initdb failed:\n{done.stdout}{done.stderr}")


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Give a throw-away server, for a test that makes it fail and must not trouble the others."""
    # Not pytest's own temporary folder: only the user who runs pytest can enter that one.
    folder = Path(tempfile.mkdtemp(prefix="clawdeploy-postgres-"))
    server = PostgresServer(folder, _programs(), _unprivileged_account())
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give the throw-away server itself, for tests that make several databases or copy a prepared one."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the URL of a fresh, empty PostgreSQL database that is gone after the test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database: each test that asks for it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'clawdeploy.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """Give the name of a PostgreSQL database that is up to date and otherwise empty, to be copied."""
    url = postgres_server.create_database()
    database = Database(url, Path("/nonexistent"))
    database.migrate()
    database.close()
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database that is up to date and otherwise empty, on SQLite and on PostgreSQL.

    For tests that are about neither: a copy is made many times as fast as all migrations are run.
    """
    if request.param == "sqlite":
        path = tmp_path / "clawdeploy.db"
        put_migrated_file(path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database(request.getfixturevalue("migrated_template"))
    yield url
    server.drop_database(url)


def put_migrated_file(path: Path) -> None:
    """Put a SQLite database that is up to date and otherwise empty where there is none yet."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_migrated_file())


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clawdeploy.db"
        database = Database(f"sqlite:///{path}", Path(folder))
        database.migrate()
        database.close()
        return path.read_bytes()


def _programs() -> Path:
    """Find the folder with the newest PostgreSQL server programs, or fail the test."""
    found = {
        int(path.parent.parent.name): path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if path.parent.parent.name.isdigit()
    }
    if found and max(found) >= OLDEST_VERSION:
        return found[max(found)]
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    pytest.fail(
        f"There is no PostgreSQL server {OLDEST_VERSION} or newer on this machine: ./scripts/test installs it, "
        "or run: apt-get install postgresql",
        pytrace=False,
    )


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Say who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name: account for account in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
