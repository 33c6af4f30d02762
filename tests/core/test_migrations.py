"""Migrations are numbered, applied once, and bring real rows along."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import peewee
import pytest
from playhouse.migrations import Runner

from clawdeploy.core import database as database_module
from clawdeploy.core.database import MIGRATIONS, Database
from clawdeploy.core.errors import ConfigurationError
from tests.core.surroundings import OWNER, TELEGRAM_TOKEN, Clock, Surroundings, made

ALL = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))

SECOND = """
import peewee

def up(migrator, db):
    migrator.migrate(migrator.add_column("instance", "nickname", peewee.TextField(default="none")))
"""


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(database_url, tmp_path)
    yield database
    database.close()


def test_they_are_numbered_without_a_gap() -> None:
    assert [name.split("_")[0] for name in ALL] == [f"{number:04}" for number in range(1, len(ALL) + 1)]


def test_an_empty_database_is_brought_up_to_date_once(database: Database) -> None:
    assert database.pending() == ALL
    assert database.migrate() == ALL
    assert database.pending() == []
    assert database.migrate() == []


def test_the_tables_are_what_the_models_say(database: Database) -> None:
    """A model that was changed without a migration would be found here."""
    database.migrate()
    models = database.tables
    for model in vars(models).values():
        meta = model._meta
        with database.reading():
            columns = {column.name: column for column in database.peewee.get_columns(meta.table_name)}
            indexes = database.peewee.get_indexes(meta.table_name)
        assert set(columns) == set(meta.columns), meta.table_name
        for name, field in meta.columns.items():
            assert columns[name].null == field.null, (meta.table_name, name)
        unique = {tuple(index.columns) for index in indexes if index.unique}
        expected = {(field.column_name,) for field in meta.sorted_fields if field.unique}
        assert expected <= unique, meta.table_name
        found = {tuple(index.columns) for index in indexes}
        for names, _ in meta.indexes:
            assert tuple(names) in found, (meta.table_name, names)


def test_a_later_migration_keeps_every_row(
    surroundings: Surroundings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = surroundings.open()
    instance_id = made(platform, apiKey="sk-1", botToken=TELEGRAM_TOKEN, config={"a": 1})
    before = surroundings.row(instance_id).__data__
    platform.close()
    folder = tmp_path_factory.mktemp("migrations")
    for path in MIGRATIONS.glob("[0-9]*.py"):
        (folder / path.name).write_text(path.read_text())
    (folder / "9001_nickname.py").write_text(SECOND)
    runner = Runner(surroundings.looking().peewee, str(folder))
    with surroundings.looking().peewee.connection_context():
        assert runner.up() == ["9001_nickname"]
    assert surroundings.row(instance_id).__data__ == before
    with surroundings.looking().reading():
        assert surroundings.looking().peewee.execute_sql("SELECT nickname FROM instance").fetchall() == [("none",)]
    monkeypatch.setattr(database_module, "MIGRATIONS", folder)
    assert surroundings.open().instances.get(OWNER, instance_id).secrets_set == {"apiKey", "botToken"}


def test_a_database_of_the_version_before_is_opened_and_brought_up_to_date(surroundings: Surroundings) -> None:
    """The key is checked before the migrations: it must not need what they bring."""
    platform = surroundings.open()
    instance_id, installation = made(platform, apiKey="sk-1"), platform.installation
    platform.close()
    with surroundings.looking().transaction():
        for statement in (
            "ALTER TABLE installation DROP COLUMN synced_at",
            "DELETE FROM schema_migration WHERE name = '0008_synced_at'",
        ):
            surroundings.looking().peewee.execute_sql(statement)
    newer = surroundings.open()
    assert newer.applied_migrations == ["0008_synced_at"]
    assert newer.installation == installation
    before = newer.instances.get(OWNER, instance_id)
    assert before.status_as_of == before.status_since
    assert before.secrets_set == {"apiKey"}
    newer.reconciler.sync()
    assert newer.instances.get(OWNER, instance_id).status_as_of > before.status_as_of


def test_credentials_of_before_sessions_could_go_unused_work_as_they_did(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    session, record = platform.credentials.issue("session", OWNER, lifetime=timedelta(days=30))
    platform.close()
    with surroundings.looking().transaction():
        for statement in (
            "ALTER TABLE credential DROP COLUMN unused_for",
            "ALTER TABLE credential DROP COLUMN peer",
            "DELETE FROM schema_migration WHERE name = '0014_sessions'",
        ):
            surroundings.looking().peewee.execute_sql(statement)
    clock = Clock()
    clock.advance(days=29)
    newer = surroundings.open(clock=clock)
    assert newer.applied_migrations == ["0014_sessions"]
    found = newer.credentials.find("session", session.reveal(), peer="192.0.2.7")
    assert found
    assert (found.id, found.expires_at) == (record.id, record.expires_at)


def test_a_migration_that_fails_leaves_nothing_behind(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("migrations")
    (folder / "0001_half.py").write_text(
        "import peewee\n"
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE half (id int)')\n"
        "    raise KeyError('in the middle')\n"
    )
    with database.peewee.connection_context(), pytest.raises(KeyError):
        Runner(database.peewee, str(folder)).up()
    with database.reading():
        assert "half" not in database.peewee.get_tables()
    assert database.migrate() == ALL


def test_a_newer_database_is_refused_and_not_touched(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    platform.close()
    with surroundings.looking().transaction():
        surroundings.looking().peewee.execute_sql(
            "INSERT INTO schema_migration (name, applied) VALUES ('9999_from_the_future', '2099-01-01')"
        )
    before = surroundings.row(instance_id).__data__
    with pytest.raises(ConfigurationError) as refused:
        surroundings.open()
    assert "made by a newer ClawDeploy (it knows 9999_from_the_future" in refused.value.detail
    with pytest.raises(ConfigurationError):
        surroundings.looking().pending()
    assert surroundings.row(instance_id).__data__ == before


def test_of_many_that_migrate_at_once_one_does_it(database_url: str, tmp_path: Path) -> None:
    def migrate(_: int) -> list[str]:
        database = Database(database_url, tmp_path)
        try:
            return database.migrate()
        finally:
            database.close()

    with ThreadPoolExecutor(6) as threads:
        applied = list(threads.map(migrate, range(12)))
    assert sorted(applied) == [[]] * 11 + [ALL]


def test_what_was_applied_is_told(database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with closing(Surroundings(tmp_path, database_url)) as surroundings:
        assert surroundings.open().applied_migrations == ALL
        assert f"brought up to date: {', '.join(ALL)}" in caplog.text
        assert surroundings.open().applied_migrations == []


def test_a_secret_goes_with_its_instance(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open(), apiKey="sk-1")
    row = surroundings.rows.instance
    with surroundings.looking().transaction():
        row.delete().where(row.id == instance_id).execute()
    assert surroundings.count("secret") == 0
    with pytest.raises(peewee.IntegrityError), surroundings.looking().transaction():
        surroundings.rows.secret.create(instance_id="nobody", field="apiKey", ciphertext="x")
