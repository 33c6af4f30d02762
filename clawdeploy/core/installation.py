"""Which installation this database is, and whether the key at hand opens it."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import WrongKey
from clawdeploy.core.models import Tables, tables
from clawdeploy.core.settings import DATA_DIR, SECRET_KEYS
from clawdeploy.core.vault import KEY_FILE, Vault, make_key_file, read_key_file


def check_key(database: Database, config: Config) -> bool:
    """Say whether there is an installation; writes nothing, also not to a new database.

    Raises ``WrongKey`` when it was made with another key.
    """
    if database.path is not None and not database.path.exists():
        return False
    installations = tables(database.peewee).installation
    with database.reading():
        known = installations.select().first() if installations.table_exists() else None
    if known is not None:
        _vault_for(known, config)
    return known is not None


def is_installed(database: Database) -> bool:
    """Say whether a database has all its tables and its installation; makes nothing by asking.

    Raises ``ConfigurationError`` when it was made by a newer ClawDeploy.
    """
    if database.path is not None and not database.path.exists():
        return False
    installations = tables(database.peewee).installation
    with database.reading():
        known = installations.select().first() if installations.table_exists() else None
    return known is not None and not database.pending()


def open_installation(
    database: Database, models: Tables, config: Config, clock: Callable[[], datetime]
) -> tuple[str, Vault]:
    """Return the installation's id and its vault; a new database becomes an installation, with a key of its own.

    Raises ``WrongKey``.
    """
    with database.alone(), database.transaction():
        known = models.installation.select().first() or _first(models, config, clock())
    database.hold_on()
    return known.id, _vault_for(known, config)


def _first(models: Tables, config: Config, now: datetime) -> Any:
    vault = Vault(config[SECRET_KEYS] or read_key_file(config[DATA_DIR]) or make_key_file(config[DATA_DIR]))
    installation = secrets.token_hex(6)
    check = vault.seal(installation, "key_check", Secret("ok"))
    return models.installation.create(id=installation, key_check=check, created_at=now)


def _vault_for(known: Any, config: Config) -> Vault:
    keys = config[SECRET_KEYS] or read_key_file(config[DATA_DIR])
    file = config[DATA_DIR] / KEY_FILE
    if not keys:
        raise WrongKey(
            f"This database was made with a key, but {SECRET_KEYS.name} is not set and {file} does not exist. "
            "Put the key back: a new one could not open the secrets that are stored."
        )
    vault = Vault(keys)
    try:
        vault.open(known.id, "key_check", known.key_check)
    except WrongKey:
        where = SECRET_KEYS.name if config[SECRET_KEYS] else file
        raise WrongKey(
            f"The key from {where} does not belong to this database. Nothing was changed. Use the key it was made with."
        ) from None
    return vault
