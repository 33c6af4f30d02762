"""Secrets at rest.

Each ciphertext is Fernet (AES-128-CBC with HMAC-SHA256, the ``cryptography`` package) over the
value together with the instance and field it belongs to, so that a ciphertext that was moved to another
row or field does not open there.
"""

import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from clawdeploy.core.contracts import Secret
from clawdeploy.core.errors import ConfigurationError, WrongKey

KEY_FILE = "secret.key"


class Vault:
    """Encrypts and decrypts with a ring of keys: the first one encrypts, all of them decrypt."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        """Take url-safe base64 keys of 32 bytes; raises ``ConfigurationError`` for a malformed one."""
        try:
            self._ring = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ConfigurationError(
                "A secret key is malformed. A key is 32 random bytes in url-safe base64, 44 characters; "
                "`openssl rand -base64 32 | tr +/ -_` makes one."
            ) from None

    def seal(self, instance_id: str, field: str, value: Secret) -> str:
        """Return the ciphertext of a secret, bound to its instance and field."""
        return self._ring.encrypt(json.dumps([instance_id, field, value.reveal()]).encode()).decode()

    def open(self, instance_id: str, field: str, ciphertext: str) -> Secret:
        """Return the secret; raises ``WrongKey`` when the key, instance or field is another one."""
        try:
            bound_instance, bound_field, value = json.loads(self._ring.decrypt(ciphertext.encode()))
        except InvalidToken:
            raise WrongKey(f"The {field} of instance {instance_id} cannot be decrypted with the present key.") from None
        if (bound_instance, bound_field) != (instance_id, field):
            raise WrongKey(f"The stored {field} of instance {instance_id} belongs to another instance or field.")
        return Secret(value)


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
            file.write(Fernet.generate_key().decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, folder / KEY_FILE)
        except FileExistsError:
            return read_key_file(folder)
    finally:
        draft.unlink()
    return read_key_file(folder)
