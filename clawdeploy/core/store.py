"""Instances in the database: rows in, frozen snapshots out. Every query of an owner goes through ``_owned``."""

import random
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import peewee

from clawdeploy.core.activity import ActivityLog
from clawdeploy.core.contracts import Activity, Instance, Secret, Status
from clawdeploy.core.cursor import read_cursor, write_cursor
from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable, InstanceNotFound, NoFreePort, WrongKey
from clawdeploy.core.idempotency import Idempotency
from clawdeploy.core.models import Tables
from clawdeploy.core.snapshots import Snapshots
from clawdeploy.core.sync_rows import SyncRows
from clawdeploy.core.vault import Vault

ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
ID_LENGTH = 16
MOST_COLLISIONS = 20

T = TypeVar("T")


def nothing(_: str) -> None:
    """Note nothing."""


def new_id() -> str:
    """Make an id of 80 random bits that is fit for URLs, container names and volume names."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))


@dataclass(frozen=True)
class Page:
    """Some instances of one owner, newest first, and the cursor of the next page if there is one."""

    instances: list[Instance]
    next_cursor: str | None


@dataclass(frozen=True)
class Found:
    """What a search found: one page of it, newest first, and how many there are in all.

    ``counts`` says how many of the owner's instances match the text, by public status, whatever status was asked for.
    """

    instances: list[Instance]
    counts: Mapping[Status, int]
    total: int


class InstanceStore(SyncRows):
    """Reads and writes instances. Methods that take an owner see only that owner's, and no deleted ones."""

    def __init__(self, database: Database, tables: Tables, vault: Vault, clock: Callable[[], datetime]) -> None:
        super().__init__(database, tables, clock)
        self._secret = tables.secret
        self._snapshots = Snapshots(tables, clock).of
        self._vault = vault
        self.activity = ActivityLog(tables.activity)
        self.idempotency = Idempotency(database, tables, vault, clock)

    def owned(self, owner: str, instance_id: str, *, deleted: bool = False) -> Instance:
        """Return one instance of the owner; raises ``InstanceNotFound``.

        ``deleted``: also one that is hidden from its owner, because it could not be removed entirely yet.
        """
        query = self.row.select().where(self.row.owner == owner) if deleted else self._owned(owner)
        with self.database.reading():
            return self._snapshot(self._one(query, instance_id))

    def page(self, owner: str, limit: int | None, cursor: str | None) -> Page:
        """Return the owner's instances, newest first; all of them without a limit."""
        query = self._owned(owner).order_by(self.row.created_at.desc(), self.row.id.desc())
        if cursor is not None:
            at, instance_id = read_cursor(cursor)
            query = query.where(
                (self.row.created_at < at) | ((self.row.created_at == at) & (self.row.id < instance_id))
            )
        with self.database.reading():
            rows = list(query.limit(limit + 1) if limit else query)
            more = bool(limit) and len(rows) > (limit or 0)
            rows = rows[:limit] if limit else rows
            return Page(self._snapshots(rows), write_cursor(rows[-1]) if more else None)

    def search(self, owner: str, text: str, status: str, offset: int, limit: int) -> Found:
        """Return a page of the owner's instances whose name holds ``text`` and that have ``status``, if given."""
        newest_first = self._owned(owner).order_by(self.row.created_at.desc(), self.row.id.desc())
        with self.database.reading():
            # Compared here: what the databases take for the same letter depends on how each was set up.
            names = newest_first.select(self.row.id, self.row.name, self.row.status).tuples()
            matching = [(found, state) for found, name, state in names if text.casefold() in name.casefold()]
            shown = [found for found, state in matching if status in ("", state)]
            page = newest_first.where(self.row.id.in_(shown[offset : offset + limit]))
            counts = Counter(Status(state) for _, state in matching)
            return Found(self._snapshots(list(page)), counts, len(shown))

    def happened(self, owner: str, instance_id: str, limit: int) -> list[Activity]:
        """Return the newest entries of what has happened to an instance; raises ``InstanceNotFound``."""
        with self.database.reading():
            self._one(self._owned(owner), instance_id)
            return self.activity.newest(instance_id, limit)

    def insert(
        self,
        fields: Mapping[str, Any],
        values: Mapping[str, Secret],
        ports: tuple[int, int],
        note: Callable[[str], None] = nothing,
    ) -> Instance:
        """Store a new instance with its secrets and a free host port; ``note`` gets its id in the transaction."""
        now = self.clock()
        moments = {"status_since": now, "operation_since": now, "created_at": now, "updated_at": now}

        def write(port: int | None) -> Instance:
            row = self.row.create(**fields, **moments, id=new_id(), host_port=port)
            self._write_secrets(row.id, values)
            self.activity.asked(row.id, now, row.owner, row.operation)
            note(row.id)
            return self._snapshot(row)

        try:
            return self.with_free_port(ports, (), write)
        except NoFreePort:
            # It is stored all the same: that it has no port is a reason why it does not run, and can pass.
            with self.database.transaction():
                return write(None)

    def with_free_port(self, ports: tuple[int, int], taken: Collection[int], write: Callable[[int], T]) -> T:
        """Run ``write`` in a transaction with a free host port of the range, none of those found taken.

        Raises ``NoFreePort``.
        """
        for _ in range(MOST_COLLISIONS):
            try:
                with self.database.transaction():
                    return write(self._free_port(ports, taken))
            except peewee.IntegrityError:
                # Another process stored the same port first; the column is unique.
                continue
        raise DatabaseUnavailable("Too many bots are being made at once. Try again in a moment.")

    def change(
        self, owner: str, instance_id: str, fields: Mapping[str, Any], values: Mapping[str, Secret | None]
    ) -> Instance:
        """Change an instance's own fields and secrets (``None`` removes one), which its container is yet to read."""
        with self.database.transaction():
            row = self._one(self._owned(owner), instance_id)
            now = self.clock()
            unread = {"secrets_unread": True} if values else {}
            if not self.row.update(**fields, **unread, updated_at=now).where(self.row.id == row.id).execute():
                raise InstanceNotFound
            self._write_secrets(row.id, values)
            self.activity.changed(row.id, now, owner, [*fields, *values])
            return self._snapshot(self._one(self.row.select(), instance_id))

    def secrets(self, instance_id: str) -> dict[str, Secret]:
        """Return the decrypted secrets of an instance by field name."""
        with self.database.reading():
            rows = list(self._secret.select().where(self._secret.instance_id == instance_id))
        return {row.field: self._vault.open(instance_id, row.field, row.ciphertext) for row in rows}

    def differing(self, instance_id: str, values: Mapping[str, Secret | None]) -> dict[str, Secret | None]:
        """Return those of some new secrets (``None`` removes one) that are not stored already.

        All of them for a bot that runs without those that are: whoever gives one once more wants it to be read.
        """
        unread = (self.row.status == Status.RUNNING) & self.row.operation.is_null() & self.row.secrets_unread
        with self.database.reading():
            if values and self.row.select().where(self.row.id == instance_id, unread).exists():
                return dict(values)
        try:
            known = {field: secret.reveal() for field, secret in self.secrets(instance_id).items()} if values else {}
        except WrongKey:
            return dict(values)
        return {each: value for each, value in values.items() if known.get(each) != (value and value.reveal())}

    def _owned(self, owner: str) -> Any:
        return self.row.select().where(self.row.owner == owner, self.row.status != Status.DELETED)

    def _one(self, query: Any, instance_id: str) -> Any:
        row = query.where(self.row.id == instance_id).first()
        if row is None:
            raise InstanceNotFound
        return row

    def _free_port(self, ports: tuple[int, int], taken: Collection[int]) -> int:
        """Choose at random, so that a port freed by one owner is not soon another's."""
        low, high = ports
        used = {
            port for (port,) in self.row.select(self.row.host_port).where(self.row.host_port.is_null(False)).tuples()
        }
        free = [port for port in range(low, high + 1) if port not in used and port not in taken]
        if not free:
            raise NoFreePort(
                f"All ports from {low} to {high} were in use. Delete a bot or widen the port range, then try again."
            )
        return random.choice(free)  # noqa: S311 - a port number is not a secret.

    def _write_secrets(self, instance_id: str, values: Mapping[str, Secret | None]) -> None:
        for field, value in values.items():
            here = (self._secret.instance_id == instance_id) & (self._secret.field == field)
            self._secret.delete().where(here).execute()
            if value is not None:
                sealed = self._vault.seal(instance_id, field, value)
                self._secret.create(instance_id=instance_id, field=field, ciphertext=sealed)

    def _snapshot(self, row: Any) -> Instance:
        return self._snapshots([row])[0]
