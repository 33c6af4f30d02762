"""The doctor tells the truth, also when most of what it looks at is down."""

import socket
import socketserver
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawdeploy.core.contracts import ContainerSpec, Limits, Room, Route, Runtime
from clawdeploy.core.database import Database
from clawdeploy.core.doctor import CHECKS, Check, examine
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.opener import Opener
from clawdeploy.core.settings import RUNTIME
from clawdeploy.core.testing import BrokenRuntime
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryEngine, MemoryRuntime
from clawdeploy.web.app import create_app
from tests.platforms import GOOD, RuntimePlugin

NAMES = [name for name, _, _ in CHECKS]
BOT = ContainerSpec(images=("nginx:alpine",), container_port=80, limits=Limits(2**20, 0.5, 10))
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

    def opener(self, runtime: Runtime | None = None, **plugins: object) -> Opener:
        """Return what commands get, with a runtime and plugins of the test's own."""
        opener = Opener(self.environment)
        if runtime is not None:
            plugins["under-test"] = RuntimePlugin(lambda installation: runtime)
            opener.override(RUNTIME, "under-test")
        for name, plugin in plugins.items():
            opener.host.add(name, lambda plugin=plugin: plugin, source="tests")  # type: ignore[misc]
        return opener

    def examined(self, clock: Callable[[], datetime] | None = None, runtime: Runtime | None = None) -> dict[str, Check]:
        opener = self.opener(runtime)
        checks = examine(opener, create_app, clock) if clock else examine(opener, create_app)
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


def test_plugins_are_not_asked_for_what_needs_a_database_before_there_is_one(patient: Patient) -> None:
    found = patient.examined()["plugins"].found
    assert found.endswith("plugins are loaded, but were not asked for sign-in and routes: "
                          "the database is not there yet, or not up to date")  # fmt: skip
    assert not patient.folder.exists()
    patient.started()
    assert patient.examined()["plugins"].found == f"{len(patient.opener().host.report())} plugins are loaded and well"


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
    assert sorted(failed) == ["clock", "database", "leftovers", "secret key"]
    assert "refused" in failed["database"].found
    assert {failed[each].mend for each in ("clock", "leftovers", "secret key")} == {"Mend the database first."}
    assert "hunter2" not in repr(failed)


def test_a_damaged_database(patient: Patient) -> None:
    (patient.started().folder / "clawdeploy.db").write_text("not a database\n" * 1000)
    failed = patient.failed()
    assert sorted(failed) == ["clock", "database", "leftovers", "secret key"]
    assert "restore a backup" in failed["database"].mend


def test_a_database_that_was_damaged_in_the_middle(patient: Patient) -> None:
    file = patient.started().folder / "clawdeploy.db"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    assert "restore a backup" in patient.failed()["database"].mend


def test_a_database_of_a_newer_version(patient: Patient) -> None:
    database = Database("", patient.started().folder)
    with database.transaction():
        database.peewee.execute_sql("UPDATE schema_migration SET name = '9999_from_the_future' WHERE name LIKE '0001%'")
    database.close()
    failed = patient.failed()
    assert list(failed) == ["database"]
    assert "made by a newer ClawDeploy" in failed["database"].found
    assert failed["database"].mend.startswith("Start the newer ClawDeploy")


@pytest.mark.parametrize("folder", ["/proc", "/dev/null/deeper"])
def test_a_database_that_could_not_be_made(patient: Patient, folder: str) -> None:
    """To run what makes databases would fail, so it is not what mends this."""
    patient.set(DATABASE_URL=f"sqlite:///{folder}/x.db")
    failed = patient.failed()
    assert sorted(failed) == ["database", "secret key"]
    assert "cannot be made" in failed["database"].found
    assert "cannot be written" in failed["database"].found
    assert not [check for check in failed.values() if "migrate" in check.mend]
    assert "folder" in failed["database"].mend


def test_a_database_that_another_program_keeps_locked(patient: Patient) -> None:
    file = patient.started().folder / "clawdeploy.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA journal_mode=delete")
        other.execute("PRAGMA locking_mode=exclusive")
        other.execute("BEGIN EXCLUSIVE")
        failed = patient.failed()
    assert "locked" in failed["database"].found
    assert failed["database"].mend.startswith("Another program keeps it locked")


def test_a_folder_in_place_of_the_database(patient: Patient) -> None:
    patient.set(DATABASE_URL=f"sqlite:///{patient.folder.parent}")
    assert "read and write the file" in patient.failed()["database"].mend


def test_a_database_of_an_older_version(patient: Patient) -> None:
    database = Database("", patient.started().folder)
    with database.transaction():
        database.peewee.execute_sql("DELETE FROM schema_migration")
    database.close()
    failed = patient.failed()
    assert "0001_first_tables" in failed["database"].found
    assert "to apply" in failed["database"].found
    assert "clawdeploy migrate" in failed["database"].mend


def test_an_engine_that_does_not_answer(patient: Patient) -> None:
    failed = patient.started().failed(runtime=BrokenRuntime(MemoryRuntime()))
    assert sorted(failed) == ["engine", "image", "leftovers", "room for bots"]
    assert "systemctl start docker" in failed["engine"].mend
    assert failed["image"].mend == failed["leftovers"].mend == "Mend the engine first."


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
    assert sorted(failed) == ["engine", "image", "leftovers", "room for bots"]
    assert failed["engine"].found == found


class Failing:
    """A plugin that fails at the hooks of the given names."""

    def __init__(self, *hooks: str) -> None:
        for hook in hooks:
            setattr(self, hook, hookimpl(out_of_order))


def out_of_order() -> object:
    raise RuntimeError("out of order")


class Unservable:
    """A plugin whose resource answers nothing."""

    @hookimpl
    def register_routes(self) -> list[Route]:
        return [Route("/api/nothing", object())]


HOOKS = [
    "register_runtimes", "register_blueprints", "register_channels", "register_auth_providers", "register_routes",
    "register_settings",
]  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_a_plugin_that_fails_wherever_it_is_asked_is_named(patient: Patient, hook: str) -> None:
    opener = patient.started().opener(broken=Failing(hook), good=object(), empty=Unservable())
    settings, plugins = examine(opener, create_app)[:2]
    assert (settings.name, settings.ok) == ("settings", True)
    assert (plugins.name, plugins.ok) == ("plugins", False)
    assert "broken (RuntimeError: out of order)" in plugins.found
    assert "empty (The resource at /api/nothing (object) answers no method" in plugins.found
    assert "good" not in plugins.found
    assert "loaded" not in settings.found + plugins.found
    assert "CLAWDEPLOY_DISABLED_PLUGINS" in plugins.mend


def test_a_plugin_that_fails_is_named_also_when_what_it_offers_was_chosen(patient: Patient) -> None:
    patient.started().set(RUNTIME="broken")
    checks = examine(patient.opener(broken=Failing("register_runtimes")), create_app)
    assert [(check.name, check.ok) for check in checks] == [("settings", False), ("plugins", False)]
    assert "broken (RuntimeError: out of order)" in checks[1].found


@pytest.mark.parametrize("hook", HOOKS)
def test_in_strict_mode_it_is_said_what_stops_the_start(patient: Patient, hook: str) -> None:
    patient.started().set(STRICT_PLUGINS="yes")
    failed = [check for check in examine(patient.opener(broken=Failing(hook)), create_app) if not check.ok]
    assert [check.name for check in failed] == ["plugins"]
    assert "Plugin 'broken' (tests) failed: RuntimeError: out of order" in failed[0].found


def test_an_engine_that_fails_to_say_what_there_is(patient: Patient) -> None:
    broken = BrokenRuntime(MemoryRuntime(), RuntimeFailure("Docker says: fault"), calls=("holdings",))
    failed = patient.started().failed(runtime=broken)
    assert failed["leftovers"].mend == "Mend the engine first.", "clawdeploy gc would fail in the same way"


@pytest.mark.parametrize(
    ("left", "wrong", "found"),
    [
        (Room(), False, "What is left is not known, because the engine is elsewhere"),
        (Room(memory_bytes=2**30), False, "1,024 MB of memory are left"),
        (Room(2**30, 2**40), False, "1,024 MB of memory and 1,048,576 MB of disk space are left"),
        (Room(2**20, 2**40), True, "1 MB of memory are left, and 256 MB have to stay free for a new bot"),
        (Room(2**30, 2**29), True, "512 MB of disk space are left, and 1,024 MB have to stay free for a new bot"),
    ],
)
def test_no_room_for_a_new_bot(patient: Patient, left: Room, wrong: bool, found: str) -> None:
    runtime = MemoryRuntime()
    runtime.engine.room = left
    failed = patient.started().failed(runtime=runtime)
    assert list(failed) == ["room for bots"] * wrong
    assert patient.examined(runtime=runtime)["room for bots"].found == found
    patient.set(MEMORY_RESERVE_MB="off", DISK_RESERVE_MB="off")
    assert patient.failed(runtime=runtime) == {}


def test_no_docker_at_the_address(patient: Patient) -> None:
    patient.started().set(RUNTIME="docker")
    patient.environment["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    failed = patient.failed()
    assert sorted(failed) == ["engine", "image", "leftovers", "room for bots"]
    assert "127.0.0.1:1" in failed["engine"].found


def test_what_the_database_does_not_know_is_named(patient: Patient) -> None:
    memory = MemoryRuntime()
    for number in range(7):
        memory.create(f"lost-{number}", 20000 + number, BOT)
    failed = patient.started().failed(runtime=memory)
    assert list(failed) == ["leftovers"]
    assert failed["leftovers"].found.startswith("This database knows nothing of container lost-0 of lost-0, container")
    assert failed["leftovers"].found.endswith(" of lost-4, and 2 more")
    assert "clawdeploy gc --yes" in failed["leftovers"].mend


def test_what_is_removed_by_itself_is_no_failure(patient: Patient) -> None:
    memory = MemoryRuntime()
    opener = patient.started().opener(memory)
    memory.create("lost", 20000, BOT)
    now = memory.engine.containers["lost"].made_at
    with opener.platform().database.transaction():
        span = opener.platform().database.tables.span
        span.create(begun=now - timedelta(minutes=5), until=now + timedelta(minutes=5))
    opener.close()
    assert patient.failed(runtime=memory) == {}
    assert patient.examined(runtime=memory)["leftovers"].found == "What is left over is removed by itself: 1"


def test_leftovers_are_looked_for_with_the_labels_of_this_installation(patient: Patient) -> None:
    engine = MemoryEngine()
    plugin = RuntimePlugin(lambda installation: MemoryRuntime(installation, engine=engine))
    opener = patient.started().opener(mine=plugin)
    opener.override(RUNTIME, "under-test")
    MemoryRuntime("theirs", engine=engine).create("theirs", 20000, BOT)
    MemoryRuntime(opener.platform().installation, engine=engine).create("ours", 20001, BOT)
    found = {check.name: check for check in examine(opener, create_app)}["leftovers"].found
    opener.close()
    assert found == "This database knows nothing of container ours of ours"


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
    assert list(patient.failed()) == ["web port", "cookies"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, "Only browsers on this machine"),
        ({"PUBLIC_ORIGIN": "https://bots.example.org"}, "by https only"),
        ({"HOST": "0.0.0.0", "PUBLIC_ORIGIN": "https://bots.example.org"}, "by https only"),
        ({"PUBLIC_ORIGIN": "https://localhost:8443"}, "Only browsers on this machine"),
    ],
)
def test_cookies_that_are_kept(patient: Patient, settings: dict[str, str], found: str) -> None:
    patient.started().set(**settings)
    assert found in patient.examined()["cookies"].found
    assert "cookies" not in patient.failed()


@pytest.mark.parametrize(
    "settings",
    [
        {"HOST": "0.0.0.0"},
        {"HOST": "::"},
        {"PUBLIC_ORIGIN": "http://bots.example.org"},
        {"HOST": "0.0.0.0", "PUBLIC_ORIGIN": "http://127.0.0.1:8080"},
    ],
)
def test_cookies_that_bots_can_take(patient: Patient, settings: dict[str, str]) -> None:
    failed = patient.started()
    failed.set(**settings)
    check = failed.failed()["cookies"]
    assert "Pages are used by http from other machines" in check.found
    assert "CLAWDEPLOY_PUBLIC_ORIGIN" in check.mend


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
