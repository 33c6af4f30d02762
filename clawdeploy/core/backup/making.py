"""Making a backup, while servers work."""

import gzip
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import peewee

import clawdeploy
from clawdeploy.core.answers import timestamp
from clawdeploy.core.audit import AuditTrail
from clawdeploy.core.backup import tables
from clawdeploy.core.backup.sealed_file import SealedWriter
from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.errors import ConfigurationError, DatabaseUnavailable, WrongKey
from clawdeploy.core.idempotency import HEADER
from clawdeploy.core.installation import check_key, read_keys
from clawdeploy.core.key_file import sync_folder
from clawdeploy.core.settings import AUDIT_DAYS
from clawdeploy.core.vault import Vault

ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class BackedUp:
    """What is in a backup: how many bots and secrets, and the names of secrets that no key opens.

    ``noted`` is whether the audit trail tells of it.
    """

    bots: int
    secrets: int
    unreadable: list[str]
    bytes: int
    noted: bool


def back_up(database: Database, config: Config, path: Path, passphrase: Secret, now: datetime) -> BackedUp:
    """Write all rows and keys into a new file that only its owner can read.

    Nothing but an entry of the audit trail is new in the database then.
    Raises ``ConfigurationError`` when there is no database, or the file is there or cannot be written, ``WrongKey``,
    and ``DatabaseUnavailable``.
    """
    if not check_key(database, config):
        raise ConfigurationError(f"There is nothing to back up: {database.label} is empty or not there.")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _refuse_existing(path)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            contents = _Contents(database, config)
            _write(file, contents, passphrase, now)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        _refuse_existing(path)
        draft.rename(path)
        sync_folder(path.parent)
    except FileExistsError:
        raise ConfigurationError(f"{path} is there already. Give the backup another name.") from None
    except OSError as error:
        raise ConfigurationError(f"The backup {path} cannot be written: {error.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)
    noted = _noted(database, config, now, path)
    return BackedUp(contents.counts["instance"], contents.counts["secret"], contents.unreadable, size, noted)


def audit_trail(database: Database, config: Config, clock: Callable[[], datetime]) -> AuditTrail:
    """Return the audit trail of a database that is not otherwise open."""
    return AuditTrail(database, database.tables.audit, clock, timedelta(days=config[AUDIT_DAYS]))


def _noted(database: Database, config: Config, now: datetime, path: Path) -> bool:
    """Have the audit trail tell of a backup, and say whether it does.

    A disk that is full must keep nobody from a backup, nor may one change the tables of another version.
    """
    try:
        if database.pending():
            return False
        audit_trail(database, config, lambda: now).note("admin.backup", detail=path.name)
    except (DatabaseUnavailable, ConfigurationError):
        return False
    return True


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise FileExistsError


def _write(file: BinaryIO, contents: "_Contents", passphrase: Secret, now: datetime) -> None:
    with SealedWriter(file, passphrase) as sealed, gzip.GzipFile(fileobj=sealed, mode="wb", mtime=0) as packed:
        for line in contents.lines(now):
            packed.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


class _Contents:
    """What goes into a backup: a heading, the tables one after the other, and in the end the keys."""

    def __init__(self, database: Database, config: Config) -> None:
        self._database = database
        row = database.tables.installation
        self._vault = Vault(database, row, lambda: read_keys(config))
        self.counts: dict[str, int] = {}
        self.unreadable: list[str] = []

    def lines(self, now: datetime) -> Iterator[Any]:
        """Give everything, as it is in one moment."""
        with tables.in_one_moment(self._database):
            yield {
                "version": clawdeploy.__version__,
                "madeAt": timestamp(now),
                "migrations": tables.applied(self._database),
            }
            there = set(self._database.peewee.get_tables())
            for table in tables.all_names():
                if table in there - tables.LEFT_OUT:
                    yield from self._table(table)
        # They open what is above: somebody may have replaced the key a moment ago, and then the vault knows both.
        yield {"keys": self._vault.keys, "rows": self.counts}

    def _table(self, name: str) -> Iterator[Any]:
        columns = list(tables.columns(self._database, name))
        yield {"table": name, "columns": columns}
        self.counts[name] = 0
        for row in _rows(self._database, name, columns):
            self.counts[name] += 1
            self._look(name, dict(zip(columns, row, strict=True)))
            yield row

    def _look(self, table: str, row: dict[str, Any]) -> None:
        """See whether a secret can be opened, so that the keys in the backup are those that it needs."""
        try:
            if table == "secret":
                self._vault.open(row["instance_id"], row["field"], row["ciphertext"])
            elif table == "idempotency":
                self._vault.open(row["owner"], HEADER, row["fingerprint"])
        except WrongKey:
            if table == "secret":
                self.unreadable.append(f"{row['field']} of {row['instance_id']}")


def _rows(database: Database, name: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Give all rows of a table, some at a time in the order of its primary key."""
    table: Any = tables.bound(database, name, columns)
    key = [getattr(table, column) for column in database.peewee.get_primary_keys(name)]
    places = [columns.index(column.name) for column in key]
    query = table.select(*(getattr(table, column) for column in columns)).order_by(*key).limit(ROWS_AT_ONCE).tuples()
    page = list(query)
    while page:
        yield from page
        last = [page[-1][place] for place in places]
        page = list(query.where(peewee.Tuple(*key) > peewee.Tuple(*last)))
