"""Secrets at rest: the key ring, binding to instance and field, and the key file."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from clawdeploy.core.contracts import Secret
from clawdeploy.core.errors import ConfigurationError, WrongKey
from clawdeploy.core.key_file import KEY_FILE, make_key_file, read_key_file, write_key_file
from clawdeploy.core.key_ring import KeyRing

KEY, OTHER_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.mark.parametrize("value", ["x", "sk-1234567890", "ключ 🙂", '"\\\n', "x" * 4096, ""])
def test_what_is_sealed_is_opened(value: str) -> None:
    ring = KeyRing((KEY,))
    sealed = ring.seal("one", "apiKey", Secret(value))
    assert sealed.isascii()
    assert len(value) < 10 or value not in sealed
    assert ring.open("one", "apiKey", sealed) == Secret(value)


def test_the_same_secret_looks_different_every_time() -> None:
    ring = KeyRing((KEY,))
    assert ring.seal("one", "apiKey", Secret("x")) != ring.seal("one", "apiKey", Secret("x"))


def test_keys_rotate_the_first_seals_and_all_open() -> None:
    old = KeyRing((OTHER_KEY,)).seal("one", "apiKey", Secret("x"))
    rotated = KeyRing((KEY, OTHER_KEY))
    assert rotated.open("one", "apiKey", old) == Secret("x")
    new = rotated.seal("one", "apiKey", Secret("y"))
    assert KeyRing((KEY,)).open("one", "apiKey", new) == Secret("y")
    with pytest.raises(WrongKey):
        KeyRing((OTHER_KEY,)).open("one", "apiKey", new)


@pytest.mark.parametrize(("instance_id", "field"), [("two", "apiKey"), ("one", "botToken")])
def test_a_ciphertext_does_not_open_elsewhere(instance_id: str, field: str) -> None:
    ring = KeyRing((KEY,))
    sealed = ring.seal("one", "apiKey", Secret("x"))
    with pytest.raises(WrongKey) as refused:
        ring.open(instance_id, field, sealed)
    assert "belongs to another instance or field" in refused.value.detail


@pytest.mark.parametrize("ciphertext", ["", "damaged", "ü", "gAAAAA=="])
def test_a_damaged_ciphertext_does_not_open(ciphertext: str) -> None:
    with pytest.raises(WrongKey):
        KeyRing((KEY,)).open("one", "apiKey", ciphertext)


def test_a_changed_ciphertext_does_not_open() -> None:
    sealed = KeyRing((KEY,)).seal("one", "apiKey", Secret("x"))
    changed = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]
    with pytest.raises(WrongKey):
        KeyRing((KEY,)).open("one", "apiKey", changed)


@pytest.mark.parametrize("keys", [(), ("short",), (KEY, "x"), ("ü" * 44,), ("!" * 44,), (KEY[:-4],)])
def test_a_malformed_key_is_refused_and_not_shown(keys: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        KeyRing(keys)
    assert "openssl rand" in refused.value.detail
    assert KEY[:-4] not in refused.value.detail


def test_the_key_that_openssl_makes_fits() -> None:
    # openssl rand -base64 32 | tr +/ -_
    KeyRing(("k3Yp-2xJXU1VxA9hHqv5Yl3D3m_0oTz0o1W0J5Qw8eE=",))


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    assert read_key_file(tmp_path) == ()
    keys = make_key_file(folder)
    assert make_key_file(folder) == keys == read_key_file(folder)
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == [folder / KEY_FILE]
    KeyRing(keys)


def test_the_key_file_may_hold_several_keys(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text(f"{KEY}\n\n  {OTHER_KEY}\n")
    assert read_key_file(tmp_path) == (KEY, OTHER_KEY)


def test_of_many_that_make_a_key_file_at_once_all_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: make_key_file(tmp_path), range(32)))
    assert made == {read_key_file(tmp_path)}
    assert list(tmp_path.iterdir()) == [tmp_path / KEY_FILE]


def test_a_key_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key_file(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / KEY_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key_file(other)


@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_an_empty_key_file_is_said_to_be_empty_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content)
    for use in (read_key_file, make_key_file):
        with pytest.raises(WrongKey, match=r"secret\.key is empty"):
            use(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == content


def test_a_key_file_is_replaced_all_at_once_and_keeps_its_owner(tmp_path: Path) -> None:
    make_key_file(tmp_path)
    os.chown(tmp_path / KEY_FILE, 65534, 65534)
    (tmp_path / f".{KEY_FILE}.new").write_text("half of a k")
    write_key_file(tmp_path, (KEY, OTHER_KEY))
    assert read_key_file(tmp_path) == (KEY, OTHER_KEY)
    found = (tmp_path / KEY_FILE).stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o600, 65534, 65534)
    assert list(tmp_path.iterdir()) == [tmp_path / KEY_FILE]


def test_a_key_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    make_key_file(elsewhere)
    data = tmp_path / "data"
    data.mkdir()
    (data / KEY_FILE).symlink_to(elsewhere / KEY_FILE)
    write_key_file(data, (KEY,))
    assert read_key_file(elsewhere) == read_key_file(data) == (KEY,)
    assert (data / KEY_FILE).is_symlink()


def test_a_key_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_key_file(tmp_path, (KEY,))
    assert list(tmp_path.iterdir()) == [tmp_path / KEY_FILE]


# -- the ring --------------------------------------------------------------------------------------------------------


def test_the_key_that_made_a_ciphertext_leads() -> None:
    sealed = KeyRing((OTHER_KEY,)).seal("one", "apiKey", Secret("x"))
    ring = KeyRing((KEY, OTHER_KEY, KEY))
    assert ring.keys == (KEY, OTHER_KEY)
    led = ring.led_by(sealed)
    assert led is not None
    assert led.keys == (OTHER_KEY, KEY)
    assert KeyRing((KEY,)).led_by(sealed) is None


def test_what_was_sealed_with_another_key_is_resealed_with_the_first() -> None:
    ring = KeyRing((KEY, OTHER_KEY))
    sealed = ring.resealed(KeyRing((OTHER_KEY,)).seal("one", "apiKey", Secret("x")))
    assert sealed is not None
    assert KeyRing((KEY,)).open("one", "apiKey", sealed) == Secret("x")
    assert ring.resealed(sealed) is None
    with pytest.raises(WrongKey):
        KeyRing((OTHER_KEY,)).resealed(sealed)


def test_a_ring_shows_no_key() -> None:
    assert repr(KeyRing((KEY, OTHER_KEY))) == "KeyRing(2 keys)"
