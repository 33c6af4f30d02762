"""Restoring a backup: everything is read and checked before anything is kept."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import peewee

from clawdeploy.core.backup import tables
from clawdeploy.core.backup.making import audit_trail
from clawdeploy.core.backup.reading import BackupLines, opened
from clawdeploy.core.backup.sealed_file import ALTERED, SealedReader
from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import BackupUnusable, ConfigurationError, WrongKey
from clawdeploy.core.holders import is_dead, lapsed
from clawdeploy.core.key_file import KEY_FILE, read_key_file, write_key_file
from clawdeploy.core.key_ring import KeyRing
from clawdeploy.core.lease import LIFETIME
from clawdeploy.core.settings import DATA_DIR, SECRET_KEYS

ROWS_AT_ONCE = 100
FIRST_MIGRATION = "0001_first_tables"

FOREIGN = (
    "{} has tables of another program with names that ClawDeploy uses. Nothing was changed. Choose another database."
)

HAS_BOTS = (
    "{} has bots in it: {}. Restoring puts what is in the backup in the place of all that: bots that it does not have, "
    "and whatever was changed since, would be lost, while their containers go on running. Nothing was changed. If that "
    "is what you want, make a backup of what is there now (clawdeploy backup), and call this again with --replace."
)
IN_USE = (
    "A server uses {} right now. Stop it first, on whatever machine it runs, and call this again. Nothing was changed."
)
OTHER_KEYS = (
    f"The secrets in the backup are encrypted with keys that {SECRET_KEYS.name} does not hold. Nothing was changed. "
    "Set it to the keys of the server that the backup is from; or leave it unset, for this command and for the server: "
    "then the keys are taken from the backup and put into {}."
)


@dataclass(frozen=True)
class Restored:
    """What was restored: how many bots and secrets, of when, and the key file if the keys are there now."""

    bots: int
    secrets: int
    made_at: str
    key_file: str | None


def restore(
    database: Database,
    config: Config,
    path: Path,
    passphrase: Secret,
    clock: Callable[[], datetime],
    *,
    replace: bool = False,
) -> Restored:
    """Put what a backup holds in the place of what a database holds: all of it, or nothing.

    The database gets the tables of this version. With ``replace`` it may have bots. Raises ``BackupUnusable`` for a
    file that cannot be used, ``ConfigurationError`` for a database or keys that do not allow it, and
    ``DatabaseUnavailable``.
    """
    with opened(path) as file:
        lines = BackupLines(SealedReader(file, passphrase))
        heading = lines.heading()
        with tables.rebuilding(database):
            _refuse(database, clock(), replace=replace)
            _clear(database)
            tables.make(database, heading["migrations"])
            rows = _fill(database, lines)
            keys = KeyRing(lines.end["keys"])
            _check(database, config, keys)
            tables.make(database)
            audit_trail(database, config, clock).note("admin.restore", detail=f"the backup of {heading['madeAt']}")
            _keep(config, keys)
    file_of_keys = None if config[SECRET_KEYS] else str(config[DATA_DIR] / KEY_FILE)
    return Restored(rows["instance"], rows["secret"], heading["madeAt"], file_of_keys)


def _refuse(database: Database, now: datetime, *, replace: bool) -> None:
    """Raise ``ConfigurationError`` when a database must not be overwritten."""
    there = set(database.peewee.get_tables())
    if not there & set(tables.all_names()):
        return
    if FIRST_MIGRATION not in tables.applied(database):
        raise ConfigurationError(FOREIGN.format(database.label))
    # A newer version's database is refused by this.
    database.pending()
    lease = database.tables.lease
    if any(not is_dead(row.holder) for row in lease.select().where(~lapsed(lease.until, now, LIFETIME))):
        raise ConfigurationError(IN_USE.format(database.label))
    bots = tables.bound(database, "instance", ["id"]).select().count()
    if bots and not replace:
        raise ConfigurationError(HAS_BOTS.format(database.label, bots))


def _clear(database: Database) -> None:
    there = set(database.peewee.get_tables())
    for name in (*reversed(tables.all_names()), tables.HISTORY):
        if name in there:
            database.peewee.execute_sql(f'DROP TABLE "{name}"')


def _fill(database: Database, lines: BackupLines) -> dict[str, int]:
    """Put all rows into the tables; returns how many each has."""
    filled: dict[str, int] = {}
    for name, columns, rows in lines.tables():
        table, types = tables.bound(database, name, columns), tables.columns(database, name)
        truths = [place for place, column in enumerate(columns) if types[column] == "boolean"]
        filled[name] = 0
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            for row in batch:
                for place in truths:
                    # SQLite has numbers for them.
                    row[place] = None if row[place] is None else bool(row[place])
            table.insert(batch, columns=[getattr(table, column) for column in columns]).execute()
            filled[name] += len(batch)
        _count_on(database, name, columns)
    if filled != lines.end["rows"]:
        raise BackupUnusable(ALTERED)
    return filled


def _count_on(database: Database, name: str, columns: list[str]) -> None:
    """Have PostgreSQL number the next row after the last one."""
    if database.path is None and "id" in columns:
        ask = database.peewee.execute_sql
        sequence = ask("SELECT pg_get_serial_sequence(%s, 'id')", (name,)).fetchone()[0]
        if sequence is not None:
            rows = tables.bound(database, name, ["id"])
            last = rows.select(peewee.fn.MAX(rows.id)).scalar() or 0
            ask("SELECT setval(%s, %s, false)", (sequence, last + 1))


def _check(database: Database, config: Config, keys: KeyRing) -> None:
    """Raise ``ConfigurationError`` when the keys in the setting do not open all that those of the backup open."""
    if not config[SECRET_KEYS]:
        return
    ring, row = KeyRing(config[SECRET_KEYS]), database.tables
    sealed = row.installation.select(row.installation.key_check) | row.secret.select(row.secret.ciphertext)
    for (ciphertext,) in sealed.tuples():
        if keys.led_by(ciphertext) and not ring.led_by(ciphertext):
            raise ConfigurationError(OTHER_KEYS.format(config[DATA_DIR] / KEY_FILE))


def _keep(config: Config, keys: KeyRing) -> None:
    """Put the keys of the backup into the key file, in front of those that are in it: none is lost by a restore."""
    if config[SECRET_KEYS]:
        return
    folder = config[DATA_DIR]
    there: tuple[str, ...] = ()
    with suppress(WrongKey):
        there = read_key_file(folder)
    if not set(keys.keys) <= set(there):
        write_key_file(folder, KeyRing([*keys.keys, *there]).keys)
