"""Replacing the key: everything that is stored encrypted is encrypted anew, while servers use the database.

The order makes it safe to be killed at any moment and begun again. First the new key is put where all processes find
it. Then the database's ``key_check`` is made with it, in one commit: from then on everybody encrypts with the new key,
and what was encrypted with an old one before is there to be seen. So one pass finds all of it, and whatever changed
under its hands was encrypted with the new key already. The old key goes last.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from clawdeploy.core.config import Config
from clawdeploy.core.database import MIGRATES_WITHIN, Database
from clawdeploy.core.errors import ConfigurationError, WrongKey
from clawdeploy.core.installation import read_keys, ring_for
from clawdeploy.core.key_file import KEY_FILE, new_key, write_key_file
from clawdeploy.core.key_ring import KeyRing
from clawdeploy.core.models import Tables
from clawdeploy.core.settings import DATA_DIR, SECRET_KEYS

ROWS_AT_ONCE = 100
"""How many rows are changed in one transaction: others wait for that long."""

ONE_KEY = (
    f"{SECRET_KEYS.name} holds one key, so there is none to change to. Nothing was changed. To change it: (1) make a "
    "new key with `openssl rand -base64 32 | tr +/ -_`; (2) put it in front of the old one, with a comma between, "
    "wherever the setting is made; (3) start all servers again; (4) run this command again, with the same setting."
)


@dataclass(frozen=True)
class Rotated:
    """What a rotation did.

    ``secrets`` and ``requests`` are how many secrets of bots, and fingerprints of remembered requests, were encrypted
    anew. ``unreadable`` names the secrets that no key opens. ``made`` says whether a new key was made, ``dropped`` how
    many old ones left the key file. ``file`` is that, ``None`` when the keys are in the setting.
    """

    secrets: int
    requests: int
    unreadable: list[str]
    made: bool
    dropped: int
    file: str | None


class KeyRotation:
    """Encrypts everything in one database with the first key of the ring. One process at a time does."""

    def __init__(self, database: Database, tables: Tables, config: Config) -> None:
        self._database = database
        self._tables = tables
        self._config = config
        self._file = None if config[SECRET_KEYS] else config[DATA_DIR] / KEY_FILE

    def run(self) -> Rotated:
        """Do it, or finish what a killed process began.

        A key file with a single key gets a new one in front, and keeps that alone in the end, unless something cannot
        be decrypted. Raises ``ConfigurationError`` when there is no other key, or the file cannot be written,
        ``WrongKey``, and ``DatabaseUnavailable``; then it can be run again.
        """
        with self._database.alone(MIGRATES_WITHIN):
            ring, made = self._ring()
            self._change_to(ring)
            secrets, unreadable = self._resealed(self._tables.secret, "ciphertext", ring)
            # What a request was is not known any more where no key opens it; in a day nobody asks.
            requests, _ = self._resealed(self._tables.idempotency, "fingerprint", ring)
            dropped = self._dropped(ring) if not unreadable else 0
        names = [f"{field} of {instance_id}" for instance_id, field in unreadable]
        return Rotated(secrets, requests, names, made, dropped, str(self._file) if self._file else None)

    def _ring(self) -> tuple[KeyRing, bool]:
        """Return the ring with the key in front that is to encrypt, and whether that was made just now."""
        keys = self._keys()
        with self._database.reading():
            ring_for(self._tables.installation.get().key_check, self._config)
        if len(keys) > 1:
            return KeyRing(keys), False
        if self._file is None:
            raise ConfigurationError(ONE_KEY)
        ring = KeyRing([new_key(), *keys])
        write_key_file(self._file.parent, ring.keys)
        return ring, True

    def _keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(read_keys(self._config)))

    def _change_to(self, ring: KeyRing) -> None:
        """Have everybody encrypt with the first key from now on; waits for those who are about to store something."""
        row = self._tables.installation
        with self._database.transaction():
            check = ring.resealed(row.get().key_check)
            if check is not None:
                row.update(key_check=check).execute()

    def _resealed(self, row: Any, column: str, ring: KeyRing) -> tuple[int, list[tuple[str, ...]]]:
        """Encrypt a column anew; returns how many of its values, and the keys of the rows that cannot be opened."""
        names = row._meta.primary_key.field_names
        with self._database.reading():
            stored = iter(list(row.select(*(getattr(row, name) for name in (*names, column))).tuples()))
        changed, unreadable = 0, []
        while batch := list(islice(stored, ROWS_AT_ONCE)):
            with self._database.transaction():
                for *key, before in batch:
                    try:
                        after = ring.resealed(before)
                    except WrongKey:
                        unreadable.append(tuple(key))
                        continue
                    if after is not None:
                        changed += self._replaced(row, column, dict(zip(names, key, strict=True)), before, after)
        return changed, unreadable

    def _replaced(self, row: Any, column: str, key: dict[str, str], before: str, after: str) -> int:
        """Put a ciphertext in the place of another, if that is still there; says how often."""
        here = [getattr(row, name) == value for name, value in {**key, column: before}.items()]
        return int(row.update(**{column: after}).where(*here).execute())

    def _dropped(self, ring: KeyRing) -> int:
        """Leave only the first key in the file, unless somebody has changed that meanwhile."""
        if self._file is None or self._keys() != ring.keys:
            return 0
        self._database.forget_overwritten()
        write_key_file(self._file.parent, ring.keys[:1])
        return len(ring.keys) - 1
