"""How many instances there are, and how they are: nothing about any single one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import peewee

from clawdeploy.core.contracts import Status
from clawdeploy.core.database import Database


@dataclass(frozen=True)
class Census:
    """How many instances have each public status, and how many have an operation under way."""

    by_status: Mapping[Status, int]
    under_way: int


def take_census(database: Database, row: Any) -> Census:
    """Count all instances of all owners; raises ``DatabaseUnavailable``."""
    count = peewee.fn.COUNT(row.id)
    with database.reading():
        found = {
            Status(status): int(number)
            for status, number in row.select(row.status, count).group_by(row.status).tuples()
        }
        under_way = row.select().where(row.operation.is_null(False)).count()
    return Census({status: found.get(status, 0) for status in Status}, under_way)
