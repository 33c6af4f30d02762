"""The key file in the data folder: the keys of a key ring, one a line."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet

from clawdeploy.core.errors import ConfigurationError, WrongKey

KEY_FILE = "secret.key"


def read_key_file(folder: Path) -> tuple[str, ...]:
    """Return the keys in the key file, one a line, or nothing when there is no file.

    Raises ``ConfigurationError`` for a file that cannot be read, and ``WrongKey`` for an empty one: a key that is
    lost has to be put back, and making another in its place would hide that.
    """
    path = folder / KEY_FILE
    try:
        keys = tuple(path.read_text(encoding="ascii").split())
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The key file {path} cannot be read: {type(error).__name__}.") from None
    if not keys:
        raise WrongKey(
            f"The key file {path} is empty. Put the key back from a backup; where nothing was ever stored, "
            "remove the file, and a new key is made."
        )
    return keys


def new_key() -> str:
    """Make a key."""
    return Fernet.generate_key().decode()


def make_key_file(folder: Path) -> tuple[str, ...]:
    """Make a key file of mode 0600 unless there is one, and return its keys.

    Of several processes that do this at once one wins and all return its key: the file appears
    complete, by a link, or not at all.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{KEY_FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, folder / KEY_FILE)
        except FileExistsError:
            return read_key_file(folder)
    finally:
        draft.unlink()
    return read_key_file(folder)


def write_key_file(folder: Path, keys: Iterable[str]) -> None:
    """Put these keys into the key file, all at once: whoever reads it finds the old ones or the new ones.

    It keeps its owner, because the server may run as another user than whoever calls this. Raises
    ``ConfigurationError`` when it cannot be written.
    """
    path = (folder / KEY_FILE).resolve()
    draft = path.with_name(f".{KEY_FILE}.new")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A killed process may have left one.
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            with suppress(FileNotFoundError):
                owner = path.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.writelines(f"{key}\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ConfigurationError(f"The key file {path} cannot be written: {error.strerror}.") from None


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
