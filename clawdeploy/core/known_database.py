"""A database is used only while it is the one that was opened: of the same installation, version and key."""

import time
from collections.abc import Callable
from typing import Any

import peewee

VERIFIED_EVERY = 1.0
"""Seconds for which a database is taken to be the one that was opened."""
IDENTITY = "SELECT id, key_check FROM installation UNION ALL SELECT name, NULL FROM schema_migration"


class KnownDatabase:
    """Knows a database again, by asking it now and then.

    Otherwise a server would serve another database that was put in its place, go on writing in the old way into one
    that a newer version has brought up to date, or take bots for broken whose secrets it has no key for.
    """

    def __init__(self, database: Any, fits: Callable[[str], bool]) -> None:
        """Remember a database that is connected; ``fits`` says whether there is the key that made a ``key_check``."""
        self._database = database
        self._fits = fits
        self._names, _ = self._found()
        self._verified_until = 0.0

    def verify(self, *, at_once: bool = False) -> None:
        """Raise ``OperationalError`` when this is not the database any more that it was; asked now and then."""
        if time.monotonic() < self._verified_until and not at_once:
            return
        names, check = self._found()
        if names != self._names:
            raise peewee.OperationalError("it is another one than at the start, or another version's; start again")
        if not self._fits(check):
            raise peewee.OperationalError("its secrets are encrypted with a key that this server does not have")
        self._verified_until = time.monotonic() + VERIFIED_EVERY

    def _found(self) -> tuple[frozenset[str], str]:
        """Return what identifies the database, and its ``key_check``; nothing when it has other tables than ours."""
        try:
            rows = self._database.execute_sql(IDENTITY).fetchall()
        except peewee.ProgrammingError:
            return frozenset(), ""
        return frozenset(name for name, _ in rows), next((check for _, check in rows if check), "")
