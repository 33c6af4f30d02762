"""A backup is restored onto either database as it was; a file that is not whole, and a database in use, are refused."""

import base64
import io
import multiprocessing
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from clawdeploy.core import key_file
from clawdeploy.core.backup import back_up, making, restore, restoring, sealed_file, tables
from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import BackupUnusable, ConfigurationError, DatabaseUnavailable, WrongKey
from clawdeploy.core.holders import new_holder
from clawdeploy.core.key_file import KEY_FILE, new_key, read_key_file, write_key_file
from clawdeploy.core.key_ring import KeyRing
from clawdeploy.core.lease import LIFETIME
from clawdeploy.core.leftovers import MADE_UNSEEN
from clawdeploy.core.platform import Platform
from clawdeploy.core.plugins import PluginHost
from clawdeploy.core.spans import Spans
from tests.core.surroundings import OWNER, TELEGRAM_TOKEN, Clock, Surroundings, made
from tests.databases import PostgresServer

PASSPHRASE = Secret("correct horse battery staple")
NOT_COMPARED = ("lease",)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guessing passphrases need not be expensive here."""
    monkeypatch.setitem(sealed_file.SCRYPT, "n", 2**10)


def on_sqlite(folder: Path) -> Surroundings:
    return Surroundings(folder, f"sqlite:///{folder / 'bots.db'}")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Surroundings]:
    """Give what is to be backed up, on SQLite; ``surroundings`` is on either database."""
    source = on_sqlite(tmp_path / "source")
    yield source
    source.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Surroundings]:
    """Give a place with no database and no key yet, for SQLite."""
    target = on_sqlite(tmp_path / "target")
    yield target
    target.close()


@pytest.fixture(params=["onto sqlite", pytest.param("onto postgresql", marks=pytest.mark.postgres)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Surroundings]:
    """Give a place with no database and no key yet, for either database."""
    folder = tmp_path / "target"
    if request.param == "onto sqlite":
        yield request.getfixturevalue("target")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    target = Surroundings(folder, url)
    yield target
    target.close()
    server.drop_database(url)


def config_of(place: Surroundings, **settings: str) -> Any:
    environment = {"CLAWDEPLOY_DATA_DIR": str(place.folder), "CLAWDEPLOY_DATABASE_URL": place.url}
    environment |= {f"CLAWDEPLOY_{name}": value for name, value in settings.items()}
    return PluginHost.discover(environment).config(environment)


def saved(place: Surroundings, file: Path, **settings: str) -> Path:
    """Make a backup of a place."""
    database = Database(place.url, place.folder)
    try:
        back_up(database, config_of(place, **settings), file, PASSPHRASE, utc_now())
    finally:
        database.close()
    return file


def restored(
    place: Surroundings, file: Path, passphrase: Secret = PASSPHRASE, replace: bool = False, **settings: str
) -> restoring.Restored:
    """Restore a backup onto a place."""
    place.looking().close()
    database = Database(place.url, place.folder)
    try:
        return restore(database, config_of(place, **settings), file, passphrase, utc_now, replace=replace)
    finally:
        database.close()


def rows(place: Surroundings) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, but for what the audit trail says of backups themselves."""
    found = {}
    for name, row in vars(place.rows).items():
        if name not in NOT_COMPARED:
            with place.looking().reading():
                found[name] = list(row.select().order_by(*row._meta.get_primary_keys()).dicts())
    found["audit"] = [row for row in found["audit"] if row["what"] not in ("admin.backup", "admin.restore")]
    place.looking().close()
    return found


def fill(place: Surroundings, platform: Platform) -> str:
    """Put something into every table; returns the id of a bot."""
    instance_id = made(platform, apiKey="sk-1", botToken=TELEGRAM_TOKEN, config={"a": ["ü", None, 1.5]})
    for number in range(making.ROWS_AT_ONCE // 100):
        made(platform, name=f"bot {number} 🙂", apiKey=f"sk-{number}")
    platform.credentials.issue("api_token", OWNER, prefix="cd_", label="laptop", lifetime=timedelta(days=1))
    platform.idempotency.begin(OWNER, "POST /api/instances", "key", {"a": 1})
    platform.change_limit.take(OWNER)
    Spans(place.looking(), place.rows.span, utc_now).begin()
    return instance_id


# -- there and back --------------------------------------------------------------------------------------------------


def test_everything_is_there_again(
    surroundings: Surroundings, either: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(restoring, "ROWS_AT_ONCE", 2)
    platform = surroundings.open()
    instance_id = fill(surroundings, platform)
    token, _ = platform.credentials.issue("api_token", OWNER)
    before = rows(surroundings)
    assert [name for name, found in before.items() if not found] == []
    told = restored(either, saved(surroundings, tmp_path / "backup"))
    assert (told.bots, told.secrets) == (len(before["instance"]), len(before["secret"]))
    assert told.key_file == str(either.folder / KEY_FILE)
    assert rows(either) == before
    assert read_key_file(either.folder) == read_key_file(surroundings.folder)
    again = either.open()
    assert again.installation == platform.installation
    assert again.credentials.find("api_token", token.reveal())
    again.reconciler.sync(patience=10)
    assert again.instances.get(OWNER, instance_id).reason == "container_missing"
    assert again.instances.patch(OWNER, instance_id, {"status": "running"}).status == "running"
    Spans(either.looking(), either.rows.span, utc_now).begin()
    assert max(row["id"] for row in rows(either)["activity"]) > max(row["id"] for row in before["activity"])


@pytest.fixture(params=["0001_first_tables", "0007_evidence"])
def old(request: pytest.FixtureRequest, source: Surroundings) -> str:
    """Give the id of a bot in a database that an older version made."""
    database = source.looking()
    key, moment = new_key(), 1_700_000_000_000_000
    write_key_file(source.folder, [key])
    ring = KeyRing([key])
    instance = {
        **dict.fromkeys(("name", "model", "channel", "blueprint", "reason", "detail"), "x"),
        **dict.fromkeys(("status_since", "created_at", "updated_at"), moment),
        "id": "oldoldoldoldoldo", "owner": OWNER, "wish": "stop", "status": "stopped", "started": True, "config": "{}",
    }  # fmt: skip
    secret = {"instance_id": instance["id"], "field": "apiKey"}
    secret["ciphertext"] = ring.seal(str(instance["id"]), "apiKey", Secret("sk-old"))
    installation = {"id": "0123456789ab", "created_at": moment}
    installation["key_check"] = ring.seal("0123456789ab", "key_check", Secret("ok"))
    with database.transaction():
        tables.make(database, [request.param])
        later = {"failures": 0, "crashes": "[]", "restarts_seen": 0}
        instance |= {name: later[name] for name in later.keys() & tables.columns(database, "instance").keys()}
        for name, row in (("installation", installation), ("instance", instance), ("secret", secret)):
            tables.bound(database, name, list(row)).insert(row).execute()
    return str(instance["id"])


def test_a_backup_of_an_older_version_is_restored_and_brought_up_to_date(
    source: Surroundings, either: Surroundings, tmp_path: Path, old: str
) -> None:
    file = saved(source, tmp_path / "backup")
    with source.looking().reading():
        assert len(tables.applied(source.looking())) in (1, 7), "a backup leaves the old version its database"
    restored(either, file)
    platform = either.open()
    assert platform.applied_migrations == []
    assert platform.instances.get(OWNER, old).secrets_set == {"apiKey"}
    assert either.row(old).started is True


def test_what_is_written_meanwhile_is_in_it_entirely_or_not_at_all(
    surroundings: Surroundings, target: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = surroundings.open()
    known = made(platform, apiKey="sk-1")
    original, later = making._rows, []

    def rows_of(database: Database, name: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
        yield from original(database, name, columns)
        if name == "instance":
            later.append(made(platform, apiKey="sk-2"))

    monkeypatch.setattr(making, "_rows", rows_of)
    restored(target, saved(surroundings, tmp_path / "backup"))
    assert len(later) == 1
    found = rows(target)
    assert [row["id"] for row in found["instance"]] == [known]
    assert {row["instance_id"] for row in found["secret"] + found["activity"]} == {known}


def test_a_backup_in_the_middle_of_a_rotation_has_all_keys(
    source: Surroundings, target: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = source.open()
    instance_id = made(platform, apiKey="sk-1", botToken=TELEGRAM_TOKEN)
    monkeypatch.setattr("clawdeploy.core.rotation.ROWS_AT_ONCE", 1)
    monkeypatch.setattr("clawdeploy.core.rotation.KeyRotation._replaced", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        platform.key_rotation.run()
    monkeypatch.undo()
    monkeypatch.setitem(sealed_file.SCRYPT, "n", 2**10)
    restored(target, saved(source, tmp_path / "backup"))
    assert set(read_key_file(target.folder)) == set(read_key_file(source.folder))
    assert len(read_key_file(target.folder)) == 2
    again = target.open()
    again.reconciler.sync(patience=10)
    assert again.instances.patch(OWNER, instance_id, {"status": "running"}).status == "running"
    assert again.key_rotation.run().dropped == 1


# -- the file --------------------------------------------------------------------------------------------------------


def encodings(value: str) -> set[bytes]:
    """Return a value as it may stand in something: plain, in UTF-16, hexadecimal, base64 of two kinds, or a URL."""
    raw = value.encode()
    shifted = {base64.b64encode(b"x" * n + raw)[n + 2 : -4] for n in range(3)}
    urlsafe = {base64.urlsafe_b64encode(b"x" * n + raw)[n + 2 : -4] for n in range(3)}
    return {raw, value.encode("utf-16-le"), raw.hex().encode(), raw.hex().upper().encode(), quote(value).encode()} | (
        shifted | urlsafe
    )


def test_no_secret_ciphertext_or_key_is_found_in_it(source: Surroundings, tmp_path: Path) -> None:
    instance_id = made(source.open())
    canaries = [f"sk-canary-{number:03}-{os.urandom(12).hex()}+/?=" for number in range(200)]
    vault = source.vault()
    with source.looking().transaction():
        for number, canary in enumerate(canaries):
            sealed = vault.seal(instance_id, f"field{number}", Secret(canary))
            source.rows.secret.create(instance_id=instance_id, field=f"field{number}", ciphertext=sealed)
    with source.looking().reading():
        ciphertexts = [row.ciphertext for row in source.rows.secret.select()]
    file = saved(source, tmp_path / "backup")
    sought = [*canaries, *ciphertexts, *read_key_file(source.folder), PASSPHRASE.reveal(), instance_id]
    assert len(sought) > 400
    content = file.read_bytes()
    assert len(content) > 20_000
    assert [each for each in sought if any(form in content for form in encodings(each))] == []
    for encode in (bytes, bytes.hex, base64.b64encode, base64.urlsafe_b64encode, quote):
        for around in ("", "x", "xx"):
            said = encode(f"{around}{canaries[0]}{around}".encode())
            there = said.encode() if isinstance(said, str) else said
            assert any(form in there for form in encodings(canaries[0])), "the search must be able to find something"


def test_it_is_for_its_owner_only_and_nothing_else_is_left(source: Surroundings, tmp_path: Path) -> None:
    source.open()
    folder = tmp_path / "backups"
    folder.mkdir()
    file = saved(source, folder / "backup")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [file]


def test_no_file_is_overwritten(source: Surroundings, tmp_path: Path) -> None:
    source.open()
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(ConfigurationError, match="is there already"):
        saved(source, file)
    assert file.read_text() == "precious"


@pytest.mark.parametrize("failing", ["fsync", "no folder"])
def test_a_backup_that_cannot_be_written_leaves_nothing(
    source: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    source.open()
    folder = tmp_path / "backups"
    folder.mkdir()
    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    file = folder / "backup" if failing == "fsync" else folder / "gone" / "backup"
    with pytest.raises(ConfigurationError, match=r"cannot be written: No (space|such)"):
        saved(source, file)
    assert list(folder.iterdir()) == []


def test_nothing_to_back_up_is_said_and_nothing_made(database_url: str, tmp_path: Path) -> None:
    with (
        closing(Surroundings(tmp_path, database_url)) as surroundings,
        pytest.raises(ConfigurationError, match="There is nothing to back up"),
    ):
        saved(surroundings, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    assert not (tmp_path / "clawdeploy.db").exists()


def test_a_wrong_key_makes_no_backup(source: Surroundings, tmp_path: Path) -> None:
    source.open()
    write_key_file(source.folder, [new_key()])
    with pytest.raises(WrongKey):
        saved(source, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_secret_that_no_key_opens_is_kept_and_named(
    source: Surroundings, target: Surroundings, tmp_path: Path
) -> None:
    instance_id = made(source.open(), apiKey="sk-1")
    with source.looking().transaction():
        source.rows.secret.update(ciphertext="damaged").execute()
    database = Database(source.url, source.folder)
    told = back_up(database, config_of(source), tmp_path / "backup", PASSPHRASE, utc_now())
    database.close()
    assert told.unreadable == [f"apiKey of {instance_id}"]
    restored(target, tmp_path / "backup")
    assert rows(target)["secret"][0]["ciphertext"] == "damaged"


# -- files that are refused ------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Surroundings, Path]:
    """Give a place to restore onto, and a backup of several chunks."""
    monkeypatch.setattr(sealed_file, "CHUNK_BYTES", 256)
    source = on_sqlite(tmp_path / "source")
    made(source.open(), apiKey="sk-1")
    file = saved(source, tmp_path / "backup")
    source.close()
    assert file.stat().st_size > 4 * 256
    return on_sqlite(tmp_path / "target"), file


def refused(place: Surroundings, file: Path, passphrase: Secret = PASSPHRASE) -> str:
    """Say why a file is not restored, having seen that nothing was made."""
    with pytest.raises(BackupUnusable) as caught:
        restored(place, file, passphrase)
    left = {path.name for path in place.folder.iterdir()} if place.folder.exists() else set()
    assert left <= {"bots.db.lock"}
    assert PASSPHRASE.reveal() not in caught.value.detail
    return caught.value.detail


def test_a_wrong_passphrase_is_refused(small: tuple[Surroundings, Path]) -> None:
    for wrong in ("", "Correct horse battery staple", PASSPHRASE.reveal() + " "):
        assert "The passphrase is not the one" in refused(*small, Secret(wrong))


def test_a_byte_that_is_another_is_refused_wherever_it_is(small: tuple[Surroundings, Path]) -> None:
    place, file = small
    whole = file.read_bytes()
    heading = len(sealed_file.OPENING)
    for at in [*range(heading, heading + 60), *range(heading + 60, len(whole), 37), len(whole) - 1]:
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        said = refused(place, file)
        in_chunks = at >= heading + sealed_file.SALT_BYTES + sealed_file.CHECK_BYTES
        assert ("altered" in said) if in_chunks else ("passphrase is not the one" in said), at
    file.write_bytes(whole)
    assert restored(place, file).bots == 1


def test_a_file_that_ends_too_early_is_refused_wherever_it_ends(small: tuple[Surroundings, Path]) -> None:
    place, file = small
    whole = file.read_bytes()
    first = len(sealed_file.OPENING) + sealed_file.SALT_BYTES + sealed_file.CHECK_BYTES
    chunk = 256 + sealed_file.TAG_BYTES
    for length in [first - 1, first, first + 1, first + chunk, first + 2 * chunk, *range(first, len(whole), 61), -1]:
        file.write_bytes(whole[:length])
        assert "ends too early" in refused(place, file), length


def test_chunks_that_are_swapped_repeated_or_left_out_are_refused(small: tuple[Surroundings, Path]) -> None:
    place, file = small
    whole = file.read_bytes()
    first = len(sealed_file.OPENING) + sealed_file.SALT_BYTES + sealed_file.CHECK_BYTES
    size = 256 + sealed_file.TAG_BYTES
    head, chunks = whole[:first], [whole[at : at + size] for at in range(first, len(whole), size)]
    one, two, *others = chunks
    for altered in ([two, one, *others], [one, one, two, *others], [one, *others], [*chunks, chunks[-1]], chunks[1:]):
        file.write_bytes(head + b"".join(altered))
        assert "altered" in refused(place, file)


def test_each_chunk_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a backup the compression would notice it as well, but that is no protection against anybody."""
    monkeypatch.setattr(sealed_file, "CHUNK_BYTES", 4)
    whole = io.BytesIO()
    with sealed_file.SealedWriter(whole, PASSPHRASE) as writer:
        writer.write(b"aaaabbbbcc")
    sealed, size = whole.getvalue(), 4 + sealed_file.TAG_BYTES
    first = len(sealed) - 2 * size - 2 - sealed_file.TAG_BYTES
    head, one, two, last = sealed[:first], sealed[first:][:size], sealed[first + size :][:size], sealed[-2 - size + 4 :]
    assert sealed_file.SealedReader(io.BytesIO(head + one + two + last), PASSPHRASE).read() == b"aaaabbbbcc"
    for altered in (two + one + last, one + one + last, two + last, one + two + two + last, one + two, last, b""):
        with pytest.raises(BackupUnusable):
            sealed_file.SealedReader(io.BytesIO(head + altered), PASSPHRASE).read()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no backup that ClawDeploy made"),
        (b"SQLite format 3\0" * 100, "no backup that ClawDeploy made"),
        (b"clawdeploy-backup 2\n" + b"x" * 500, "made by a newer ClawDeploy (version 2 of the file, this one knows 1)"),
        (b"clawdeploy-backup x\n", "no backup that ClawDeploy made"),
        (b"clawdeploy-backup 1\n", "ends too early"),
    ],
)
def test_other_files_are_refused(small: tuple[Surroundings, Path], content: bytes, said: str) -> None:
    place, file = small
    file.write_bytes(content)
    assert said in refused(place, file)


def test_a_file_that_cannot_be_read_is_said(small: tuple[Surroundings, Path]) -> None:
    place, file = small
    assert "cannot be read: No such file" in refused(place, file.with_name("gone"))
    assert "cannot be read: Is a directory" in refused(place, file.parent)


def test_tables_of_a_newer_version_are_refused(source: Surroundings, target: Surroundings, tmp_path: Path) -> None:
    source.open().close()
    with source.looking().transaction():
        source.looking().peewee.execute_sql(
            "INSERT INTO schema_migration (name, applied) VALUES ('9999_from_the_future', '2030-01-01')"
        )
    file = saved(source, tmp_path / "backup")
    with pytest.raises(BackupUnusable, match="its tables are newer than those that this version"):
        restored(target, file)
    assert not (target.folder / KEY_FILE).exists()


# -- databases that are refused --------------------------------------------------------------------------------------


def test_bots_are_not_overwritten_unless_that_is_said(
    source: Surroundings, either: Surroundings, tmp_path: Path
) -> None:
    fill(source, source.open())
    file, wanted = saved(source, tmp_path / "backup"), rows(source)
    there = either.open()
    lost = made(there, apiKey="sk-theirs")
    there.close()
    before, key = rows(either), read_key_file(either.folder)
    with pytest.raises(ConfigurationError) as refused:
        restored(either, file)
    assert "has bots in it: 1." in refused.value.detail
    assert "make a backup of what is there now" in refused.value.detail
    assert "--replace" in refused.value.detail
    assert (rows(either), read_key_file(either.folder)) == (before, key)
    restored(either, file, replace=True)
    assert rows(either) == wanted
    assert lost not in {row["id"] for row in wanted["instance"]}
    assert read_key_file(either.folder) == (*read_key_file(source.folder), *key), "no key is lost"
    assert either.open().key_rotation.run().dropped == 1


def test_a_database_without_bots_is_overwritten(source: Surroundings, either: Surroundings, tmp_path: Path) -> None:
    fill(source, source.open())
    file = saved(source, tmp_path / "backup")
    platform = either.open()
    platform.credentials.issue("session", OWNER)
    platform.close()
    restored(either, file)
    assert rows(either) == rows(source)


@pytest.mark.parametrize("holder", ["alive", "dead"])
def test_a_database_that_a_server_uses_is_refused(
    source: Surroundings, target: Surroundings, tmp_path: Path, holder: str
) -> None:
    source.open()
    file = saved(source, tmp_path / "backup")
    platform = target.open()
    platform.close()
    name = new_holder()
    if holder == "dead":
        machine, _, began, token = name.rsplit(" ", 3)
        name = f"{machine} 4194303 {began} {token}"
    with target.looking().transaction():
        until = utc_now() + LIFETIME
        target.rows.lease.create(name="reconciler", holder=name, until=until)
    if holder == "dead":
        assert restored(target, file).bots == 0
        return
    before = rows(target)
    with pytest.raises(ConfigurationError, match=r"A server uses .* right now\. Stop it first"):
        restored(target, file, replace=True)
    assert rows(target) == before


def test_tables_of_another_program_are_left_alone(source: Surroundings, either: Surroundings, tmp_path: Path) -> None:
    source.open()
    file = saved(source, tmp_path / "backup")
    either.folder.mkdir(exist_ok=True)
    with either.looking().transaction():
        either.looking().peewee.execute_sql("CREATE TABLE instance (theirs INTEGER)")
    with pytest.raises(ConfigurationError, match="tables of another program"):
        restored(either, file, replace=True)
    with either.looking().reading():
        assert either.looking().peewee.execute_sql("SELECT theirs FROM instance").fetchall() == []


def test_a_database_that_is_not_available_is_said(source: Surroundings, tmp_path: Path) -> None:
    source.open()
    file = saved(source, tmp_path / "backup")
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "bots.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        restored(on_sqlite(folder), file)
    assert (folder / "bots.db").read_bytes() == b"rubbish" * 1000


# -- keys ------------------------------------------------------------------------------------------------------------


def test_with_the_setting_no_key_file_is_made(source: Surroundings, target: Surroundings, tmp_path: Path) -> None:
    key = new_key()
    instance_id = made(source.open(SECRET_KEYS=key), apiKey="sk-1")
    file = saved(source, tmp_path / "backup", SECRET_KEYS=key)
    with pytest.raises(ConfigurationError, match="encrypted with keys that CLAWDEPLOY_SECRET_KEYS does not hold"):
        restored(target, file, SECRET_KEYS=new_key())
    assert [path.name for path in target.folder.iterdir()] == ["bots.db.lock"], "and no database either"
    assert restored(target, file, SECRET_KEYS=f"{new_key()},{key}").key_file is None
    assert not (target.folder / KEY_FILE).exists()
    assert target.open(SECRET_KEYS=key).instances.get(OWNER, instance_id).secrets_set == {"apiKey"}


def test_a_key_of_the_setting_can_be_taken_from_the_backup(
    source: Surroundings, target: Surroundings, tmp_path: Path
) -> None:
    key = new_key()
    made(source.open(SECRET_KEYS=key), apiKey="sk-1")
    restored(target, saved(source, tmp_path / "backup", SECRET_KEYS=key))
    assert read_key_file(target.folder) == (key,)
    target.open()


def test_a_setting_that_opens_only_some_of_it_is_refused(
    source: Surroundings, target: Surroundings, tmp_path: Path
) -> None:
    keys = new_key(), new_key()
    instance_id = made(source.open(SECRET_KEYS=",".join(keys)), apiKey="sk-1")
    with source.looking().transaction():
        sealed = KeyRing(keys[1:]).seal(instance_id, "apiKey", Secret("sk-1"))
        source.rows.secret.update(ciphertext=sealed).execute()
    file = saved(source, tmp_path / "backup", SECRET_KEYS=",".join(keys))
    with pytest.raises(ConfigurationError, match="does not hold"):
        restored(target, file, SECRET_KEYS=keys[0])


def test_an_empty_key_file_is_replaced(source: Surroundings, target: Surroundings, tmp_path: Path) -> None:
    source.open()
    target.folder.mkdir(exist_ok=True)
    (target.folder / KEY_FILE).write_text("\n")
    restored(target, saved(source, tmp_path / "backup"))
    assert read_key_file(target.folder) == read_key_file(source.folder)


# -- interrupted -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def restore_killed(folder: Path, url: str, file: Path, where: str) -> None:
    """Run in a process of its own, which is killed before or after the keys are written."""
    sealed_file.SCRYPT["n"] = 2**10
    original = key_file.write_key_file

    def write(*arguments: Any) -> None:
        if where == "after":
            original(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    vars(restoring)["write_key_file"] = write
    restored(Surroundings(folder, url), file, replace=True)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_restore_that_is_killed_changes_nothing_and_can_be_done_again(
    source: Surroundings, either: Surroundings, tmp_path: Path, processes: ForkServerContext, where: str
) -> None:
    fill(source, source.open())
    file = saved(source, tmp_path / "backup")
    there = either.open()
    instance_id = made(there, apiKey="sk-theirs")
    there.close()
    before = rows(either)
    process = processes.Process(target=restore_killed, args=(either.folder, either.url, file, where))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert rows(either) == before
    again = either.open()
    assert again.instances.restart(OWNER, instance_id).status == "running"
    again.close()
    restored(either, file, replace=True)
    assert rows(either) == rows(source)


# -- containers ------------------------------------------------------------------------------------------------------


def test_bots_that_were_made_or_deleted_after_the_backup(surroundings: Surroundings, tmp_path: Path) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock, CLEANUP_GRACE_SECONDS=60)
    spans = Spans(surroundings.looking(), surroundings.rows.span, clock)

    def used(seconds: int) -> None:
        for _ in range(seconds // 30):
            clock.advance(seconds=30)
            spans.extend()

    spans.begin()
    used(30)
    kept, deleted = made(platform, name="kept"), made(platform, name="deleted", apiKey="sk-1")
    used(30)
    file = saved(surroundings, tmp_path / "backup")
    used(30)
    later = made(platform, name="later")
    surroundings.memory.engine.containers[later].made_at = clock()
    for part in surroundings.memory.engine.made_at:
        surroundings.memory.engine.made_at[part] = clock()
    platform.instances.delete(OWNER, deleted)
    used(300)
    platform.close()
    restored(surroundings, file, replace=True)
    again = surroundings.open(clock=clock, CLEANUP_GRACE_SECONDS=60)
    spans = Spans(surroundings.looking(), surroundings.rows.span, clock)
    spans.begin()
    used(300)
    (leftover,) = again.leftovers.find()
    assert (leftover.instance_id, leftover.removed_at, leftover.kept) == (later, None, MADE_UNSEEN)
    again.reconciler.sync(patience=10)
    found = {instance.name: (instance.status, instance.reason) for instance in again.instances.list(OWNER).instances}
    assert found == {"kept": ("running", ""), "deleted": ("error", "container_missing")}
    assert again.instances.patch(OWNER, deleted, {"status": "running"}).status == "running"
    assert kept
