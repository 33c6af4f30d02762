"""Secrets at rest in one database, whose key may be replaced while servers use it.

The database itself says which key encrypts: the one that made its ``key_check``. So all processes change to another
one at the same moment, the commit of a new ``key_check``, and none stores anything with a key that is being given up.
"""

from collections.abc import Callable
from typing import Any

from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import ClawDeployError, DatabaseUnavailable, WrongKey
from clawdeploy.core.key_ring import KeyRing

KEY_CHECK = "key_check"
FOREIGN_KEY = (
    "The secrets in the database are encrypted with a key that this server does not have. "
    "Give it the key, as docs/operations.md tells; until then it neither reads nor stores any."
)


class Vault:
    """Encrypts and decrypts with a ring of keys. Used by many threads."""

    def __init__(self, database: Database, installation: Any, read_keys: Callable[[], tuple[str, ...]]) -> None:
        """Take the database, the model of its installation, and what reads the keys that are there now."""
        self._database = database
        self._installation = installation
        self._read_keys = read_keys
        self._ring = KeyRing(read_keys())
        self._encrypting = ("", self._ring)

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that this process knows."""
        return self._ring.keys

    def seal(self, instance_id: str, field: str, value: Secret) -> str:
        """Return the ciphertext of a secret, bound to its instance and field; to be called in a transaction.

        The key stays the one that encrypts until the transaction ends. Raises ``DatabaseUnavailable`` when that is a
        key that this process does not have.
        """
        check = self._database.shared(self._installation.select(self._installation.key_check)).get().key_check
        ring = self._led_by(check)
        if ring is None:
            raise DatabaseUnavailable(FOREIGN_KEY)
        return ring.seal(instance_id, field, value)

    def open(self, instance_id: str, field: str, ciphertext: str) -> Secret:
        """Return the secret; raises ``WrongKey`` when the key, instance or field is another one.

        Raises ``DatabaseUnavailable`` when this process does not have the key that everything is encrypted with now.
        """
        try:
            return self._ring.open(instance_id, field, ciphertext)
        except WrongKey:
            # Somebody may have replaced the key a moment ago.
            self._take_new_keys()
            with self._database.reading():
                check = self._installation.select(self._installation.key_check).get().key_check
            if not self.fits(check):
                raise DatabaseUnavailable(FOREIGN_KEY) from None
            return self._ring.open(instance_id, field, ciphertext)

    def fits(self, check: str) -> bool:
        """Say whether there is the key that made a ``key_check``."""
        return self._led_by(check) is not None

    def _led_by(self, check: str) -> KeyRing | None:
        """Return the ring with the key in front that made a ``key_check``, the last answer without looking again."""
        known, ring = self._encrypting
        if check == known:
            return ring
        found = self._ring.led_by(check)
        if found is None:
            self._take_new_keys()
            found = self._ring.led_by(check)
        if found is not None:
            self._encrypting = (check, found)
        return found

    def _take_new_keys(self) -> None:
        """Read the keys anew, and keep the old ones: what was read from the database before may need them."""
        try:
            self._ring = KeyRing([*self._ring.keys, *self._read_keys()])
        except ClawDeployError:
            # A file that cannot be read now has no key for us.
            return
