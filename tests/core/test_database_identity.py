"""A database is used only as long as it is the one that was opened, in the version that is known."""

import shutil
from pathlib import Path

import peewee
import pytest

from clawdeploy.core import known_database
from clawdeploy.core.bootstrap import bootstrap
from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.plugins import PluginHost
from tests.core.surroundings import OWNER, Surroundings, made

ANOTHER = "another one than at the start"
NEWER = "INSERT INTO schema_migration (name, applied) VALUES ('9999_from_the_future', '2030-01-01')"


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_database, "VERIFIED_EVERY", 0.0)


@pytest.mark.usefixtures("watchful")
@pytest.mark.parametrize(
    ("change", "undo"),
    [
        (NEWER, "DELETE FROM schema_migration WHERE name = '9999_from_the_future'"),
        ("UPDATE installation SET id = 'x' || id", "UPDATE installation SET id = substr(id, 2)"),
        ("ALTER TABLE schema_migration RENAME TO aside", "ALTER TABLE aside RENAME TO schema_migration"),
    ],
)
def test_in_another_database_nothing_is_read_or_written(surroundings: Surroundings, change: str, undo: str) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    looking = surroundings.looking()
    with looking.transaction():
        looking.peewee.execute_sql(change)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            platform.instances.get(OWNER, instance_id)
        with pytest.raises(DatabaseUnavailable):
            platform.instances.stop(OWNER, instance_id)
    assert surroundings.row(instance_id).wish == "run"
    with looking.transaction():
        looking.peewee.execute_sql(undo)
    assert platform.instances.stop(OWNER, instance_id).status == "stopped"


def test_that_is_asked_once_a_second_at_most(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_database, "VERIFIED_EVERY", 3600.0)
    platform = surroundings.open()
    instance_id = made(platform)
    looking = surroundings.looking()
    with looking.transaction():
        looking.peewee.execute_sql(NEWER)
    assert platform.instances.get(OWNER, instance_id).status == "running"


def test_tables_that_changed_a_moment_ago_are_no_mistake_of_ours(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_database, "VERIFIED_EVERY", 3600.0)
    platform = surroundings.open()
    instance_id = made(platform)
    looking = surroundings.looking()
    with looking.transaction():
        looking.peewee.execute_sql("ALTER TABLE instance RENAME COLUMN wish TO aim")
        looking.peewee.execute_sql(NEWER)
    with pytest.raises(DatabaseUnavailable):
        platform.instances.get(OWNER, instance_id)
    with pytest.raises(DatabaseUnavailable):
        platform.instances.stop(OWNER, instance_id)


@pytest.mark.postgres
def test_our_own_mistakes_stay_ours(postgres_url: str, tmp_path: Path) -> None:
    surroundings = Surroundings(tmp_path, postgres_url)
    database = surroundings.open().database
    with pytest.raises(peewee.ProgrammingError), database.reading():
        database.peewee.execute_sql("SELECT nonsense FROM instance")
    surroundings.close()


# -- SQLite ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bots.db"


@pytest.fixture
def on_sqlite(tmp_path: Path, file: Path) -> Surroundings:
    return Surroundings(tmp_path, f"sqlite:///{file}")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_moved_away_is_waited_for(on_sqlite: Surroundings, file: Path, replaced: bool) -> None:
    platform = on_sqlite.open()
    instance_id = made(platform)
    aside = file.with_name("aside")
    copy = shutil.copy(file, file.with_name("copy"))
    file.rename(aside)
    if replaced:
        Path(copy).rename(file)
    before = sorted(path.name for path in file.parent.iterdir())
    with pytest.raises(DatabaseUnavailable, match="moved, removed or replaced"):
        platform.instances.get(OWNER, instance_id)
    with pytest.raises(DatabaseUnavailable, match="moved, removed or replaced"):
        platform.instances.stop(OWNER, instance_id)
    assert sorted(path.name for path in file.parent.iterdir()) == before
    aside.replace(file)
    assert platform.instances.stop(OWNER, instance_id).status == "stopped"
    platform.close()


def test_what_was_written_into_a_file_that_is_gone_is_not_acknowledged(on_sqlite: Surroundings, file: Path) -> None:
    database = on_sqlite.open().database

    def write() -> None:
        with database.transaction():
            database.peewee.execute_sql("UPDATE installation SET id = id")
            file.unlink()

    with pytest.raises(DatabaseUnavailable, match="moved, removed or replaced"):
        write()
    on_sqlite.close()


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_server_process_makes_no_new_database(tmp_path: Path, file: Path, left: str) -> None:
    environment = {
        "CLAWDEPLOY_DATA_DIR": str(tmp_path),
        "CLAWDEPLOY_RUNTIME": "memory",
        "CLAWDEPLOY_DATABASE_URL": f"sqlite:///{file}",
    }
    host = PluginHost.discover(environment)
    config = host.config(environment)
    bootstrap(config, host).close()
    bootstrap(config, host, existing=True).close()
    file.unlink()
    if left == "an empty file":
        file.touch()
    with pytest.raises(DatabaseUnavailable, match="is empty or not there"):
        bootstrap(config, host, existing=True)
    assert file.exists() == (left == "an empty file")
    assert not file.exists() or b"CREATE TABLE" not in file.read_bytes()


@pytest.mark.postgres
def test_a_database_says_what_failed_first(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url, tmp_path)

    def use() -> None:
        with database.transaction():
            database.peewee.execute_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseUnavailable) as caught:
        use()
    assert "terminat" in caught.value.detail, "and not that a dead connection cannot roll back"
    database.close()
