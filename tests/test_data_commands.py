"""The commands that look after what is stored: what they print, ask and refuse."""

import json
import os
import pty
import select
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from clawdeploy.cli import command_line
from clawdeploy.core.backup import sealed_file
from clawdeploy.core.key_file import KEY_FILE, new_key, read_key_file
from clawdeploy.core.opener import Opener
from clawdeploy.core.platform import Platform
from tests.core.surroundings import made
from tests.test_cli import environment, invoke

__all__ = ["environment"]

PASSPHRASE = "correct horse battery staple"
SECONDS = 60.0


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guessing passphrases need not be expensive here; processes of their own make it expensive all the same."""
    monkeypatch.setitem(sealed_file.SCRYPT, "n", 2**10)


@pytest.fixture
def folder(environment: dict[str, str]) -> Path:
    return Path(environment["CLAWDEPLOY_DATA_DIR"])


@pytest.fixture
def passphrase(tmp_path: Path) -> str:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    return str(file)


def opened(environment: Mapping[str, str]) -> Platform:
    return Opener(environment).platform()


def on_terminal(environment: Mapping[str, str], answers: list[str], *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal, answering each question; returns the exit code and all that was to be seen."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, [sys.executable, "-m", "clawdeploy", *arguments], dict(environment))
    seen, deadline, waiting = b"", time.monotonic() + SECONDS, list(answers)
    try:
        while time.monotonic() < deadline and select.select([terminal], [], [], SECONDS)[0]:
            seen += (said := os.read(terminal, 4096))
            if waiting and said.rstrip().endswith(b":"):
                os.write(terminal, waiting.pop(0).encode() + b"\n")
    except OSError:
        # The other end of the terminal was closed.
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), seen.decode()


def test_there_and_back_by_command(environment: dict[str, str], tmp_path: Path, passphrase: str) -> None:
    platform = opened(environment)
    instance_id = made(platform, apiKey="sk-1")
    platform.close()
    file = str(tmp_path / "backup")
    saved = invoke(environment, "backup", file, "--passphrase-file", passphrase)
    assert (saved.exit_code, saved.stderr) == (0, "")
    assert saved.stdout.startswith(f"{file} holds 1 bots and 1 secrets (")
    again = invoke(environment, "backup", file, "--passphrase-file", passphrase)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"Error: {file} is there already. Give the backup another name.\n"
    refused = invoke(environment, "restore", file, "--passphrase-file", passphrase)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "call this again with --replace" in refused.stderr
    elsewhere = environment | {"CLAWDEPLOY_DATA_DIR": str(tmp_path / "elsewhere")}
    restored = invoke(elsewhere, "restore", file, "--passphrase-file", passphrase)
    assert (restored.exit_code, restored.stderr) == (0, "")
    assert "1 bots and 1 secrets." in restored.stdout
    assert "Tokens and sessions that were ended after it work again" in restored.stdout
    assert f"The keys are in {tmp_path / 'elsewhere' / KEY_FILE}." in restored.stdout
    there = opened(elsewhere)
    assert there.instances.get("ann", instance_id).secrets_set == {"apiKey"}
    there.close()
    (key,) = read_key_file(tmp_path / "elsewhere")
    for said in (saved.stdout, restored.stdout, refused.stderr):
        assert PASSPHRASE not in said
        assert key not in said


def test_both_are_in_the_audit_trail(environment: dict[str, str], tmp_path: Path, passphrase: str) -> None:
    invoke(environment, "migrate")
    file = str(tmp_path / "monday.backup")
    invoke(environment, "backup", file, "--passphrase-file", passphrase)
    told = invoke(environment, "audit", "--json").stdout
    (entry,) = json.loads(told)["entries"]
    assert (entry["who"], entry["what"], entry["detail"]) == ("cli", "admin.backup", "monday.backup")
    assert invoke(environment, "restore", file, "--passphrase-file", passphrase).exit_code == 0
    (entry,) = json.loads(invoke(environment, "audit", "--json").stdout)["entries"]
    assert (entry["who"], entry["what"]) == ("cli", "admin.restore")
    assert entry["detail"].startswith("the backup of 20")
    again = invoke(environment, "restore", file, "--passphrase-file", str(tmp_path / "nowhere"))
    assert again.exit_code == 2
    assert len(json.loads(invoke(environment, "audit", "--json").stdout)["entries"]) == 1


def test_a_backup_of_before_there_was_a_trail_is_made_all_the_same(
    environment: dict[str, str], tmp_path: Path, passphrase: str
) -> None:
    platform = opened(environment)
    with platform.database.transaction():
        platform.database.peewee.execute_sql("DROP TABLE audit")
        platform.database.peewee.execute_sql("DELETE FROM schema_migration WHERE name >= '0013'")
    platform.close()
    saved = invoke(environment, "backup", str(tmp_path / "backup"), "--passphrase-file", passphrase)
    assert (saved.exit_code, saved.stderr.partition(":")[0]) == (0, "Warning")
    assert (tmp_path / "backup").exists()


def test_a_person_is_asked_for_the_passphrase(environment: dict[str, str], folder: Path, tmp_path: Path) -> None:
    invoke(environment, "migrate")
    file = str(tmp_path / "backup")
    code, seen = on_terminal(environment, [PASSPHRASE, PASSPHRASE], "backup", file)
    assert code == 0, seen
    assert PASSPHRASE not in seen
    code, seen = on_terminal(environment, [PASSPHRASE + "!"], "restore", file)
    assert code == 1, seen
    assert "The passphrase is not the one that it was made with" in seen
    assert PASSPHRASE not in seen


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_where_nobody_can_be_asked_that_is_said(environment: dict[str, str], tmp_path: Path, command: str) -> None:
    called = invoke(environment, command, str(tmp_path / "backup"))
    assert (called.exit_code, called.stdout) == (2, "")
    assert "Give it with --passphrase-file FILE." in called.stderr


def trail(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return who did what, and the detail, the newest last."""
    platform = opened(environment)
    entries = platform.audit.newest(100)[::-1]
    platform.close()
    return [(entry.who, entry.what, entry.detail) for entry in entries]


def test_the_audit_trail_tells_of_each(environment: dict[str, str], tmp_path: Path, passphrase: str) -> None:
    invoke(environment, "migrate")
    file = str(tmp_path / "backup")
    before = invoke(environment, "backup", str(tmp_path / "before"), "--passphrase-file", passphrase, "--json")
    assert json.loads(before.stdout)["noted"] is True
    assert invoke(environment, "rotate-keys").exit_code == 0
    assert invoke(environment, "backup", file, "--passphrase-file", passphrase).exit_code == 0
    noted = [("cli", "admin.backup", "before"), ("cli", "admin.rotate_keys", "")]
    assert trail(environment) == [*noted, ("cli", "admin.backup", "backup")]
    assert invoke(environment, "restore", file, "--passphrase-file", passphrase, "--replace").exit_code == 0
    *kept, (who, what, detail) = trail(environment)
    assert kept == noted, "as it was when the backup was made"
    assert (who, what, detail[:14]) == ("cli", "admin.restore", "the backup of ")
    refused = invoke(environment, "restore", str(tmp_path / "nothing"), "--passphrase-file", passphrase)
    assert (refused.exit_code, len(trail(environment))) == (1, len(noted) + 1)


@pytest.mark.parametrize("why", ["locked", "older", "newer"])
def test_a_backup_is_good_where_the_trail_cannot_tell_of_it(
    environment: dict[str, str], folder: Path, tmp_path: Path, passphrase: str, why: str
) -> None:
    """A disk that is full is what one makes a backup for."""
    invoke(environment, "migrate")
    with closing(sqlite3.connect(folder / "clawdeploy.db", isolation_level=None)) as other:
        if why == "older":
            other.execute("DELETE FROM schema_migration WHERE name = (SELECT max(name) FROM schema_migration)")
        elif why == "newer":
            other.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_from_the_future', '2030-01-01')")
        else:
            other.execute("BEGIN IMMEDIATE")
        called = invoke(environment, "backup", str(tmp_path / "backup"), "--passphrase-file", passphrase)
    assert called.exit_code == 0
    assert "holds 0 bots and 0 secrets" in called.stdout
    assert called.stderr.startswith("Warning: The backup is good, but the audit trail does not tell of it")
    elsewhere = environment | {"CLAWDEPLOY_DATA_DIR": str(tmp_path / "elsewhere")}
    if why == "locked":
        assert invoke(elsewhere, "restore", str(tmp_path / "backup"), "--passphrase-file", passphrase).exit_code == 0


@pytest.mark.parametrize("weak", ["", "elevenchars", "\nsecond line is not read"])
def test_a_passphrase_that_is_easily_guessed_is_refused(
    environment: dict[str, str], tmp_path: Path, passphrase: str, weak: str
) -> None:
    invoke(environment, "migrate")
    Path(passphrase).write_text(weak)
    called = invoke(environment, "backup", str(tmp_path / "backup"), "--passphrase-file", passphrase)
    assert called.exit_code == 2
    assert "at least 12 characters" in called.stderr
    assert not (tmp_path / "backup").exists()


def test_a_passphrase_that_is_no_text_is_refused(environment: dict[str, str], tmp_path: Path, passphrase: str) -> None:
    invoke(environment, "migrate")
    Path(passphrase).write_bytes(b"\xff\xfe" * 16)
    for command in ("backup", "restore"):
        called = invoke(environment, command, str(tmp_path / "backup"), "--passphrase-file", passphrase)
        assert called.exit_code == 2
        assert "it has to be UTF-8" in called.stderr
    assert not (tmp_path / "backup").exists()


def test_a_passphrase_comes_from_standard_input_too(environment: dict[str, str], tmp_path: Path) -> None:
    invoke(environment, "migrate")
    for arguments in (["backup", str(tmp_path / "b")], ["restore", str(tmp_path / "b")]):
        opener = Opener(environment)
        called = CliRunner().invoke(
            command_line(opener), [*arguments, "--passphrase-file", "-"], input=f"{PASSPHRASE}\r\n", obj=opener
        )
        assert called.exit_code == 0, called.output


def test_a_backup_brings_nothing_up_to_date_and_makes_nothing(
    environment: dict[str, str], folder: Path, tmp_path: Path, passphrase: str
) -> None:
    called = invoke(environment, "backup", str(tmp_path / "backup"), "--passphrase-file", passphrase)
    assert (called.exit_code, called.stdout) == (1, "")
    assert "There is nothing to back up" in called.stderr
    assert not folder.exists()


# -- rotate-keys -----------------------------------------------------------------------------------------------------


def test_keys_are_rotated_by_command(environment: dict[str, str], folder: Path) -> None:
    platform = opened(environment)
    made(platform, apiKey="sk-1")
    platform.close()
    before = read_key_file(folder)
    told = invoke(environment, "rotate-keys")
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.splitlines()[0] == "Encrypted anew: 1 secrets of bots, 0 remembered requests."
    assert f"{folder / KEY_FILE} holds a new key, and the old one is gone." in told.stdout
    (after,) = read_key_file(folder)
    assert after not in before
    assert not any(key in told.stdout for key in (*before, after))
    (folder / KEY_FILE).write_text(f"{after}\n{new_key()}\n")
    assert "held several keys. It holds the first one alone now" in invoke(environment, "rotate-keys").stdout
    assert read_key_file(folder) == (after,)


def test_keys_in_the_setting_are_the_operators_to_change(environment: dict[str, str]) -> None:
    old, new = new_key(), new_key()
    made_with = environment | {"CLAWDEPLOY_SECRET_KEYS": old}
    invoke(made_with, "migrate")
    alone = invoke(made_with, "rotate-keys")
    assert (alone.exit_code, alone.stdout) == (1, "")
    assert "(2) put it in front of the old one" in alone.stderr
    told = invoke(environment | {"CLAWDEPLOY_SECRET_KEYS": f"{new},{old}"}, "rotate-keys")
    assert (told.exit_code, told.stderr) == (0, "")
    assert "Now take the others out of it" in told.stdout
    assert invoke(environment | {"CLAWDEPLOY_SECRET_KEYS": new}, "migrate").exit_code == 0
    assert invoke(made_with, "migrate").exit_code == 1


def test_a_secret_that_no_key_opens_is_named(environment: dict[str, str], folder: Path) -> None:
    platform = opened(environment)
    instance_id = made(platform, apiKey="sk-1")
    with platform.database.transaction():
        platform.database.peewee.execute_sql("UPDATE secret SET ciphertext = 'damaged'")
    platform.close()
    told = invoke(environment, "rotate-keys", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["unreadable"] == [f"apiKey of {instance_id}"]
    assert f"The apiKey of {instance_id} cannot be decrypted with any of the keys" in told.stderr
    assert len(read_key_file(folder)) == 2
