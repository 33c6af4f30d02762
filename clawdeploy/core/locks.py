"""Locks that transactions of several processes hold, until they end."""

import hashlib

from clawdeploy.core.database import MIGRATION_LOCK, Database

CREATIONS = "creations"
"""What makes a bot or a credential, or removes their user."""


def one_at_a_time(database: Database, what: str) -> None:
    """Wait, in a transaction, until no other one is under way that has called this for the same thing.

    On SQLite a transaction is alone from its start.
    """
    if database.path is None:
        name = int.from_bytes(hashlib.sha256(what.encode()).digest()[:4], signed=True)
        database.peewee.execute_sql("SELECT pg_advisory_xact_lock(%s, %s)", (MIGRATION_LOCK, name))
