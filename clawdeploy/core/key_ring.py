"""Secrets at rest, the cryptography of it: a ring of keys.

Each ciphertext is Fernet (AES-128-CBC with HMAC-SHA256, the ``cryptography`` package) over the
value together with the instance and field it belongs to, so that a ciphertext that was moved to another
row or field does not open there.
"""

import json
from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from clawdeploy.core.contracts import Secret
from clawdeploy.core.errors import ConfigurationError, WrongKey

MALFORMED = (
    "A secret key is malformed. A key is 32 random bytes in url-safe base64, 44 characters; "
    "`openssl rand -base64 32 | tr +/ -_` makes one."
)


class KeyRing:
    """Keys of which the first encrypts, and all decrypt."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Take url-safe base64 keys of 32 bytes; raises ``ConfigurationError`` for a malformed one, and for none."""
        self.keys = tuple(dict.fromkeys(keys))
        try:
            self._each = [Fernet(key) for key in self.keys]
            self._all = MultiFernet(self._each)
        except ValueError:
            raise ConfigurationError(MALFORMED) from None

    def __repr__(self) -> str:
        return f"KeyRing({len(self.keys)} keys)"

    def seal(self, instance_id: str, field: str, value: Secret) -> str:
        """Return the ciphertext of a secret, bound to its instance and field."""
        return self._all.encrypt(json.dumps([instance_id, field, value.reveal()]).encode()).decode()

    def open(self, instance_id: str, field: str, ciphertext: str) -> Secret:
        """Return the secret; raises ``WrongKey`` when the key, instance or field is another one."""
        try:
            bound_instance, bound_field, value = json.loads(self._all.decrypt(ciphertext.encode()))
        except InvalidToken:
            raise WrongKey(f"The {field} of instance {instance_id} cannot be decrypted with the present key.") from None
        if (bound_instance, bound_field) != (instance_id, field):
            raise WrongKey(f"The stored {field} of instance {instance_id} belongs to another instance or field.")
        return Secret(value)

    def resealed(self, ciphertext: str) -> str | None:
        """Return what a ciphertext holds, encrypted with the first key; ``None`` when it is that already.

        Raises ``WrongKey`` when no key of the ring opens it.
        """
        if _opens(self._each[0], ciphertext):
            return None
        try:
            return self._all.rotate(ciphertext.encode()).decode()
        except InvalidToken:
            raise WrongKey("A stored secret cannot be decrypted with any of the present keys.") from None

    def led_by(self, ciphertext: str) -> "KeyRing | None":
        """Return the same ring with the key in front that made a ciphertext; ``None`` when none of them did."""
        for key, cipher in zip(self.keys, self._each, strict=True):
            if _opens(cipher, ciphertext):
                return KeyRing([key, *self.keys])
        return None


def _opens(cipher: Fernet, ciphertext: str) -> bool:
    try:
        cipher.decrypt(ciphertext.encode())
    except InvalidToken:
        return False
    return True
