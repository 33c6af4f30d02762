"""The first start makes an installation with a key; a wrong or missing key refuses and touches nothing."""

import hashlib
import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from clawdeploy.core.errors import ConfigurationError, WrongKey
from clawdeploy.core.key_file import KEY_FILE
from tests.core.surroundings import OWNER, Surroundings, made
from tests.platforms import memory_platform

KEY, OTHER_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def everything(surroundings: Surroundings) -> dict[str, Any]:
    """Return all there is: every row of every table, and name, mode and content of every file."""
    rows = {}
    for name in ("installation", "instance", "secret", "credential", "lease"):
        with surroundings.looking().reading():
            rows[name] = list(getattr(surroundings.rows, name).select().tuples())
    surroundings.looking().close()
    files = {
        str(path.relative_to(surroundings.folder)): (
            stat.filemode(path.stat().st_mode),
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(surroundings.folder.rglob("*"))
    }
    return {**rows, **files}


def test_the_first_start_makes_a_key_and_an_installation(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    assert stat.S_IMODE((surroundings.folder / KEY_FILE).stat().st_mode) == 0o600
    assert len(platform.installation) == 12
    assert surroundings.open().installation == platform.installation
    assert surroundings.count("installation") == 1


def test_a_key_from_the_environment_makes_no_file(surroundings: Surroundings) -> None:
    made(surroundings.open(SECRET_KEYS=KEY), apiKey="sk-1")
    assert not (surroundings.folder / KEY_FILE).exists()
    assert surroundings.open(SECRET_KEYS=KEY).installation


def test_keys_rotate(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open(SECRET_KEYS=KEY), apiKey="sk-1")
    platform = surroundings.open(SECRET_KEYS=f"{OTHER_KEY},{KEY}")
    platform.instances.patch(OWNER, instance_id, {"status": "stopped"})
    assert platform.instances.start(OWNER, instance_id).status == "running"


@pytest.mark.parametrize("wrong", ["setting", "file", "missing file", "no setting", "empty file"])
def test_a_wrong_or_missing_key_refuses_and_touches_nothing(surroundings: Surroundings, wrong: str) -> None:
    made_with: dict[str, Any] = {"SECRET_KEYS": KEY} if wrong == "no setting" else {}
    platform = surroundings.open(**made_with)
    made(platform, apiKey="sk-1")
    platform.close()
    key_file = surroundings.folder / KEY_FILE
    if wrong == "file":
        key_file.write_text(OTHER_KEY)
    elif wrong == "empty file":
        key_file.write_text("")
    elif wrong == "missing file":
        key_file.unlink()
    settings: dict[str, Any] = {"SECRET_KEYS": OTHER_KEY} if wrong == "setting" else {}
    before = everything(surroundings)
    with pytest.raises(WrongKey) as refused:
        surroundings.open(**settings)
    assert everything(surroundings) == before
    said = refused.value.detail
    assert OTHER_KEY not in said
    if wrong == "empty file":
        assert f"The key file {key_file} is empty. Put the key back" in said
    elif wrong in ("missing file", "no setting"):
        assert "CLAWDEPLOY_SECRET_KEYS is not set" in said
        assert str(key_file) in said
        assert "Put the key back" in said
    else:
        where = "CLAWDEPLOY_SECRET_KEYS" if wrong == "setting" else str(key_file)
        assert f"The key from {where} does not belong to this database. Nothing was changed." in said


def test_a_malformed_key_refuses_the_first_start_and_makes_no_installation(surroundings: Surroundings) -> None:
    with pytest.raises(ConfigurationError, match="malformed"):
        surroundings.open(SECRET_KEYS="hunter2")
    assert surroundings.count("installation") == 0
    assert surroundings.open().installation


def test_a_key_file_that_was_there_first_is_used(surroundings: Surroundings) -> None:
    (surroundings.folder / KEY_FILE).write_text(f"{KEY}\n")
    surroundings.open().close()
    assert surroundings.open(SECRET_KEYS=KEY).installation


def first_start(folder: str, url: str, answer: Any) -> None:
    """Run in a process of its own."""
    platform = memory_platform(Path(folder), DATABASE_URL=url)
    answer.put((platform.installation, platform.applied_migrations))
    platform.close()


def test_two_processes_at_the_first_start_make_one_installation(database_url: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    both = [context.Process(target=first_start, args=(str(tmp_path), database_url, answer)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    (one, applied), (other, also_applied) = answer.get(), answer.get()
    assert one == other
    assert sorted([bool(applied), bool(also_applied)]) == [False, True]
    assert len((tmp_path / KEY_FILE).read_text().split()) == 1
