"""Which installation this database is, and whether the key at hand opens it."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import WrongKey
from clawdeploy.core.key_file import KEY_FILE, make_key_file, read_key_file
from clawdeploy.core.key_ring import KeyRing
from clawdeploy.core.models import Tables
from clawdeploy.core.settings import DATA_DIR, SECRET_KEYS
from clawdeploy.core.vault import KEY_CHECK, Vault


def check_key(database: Database, config: Config) -> bool:
    """Say whether there is an installation; writes nothing, also not to a new database.

    Raises ``WrongKey`` when it was made with another key.
    """
    if database.path is not None and not database.path.exists():
        return False
    known = _known(database)
    if known is not None:
        ring_for(known.key_check, config)
    return known is not None


def is_installed(database: Database) -> bool:
    """Say whether a database has all its tables and its installation; makes nothing by asking.

    Raises ``ConfigurationError`` when it was made by a newer ClawDeploy.
    """
    if database.path is not None and not database.path.exists():
        return False
    known = _known(database)
    return known is not None and not database.pending()


def open_installation(
    database: Database, models: Tables, config: Config, clock: Callable[[], datetime]
) -> tuple[str, Vault]:
    """Return the installation's id and its vault; a new database becomes an installation, with a key of its own.

    Raises ``WrongKey``.
    """
    with database.alone(), database.transaction():
        known = models.installation.select().first() or _first(models, config, clock())
    ring_for(known.key_check, config)
    vault = Vault(database, models.installation, lambda: read_keys(config))
    database.hold_on(vault.fits)
    return known.id, vault


def read_keys(config: Config) -> tuple[str, ...]:
    """Return the keys that the settings and the data folder hold now; raises what ``read_key_file`` does."""
    return config[SECRET_KEYS] or read_key_file(config[DATA_DIR])


def ring_for(check: str, config: Config) -> KeyRing:
    """Return the keys that there are, with the one in front that made a ``key_check``.

    Raises ``WrongKey`` when there is none, or none of them did.
    """
    keys, file = read_keys(config), config[DATA_DIR] / KEY_FILE
    if not keys:
        raise WrongKey(
            f"This database was made with a key, but {SECRET_KEYS.name} is not set and {file} does not exist. "
            "Put the key back: a new one could not open the secrets that are stored."
        )
    ring = KeyRing(keys).led_by(check)
    if ring is None:
        where = SECRET_KEYS.name if config[SECRET_KEYS] else file
        raise WrongKey(
            f"The key from {where} does not belong to this database. Nothing was changed. Use the key it was made with."
        )
    return ring


def _known(database: Database) -> Any:
    """Return what has been in every installation's row since the first version, ``None`` where there is none.

    It is read before the migrations, so that later columns may be missing.
    """
    row = database.tables.installation
    with database.reading():
        return row.select(row.id, row.key_check).first() if row.table_exists() else None


def _first(models: Tables, config: Config, now: datetime) -> Any:
    ring = KeyRing(read_keys(config) or make_key_file(config[DATA_DIR]))
    installation = secrets.token_hex(6)
    check = ring.seal(installation, KEY_CHECK, Secret("ok"))
    return models.installation.create(id=installation, key_check=check, created_at=now)
