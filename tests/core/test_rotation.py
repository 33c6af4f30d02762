"""The key is replaced, while servers work and by processes that are killed: nothing is lost, the old key is useless."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core import known_database, rotation
from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import ConfigurationError, DatabaseUnavailable, IdempotencyInFlight, WrongKey
from clawdeploy.core.idempotency import Once
from clawdeploy.core.key_file import KEY_FILE, new_key, read_key_file, write_key_file
from clawdeploy.core.key_ring import KeyRing
from clawdeploy.core.platform import Platform
from clawdeploy.core.store import InstanceStore
from tests.core.surroundings import OWNER, Surroundings, made
from tests.platforms import memory_platform

ROWS_AT_ONCE = 2
STEPS = 8
"""How many times a rotation of what :func:`stocked` stores replaces the key file or begins a transaction."""
BODY = {"name": "test"}


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "ROWS_AT_ONCE", ROWS_AT_ONCE)


def store_of(surroundings: Surroundings) -> InstanceStore:
    """Return the store of a server that was started now."""
    return InstanceStore(surroundings.looking(), surroundings.rows, surroundings.vault(), utc_now)


def stocked(surroundings: Surroundings, platform: Platform) -> dict[str, dict[str, Secret]]:
    """Make three bots with two secrets each, and three remembered requests; returns the secrets by bot."""
    token = "123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xy"
    stored = {}
    for number in range(3):
        values = {"apiKey": f"sk-{number}", "botToken": f"{token}{number}"}
        stored[made(platform, **values)] = {name: Secret(value) for name, value in values.items()}
        platform.idempotency.begin(OWNER, "POST /api/instances", f"key-{number}", BODY)
    return stored


def is_remembered(platform: Platform, number: int) -> bool:
    """Say whether the server recognizes the request with this key; one that it cannot read is taken for another."""
    try:
        platform.idempotency.begin(OWNER, "POST /api/instances", f"key-{number}", BODY)
    except IdempotencyInFlight:
        return True
    return False


def ciphertexts(surroundings: Surroundings) -> list[str]:
    """Return everything in any column of any table that looks like a ciphertext."""
    looking = surroundings.looking()
    with looking.reading():
        tables = looking.peewee.get_tables()
        rows = [row for name in tables for row in looking.peewee.execute_sql(f'SELECT * FROM "{name}"').fetchall()]
    return [value for row in rows for value in row if isinstance(value, str) and value.startswith("gAAAA")]


def opened_by(key: str, sealed: list[str]) -> int:
    return sum(KeyRing((key,)).led_by(each) is not None for each in sealed)


def test_everything_that_is_encrypted_is_encrypted_anew(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    stored = stocked(surroundings, platform)
    (old,) = read_key_file(surroundings.folder)
    before = ciphertexts(surroundings)
    assert opened_by(old, before) == 1 + 6 + 3
    rotated = platform.key_rotation.run()
    assert (rotated.secrets, rotated.requests, rotated.unreadable) == (6, 3, [])
    assert (rotated.made, rotated.dropped, rotated.file) == (True, 1, str(surroundings.folder / KEY_FILE))
    (new,) = read_key_file(surroundings.folder)
    after = ciphertexts(surroundings)
    assert (opened_by(old, after), opened_by(new, after), len(after)) == (0, 10, 10)
    assert {each: store_of(surroundings).secrets(each) for each in stored} == stored
    assert all(is_remembered(surroundings.open(), number) for number in range(3))


def test_a_sqlite_file_does_not_keep_what_was_replaced(tmp_path: Path) -> None:
    surroundings = Surroundings(tmp_path, f"sqlite:///{tmp_path / 'bots.db'}")
    platform = surroundings.open()
    stocked(surroundings, platform)
    before = ciphertexts(surroundings)
    surroundings.looking().close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("bots.db*"))
    assert all(each.encode() in kept for each in before), "the search must be able to find something"
    platform.key_rotation.run()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("bots.db*"))
    assert not any(each.encode() in kept for each in before)
    after = ciphertexts(surroundings)
    with surroundings.looking().transaction():
        surroundings.rows.secret.delete().execute()
    surroundings.looking().forget_overwritten()
    surroundings.looking().close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("bots.db*"))
    assert sum(each.encode() in kept for each in after) == 4, "nor what was deleted, such as all six secrets"
    surroundings.close()


def rotate(folder: Path, url: str, killed_at: int | None = None) -> None:
    """Run in a process of its own, which is killed before it takes a step for the time ``killed_at``."""
    rotation.ROWS_AT_ONCE = ROWS_AT_ONCE
    platform = memory_platform(folder, DATABASE_URL=url)
    taken = [0]

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def take(*arguments: Any) -> Any:
            if taken[0] == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            taken[0] += 1
            return step(*arguments)

        return take

    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Database.transaction = counted(Database.transaction)  # type: ignore[method-assign]
    platform.key_rotation.run()
    platform.close()
    assert killed_at is None, f"there are only {taken[0]} steps"


def run_apart(processes: ForkServerContext, surroundings: Surroundings, killed_at: int | None = None) -> None:
    process = processes.Process(target=rotate, args=(surroundings.folder, surroundings.url, killed_at))
    process.start()
    process.join(60)
    assert process.exitcode == (0 if killed_at is None else -signal.SIGKILL)


def test_a_process_that_is_killed_at_any_step_loses_nothing_and_is_finished_by_the_next(
    surroundings: Surroundings, processes: ForkServerContext
) -> None:
    platform = surroundings.open()
    stored = stocked(surroundings, platform)
    server = store_of(surroundings)
    for step in range(STEPS):
        (old,) = read_key_file(surroundings.folder)
        run_apart(processes, surroundings, killed_at=step)
        begun = len(read_key_file(surroundings.folder)) > 1
        for each in (server, store_of(surroundings)):
            assert {instance_id: each.secrets(instance_id) for instance_id in stored} == stored, step
        changed, field = list(stored)[step % 3], ("apiKey", "botToken")[step % 2]
        stored[changed][field] = Secret(f"123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3x-{step}")
        server.change(OWNER, changed, {}, {field: stored[changed][field]})
        rotated = platform.key_rotation.run()
        assert (rotated.made, rotated.dropped) == (not begun, 1), step
        (new,) = read_key_file(surroundings.folder)
        sealed = ciphertexts(surroundings)
        assert (new != old, opened_by(old, sealed), opened_by(new, sealed)) == (True, 0, 10), step
        for each in (server, store_of(surroundings)):
            assert {instance_id: each.secrets(instance_id) for instance_id in stored} == stored, step
        left = {path.name for path in surroundings.folder.iterdir()}
        assert not any(name.startswith(f".{KEY_FILE}") for name in left), left
    assert all(is_remembered(platform, number) for number in range(3))


def test_these_are_all_steps(surroundings: Surroundings) -> None:
    stocked(surroundings, surroundings.open())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", Path.replace)
        patched.setattr(Database, "transaction", Database.transaction)
        with pytest.raises(AssertionError, match=f"only {STEPS} steps"):
            rotate(surroundings.folder, surroundings.url, killed_at=1000)


def test_servers_change_secrets_meanwhile_and_none_is_overwritten(
    surroundings: Surroundings, processes: ForkServerContext
) -> None:
    stored = stocked(surroundings, surroundings.open())
    through, made = threading.Event(), dict.fromkeys(stored, 0)

    def serve(instance_id: str) -> tuple[str, int]:
        """Replace a secret again and again, as a server would; returns the last value and how many there were."""
        server, times = store_of(surroundings), 0
        # Without a pause SQLite's other writers might not get a turn within the time that they wait.
        while not through.wait(0.1):
            server.change(OWNER, instance_id, {}, {"apiKey": Secret(f"sk-{instance_id}-{times}")})
            begun = server.idempotency.begin(OWNER, "POST /x", f"{instance_id}-{times}", BODY)
            assert isinstance(begun, Once)
            times += 1
            made[instance_id] = times
        return f"sk-{instance_id}-{times - 1}", times

    with ThreadPoolExecutor(3) as threads:
        servers = {instance_id: threads.submit(serve, instance_id) for instance_id in stored}
        try:
            run_apart(processes, surroundings)
            run_apart(processes, surroundings)
            while min(made.values()) <= 3:
                # On a busy machine a change may take as long as a rotation.
                run_apart(processes, surroundings)
        finally:
            through.set()
        served = {instance_id: server.result() for instance_id, server in servers.items()}
    assert all(times > 3 for _, times in served.values()), served
    server = store_of(surroundings)
    for instance_id, (last, _) in served.items():
        assert server.secrets(instance_id) == {**stored[instance_id], "apiKey": Secret(last)}
    (key,) = read_key_file(surroundings.folder)
    sealed = ciphertexts(surroundings)
    assert opened_by(key, sealed) == len(sealed)


def test_whoever_is_about_to_store_something_is_waited_for(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    (instance_id,) = [made(platform, apiKey="sk-1")]
    server, sealed, over = store_of(surroundings), threading.Event(), threading.Event()
    original = server._vault.seal

    def seal(*arguments: Any) -> str:
        ciphertext = original(*arguments)
        sealed.set()
        over.wait(1.0)
        return ciphertext

    server._vault.seal = seal  # type: ignore[assignment, method-assign]
    with ThreadPoolExecutor(2) as threads:
        changed = threads.submit(server.change, OWNER, instance_id, {}, {"apiKey": Secret("sk-2")})
        assert sealed.wait(10)
        rotated = threads.submit(platform.key_rotation.run)
        rotated.add_done_callback(lambda _: over.set())
        changed.result(20)
        rotated.result(20)
    (key,) = read_key_file(surroundings.folder)
    everything = ciphertexts(surroundings)
    assert opened_by(key, everything) == len(everything)
    assert store_of(surroundings).secrets(instance_id) == {"apiKey": Secret("sk-2")}


def test_a_secret_that_is_replaced_after_it_was_read_stays_the_new_one(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = surroundings.open()
    stored = stocked(surroundings, platform)
    server, rotating = store_of(surroundings), platform.database
    original, begun = Database.transaction, [0]

    def transaction(self: Database) -> Any:
        if self is rotating:
            begun[0] += 1
            # The first transaction changes the key, and the second one begins after all secrets were read.
            if begun[0] == 2:
                for instance_id, values in stored.items():
                    values["apiKey"] = Secret(f"sk-new-{instance_id}")
                    server.change(OWNER, instance_id, {}, values)
        return original(self)

    monkeypatch.setattr(Database, "transaction", transaction)
    assert platform.key_rotation.run().secrets == 0
    assert {instance_id: store_of(surroundings).secrets(instance_id) for instance_id in stored} == stored


def test_two_rotations_at_once_come_after_one_another(surroundings: Surroundings) -> None:
    platforms = [surroundings.open() for _ in range(2)]
    stored = stocked(surroundings, platforms[0])
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda each: each.key_rotation.run(), platforms))
    assert all(each.made and each.dropped == 1 for each in both)
    assert len(read_key_file(surroundings.folder)) == 1
    assert {each: store_of(surroundings).secrets(each) for each in stored} == stored


# -- what cannot be done ---------------------------------------------------------------------------------------------


def test_a_secret_that_no_key_opens_is_named_and_the_old_key_is_kept(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    stored = stocked(surroundings, platform)
    broken = next(iter(stored))
    row = surroundings.rows.secret
    foreign = KeyRing((new_key(),)).seal(broken, "apiKey", Secret("x"))
    with surroundings.looking().transaction():
        row.update(ciphertext=foreign).where(row.instance_id == broken, row.field == "apiKey").execute()
    rotated = platform.key_rotation.run()
    assert (rotated.unreadable, rotated.dropped, rotated.secrets) == ([f"apiKey of {broken}"], 0, 5)
    assert len(read_key_file(surroundings.folder)) == 2
    store_of(surroundings).change(OWNER, broken, {}, {"apiKey": Secret("sk-new")})
    again = platform.key_rotation.run()
    assert (again.unreadable, again.dropped, again.made) == ([], 1, False)


def test_a_key_file_that_cannot_be_written_changes_nothing(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = surroundings.open()
    stocked(surroundings, platform)
    before = ciphertexts(surroundings)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="cannot be written: No space left"):
        platform.key_rotation.run()
    assert ciphertexts(surroundings) == before
    assert len(read_key_file(surroundings.folder)) == 1


def test_a_key_file_of_another_database_changes_nothing(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    stocked(surroundings, platform)
    before = ciphertexts(surroundings)
    write_key_file(surroundings.folder, [new_key()])
    with pytest.raises(WrongKey):
        platform.key_rotation.run()
    assert ciphertexts(surroundings) == before
    assert len(read_key_file(surroundings.folder)) == 1


def test_a_key_file_that_somebody_changes_meanwhile_is_left_alone(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = surroundings.open()
    theirs = new_key()

    original = rotation.KeyRotation._dropped

    def dropped(self: rotation.KeyRotation, ring: KeyRing) -> int:
        write_key_file(surroundings.folder, [theirs, *ring.keys])
        return original(self, ring)

    monkeypatch.setattr(rotation.KeyRotation, "_dropped", dropped)
    assert platform.key_rotation.run().dropped == 0
    assert theirs in read_key_file(surroundings.folder)


# -- keys in the setting ---------------------------------------------------------------------------------------------


def test_with_one_key_in_the_setting_it_says_what_to_do(surroundings: Surroundings) -> None:
    platform = surroundings.open(SECRET_KEYS=new_key())
    stocked(surroundings, platform)
    before = ciphertexts(surroundings)
    with pytest.raises(ConfigurationError, match=r"\(1\) make a new key.*\(2\) put it in front.*\(3\)"):
        platform.key_rotation.run()
    assert ciphertexts(surroundings) == before
    assert not (surroundings.folder / KEY_FILE).exists()


def test_with_two_keys_in_the_setting_the_first_one_encrypts_everything(surroundings: Surroundings) -> None:
    old, new = new_key(), new_key()
    surroundings.open(SECRET_KEYS=old)
    platform = surroundings.open(SECRET_KEYS=f"{new},{old}")
    made(platform, apiKey="sk-1")
    assert opened_by(new, ciphertexts(surroundings)) == 0, "another server may not have it yet"
    rotated = platform.key_rotation.run()
    assert (rotated.secrets, rotated.made, rotated.dropped, rotated.file) == (1, False, 0, None)
    made(platform, apiKey="sk-2")
    assert opened_by(new, ciphertexts(surroundings)) == 3
    surroundings.open(SECRET_KEYS=new)
    with pytest.raises(WrongKey):
        surroundings.open(SECRET_KEYS=old)


@contextmanager
def without_the_new_key(surroundings: Surroundings) -> Iterator[tuple[Platform, str, str]]:
    """Give a server that was started with the old key alone, its running bot, and the new key, after a rotation."""
    old, new = new_key(), new_key()
    server = surroundings.open(SECRET_KEYS=old)
    instance_id = made(server, apiKey="sk-1")
    surroundings.open(SECRET_KEYS=f"{new},{old}").key_rotation.run()
    yield server, instance_id, new


def test_a_server_without_the_new_key_neither_stores_nor_loses_anything(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_database, "VERIFIED_EVERY", 3600.0)
    with without_the_new_key(surroundings) as (server, instance_id, new):
        before = ciphertexts(surroundings)
        for attempt in (
            lambda: server.instances.patch(OWNER, instance_id, {"apiKey": "sk-2"}),
            lambda: server.idempotency.begin(OWNER, "POST /x", "key", BODY),
            lambda: server.instances.restart(OWNER, instance_id),
        ):
            with pytest.raises(DatabaseUnavailable, match="encrypted with a key that this server does not have"):
                attempt()
        assert ciphertexts(surroundings) == before
        assert surroundings.row(instance_id).status != "error"
        server.close()
        restarted = surroundings.open(SECRET_KEYS=new)
        restarted.reconciler.sync(patience=10)
        assert restarted.instances.get(OWNER, instance_id).status == "running"


def test_a_server_without_the_new_key_notices_by_itself(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_database, "VERIFIED_EVERY", 0.0)
    with (
        without_the_new_key(surroundings) as (server, instance_id, _),
        pytest.raises(DatabaseUnavailable, match="encrypted with a key that this server does not have"),
    ):
        server.instances.get(OWNER, instance_id)


def test_a_server_takes_a_new_key_from_the_file_whenever_it_comes(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another host the file is copied by hand, after the rotation."""
    monkeypatch.setattr(known_database, "VERIFIED_EVERY", 0.0)
    here = surroundings.open()
    instance_id = made(here, apiKey="sk-1")
    host = Surroundings(surroundings.folder / "host", surroundings.url)
    write_key_file(host.folder, read_key_file(surroundings.folder))
    there = host.open()
    here.key_rotation.run()
    with pytest.raises(DatabaseUnavailable):
        there.instances.get(OWNER, instance_id)
    write_key_file(host.folder, read_key_file(surroundings.folder))
    assert there.instances.get(OWNER, instance_id).status == "running"
    assert store_of(host).secrets(instance_id) == {"apiKey": Secret("sk-1")}
    host.close()
