"""Kinds of columns that both databases keep and order alike."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import peewee

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcField(peewee.BigIntegerField):
    """A moment as whole microseconds since 1970, so that both databases order and compare it alike."""

    def db_value(self, value: datetime | None) -> int | None:
        """Store an aware ``datetime``."""
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def python_value(self, value: int | None) -> datetime | None:
        """Return an aware ``datetime`` in UTC."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


class SpanField(peewee.BigIntegerField):
    """A length of time as whole microseconds, so that the database itself can add it to a moment."""

    def db_value(self, value: timedelta | None) -> int | None:
        """Store a ``timedelta``."""
        return None if value is None else value // timedelta(microseconds=1)

    def python_value(self, value: int | None) -> timedelta | None:
        """Return a ``timedelta``."""
        return None if value is None else timedelta(microseconds=value)


class JsonField(peewee.TextField):
    """A JSON value as text, which both databases keep as it is."""

    def db_value(self, value: object) -> str:
        """Store any JSON value."""
        return json.dumps(value, separators=(",", ":"))

    def python_value(self, value: str) -> Any:
        """Return the JSON value."""
        return json.loads(value)
