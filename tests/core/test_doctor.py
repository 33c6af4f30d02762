"""The doctor tells the truth, also when most of what it looks at is down."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawdeploy.core.bootstrap import Opener
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.database import Database
from clawdeploy.core.doctor import CHECKS, Check, examine
from clawdeploy.core.settings import RUNTIME
from clawdeploy.core.testing import BrokenRuntime
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.platforms import GOOD, RuntimePlugin

NAMES = [name for name, _, _ in CHECKS]
NOT_OURS = "203.0.113.1"


class Patient:
    """A data folder to examine, with settings and a runtime to choose."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"CLAWDEPLOY_DATA_DIR": str(folder), "CLAWDEPLOY_RUNTIME": "memory"}

    def set(self, **settings: object) -> None:
        self.environment |= {f"CLAWDEPLOY_{name}": str(value) for name, value in settings.items()}

    def started(self) -> "Patient":
        """Do what a first start does."""
        opener = Opener(self.environment)
        opener.platform().instances.create("me", GOOD)
        opener.close()
        return self

    def examined(self, clock: Callable[[], datetime] | None = None, runtime: Runtime | None = None) -> dict[str, Check]:
        opener = Opener(self.environment)
        if runtime is not None:
            opener.host.add("under-test", lambda: RuntimePlugin(lambda installation: runtime), source="tests")
            opener.override(RUNTIME, "under-test")
        checks = examine(opener, clock) if clock else examine(opener)
        return {check.name: check for check in checks}

    def failed(self, clock: Callable[[], datetime] | None = None, runtime: Runtime | None = None) -> dict[str, Check]:
        examined = self.examined(clock, runtime)
        assert list(examined) == NAMES
        for check in examined.values():
            assert check.found
            assert check.ok == (check.mend == "")
        return {name: check for name, check in examined.items() if not check.ok}


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """Nobody has started anything yet; the web port is one that is free."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    patient = Patient(tmp_path / "data")
    patient.set(PORT=port)
    return patient


@pytest.fixture
def listener() -> Iterator[int]:
    """The port that another program listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


def test_all_is_well_after_a_start(patient: Patient) -> None:
    assert patient.started().failed() == {}


def test_all_is_well_on_postgresql(patient: Patient, postgres_url: str) -> None:
    patient.set(DATABASE_URL=postgres_url)
    patient.started()
    assert patient.failed() == {}
    assert "as the database has it" in patient.examined()["clock"].found


def test_before_the_first_start_it_says_how_to_begin_and_makes_nothing(patient: Patient) -> None:
    failed = patient.failed()
    assert sorted(failed) == ["database", "secret key"]
    assert all("clawdeploy migrate" in check.mend for check in failed.values())
    assert not patient.folder.exists()


def test_before_the_first_start_on_postgresql(patient: Patient, postgres_url: str) -> None:
    patient.set(DATABASE_URL=postgres_url)
    assert sorted(patient.failed()) == ["database", "secret key"]
    assert Database(postgres_url, patient.folder).pending()


@pytest.mark.parametrize(("name", "value"), [("RUNTIME", "nope"), ("BLUEPRINT", "nope"), ("PORT", "x"), ("NOPE", "1")])
def test_settings_that_cannot_be_used_are_the_only_finding(patient: Patient, name: str, value: str) -> None:
    patient.set(**{name: value})
    examined = patient.examined()
    assert list(examined) == ["settings"]
    assert not examined["settings"].ok
    assert f"CLAWDEPLOY_{name}" in examined["settings"].found


def test_a_data_folder_that_cannot_be_made(patient: Patient) -> None:
    patient.set(DATA_DIR="/dev/null/data")
    assert "/dev/null cannot be written" in patient.failed()["data folder"].found


def test_a_key_file_that_others_can_read(patient: Patient) -> None:
    key = patient.started().folder / "secret.key"
    key.chmod(0o640)
    assert patient.failed()["secret key"].mend == f"Run: chmod 600 {key}"


def test_a_lost_key(patient: Patient) -> None:
    (patient.started().folder / "secret.key").unlink()
    failed = patient.failed()
    assert list(failed) == ["secret key"]
    assert "does not exist" in failed["secret key"].found
    assert "backup" in failed["secret key"].mend


@pytest.mark.parametrize("started", [True, False])
def test_an_empty_key_file(patient: Patient, started: bool) -> None:
    if started:
        patient.started()
    patient.folder.mkdir(exist_ok=True)
    (patient.folder / "secret.key").write_text("")
    (patient.folder / "secret.key").chmod(0o600)
    assert "is empty" in patient.failed()["secret key"].found


def test_the_key_of_another_database(patient: Patient, tmp_path: Path) -> None:
    other = Patient(tmp_path / "other").started()
    key = patient.started().folder / "secret.key"
    key.write_bytes((other.folder / "secret.key").read_bytes())
    assert "does not belong to this database" in patient.failed()["secret key"].found


def test_keys_from_the_environment(patient: Patient) -> None:
    patient.started()
    key = patient.folder / "secret.key"
    patient.set(SECRET_KEYS=key.read_text().strip())
    key.unlink()
    assert "secret key" not in patient.failed()
    patient.set(SECRET_KEYS="not-a-key")
    assert "malformed" in patient.failed()["secret key"].found


def test_a_database_that_does_not_answer(patient: Patient) -> None:
    patient.started().set(DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/bots")
    failed = patient.failed()
    assert sorted(failed) == ["clock", "database", "secret key"]
    assert "refused" in failed["database"].found
    assert failed["secret key"].mend == failed["clock"].mend == "Mend the database first."
    assert "hunter2" not in repr(failed)


def test_a_damaged_database(patient: Patient) -> None:
    (patient.started().folder / "clawdeploy.db").write_text("not a database\n" * 1000)
    assert sorted(patient.failed()) == ["clock", "database", "secret key"]


def test_a_database_of_an_older_version(patient: Patient) -> None:
    database = Database("", patient.started().folder)
    with database.transaction():
        database.peewee.execute_sql("DELETE FROM schema_migration")
    database.close()
    failed = patient.failed()
    assert "0001_first_tables to apply" in failed["database"].found
    assert "clawdeploy migrate" in failed["database"].mend


def test_an_engine_that_does_not_answer(patient: Patient) -> None:
    failed = patient.started().failed(runtime=BrokenRuntime(MemoryRuntime()))
    assert sorted(failed) == ["engine", "image"]
    assert "systemctl start docker" in failed["engine"].mend
    assert failed["image"].mend == "Mend the engine first."


class StumblingRuntime(WrappedRuntime):
    """Raises what no runtime may raise."""

    def __init__(self, error: Exception) -> None:
        super().__init__(MemoryRuntime())
        self.error = error

    def before(self, call: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (LookupError("the secret is hunter2"), "It could not be checked, because of an unexpected LookupError"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_a_check_that_stumbles_does_not_hide_the_others(patient: Patient, error: Exception, found: str) -> None:
    failed = patient.started().failed(runtime=StumblingRuntime(error))
    assert sorted(failed) == ["engine", "image"]
    assert failed["engine"].found == found


def test_a_plugin_that_is_left_out(patient: Patient) -> None:
    patient.started()
    opener = Opener(patient.environment)

    def load() -> object:
        raise RuntimeError("out of order")

    opener.host.add("broken", load, source="tests")
    first = examine(opener)[0]
    assert (first.name, first.ok) == ("settings", False)
    assert "broken (RuntimeError: out of order)" in first.found
    assert "CLAWDEPLOY_DISABLED_PLUGINS" in first.mend


def test_no_docker_at_the_address(patient: Patient) -> None:
    patient.started().set(RUNTIME="docker")
    patient.environment["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    failed = patient.failed()
    assert sorted(failed) == ["engine", "image"]
    assert "127.0.0.1:1" in failed["engine"].found


def test_an_image_that_is_missing(patient: Patient) -> None:
    failed = patient.started().failed(runtime=MemoryRuntime(images=["other:1"]))
    assert list(failed) == ["image"]
    assert "nginx:alpine" in failed["image"].found
    assert "docker pull" in failed["image"].mend


def test_no_port_left_for_bots(patient: Patient, listener: int) -> None:
    patient.started().set(PORT_RANGE=f"{listener}-{listener}")
    assert f"No port from {listener} to {listener}" in patient.failed()["ports for bots"].found


def test_an_address_for_bots_that_is_not_ours(patient: Patient) -> None:
    patient.started().set(BIND_ADDRESS=NOT_OURS)
    assert f"{NOT_OURS} is not an address of this machine" in patient.failed()["ports for bots"].found


def test_another_program_on_the_web_port(patient: Patient) -> None:
    other = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    try:
        patient.started().set(PORT=other.server_address[1])
        failed = patient.failed()
    finally:
        other.shutdown()
        thread.join()
        other.server_close()
    assert list(failed) == ["web port"]
    assert "Another program listens" in failed["web port"].found


def test_an_address_for_the_server_that_is_not_ours(patient: Patient) -> None:
    patient.started().set(HOST=NOT_OURS)
    assert list(patient.failed()) == ["web port"]


def test_a_clock_that_was_never_set(patient: Patient) -> None:
    failed = patient.started().failed(clock=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    assert "1970" in failed["clock"].found
    assert "set-ntp" in failed["clock"].mend


def test_a_clock_behind_what_was_stored(patient: Patient) -> None:
    failed = patient.started().failed(clock=lambda: datetime.now(UTC) - timedelta(days=1))
    assert "was stored at" in failed["clock"].found


def test_a_clock_that_differs_from_the_databases(patient: Patient, postgres_url: str) -> None:
    patient.set(DATABASE_URL=postgres_url)
    failed = patient.started().failed(clock=lambda: datetime.now(UTC) + timedelta(minutes=1))
    assert "the database's clock says" in failed["clock"].found
