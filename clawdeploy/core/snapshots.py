"""From rows to instances, as everything outside the database sees them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from clawdeploy.core.contracts import Instance, Operation, Status, Wish
from clawdeploy.core.models import Tables
from clawdeploy.core.spans import CLOCKS_DIFFER


class Snapshots:
    """Makes frozen instances; call it inside a transaction or reading of the caller's."""

    def __init__(self, tables: Tables, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._secret = tables.secret
        self._installation = tables.installation

    def of(self, rows: Sequence[Any]) -> list[Instance]:
        """Return the instances of some rows."""
        ids = [row.id for row in rows]
        fields: dict[str, set[str]] = {instance_id: set() for instance_id in ids}
        for secret in self._secret.select(self._secret.instance_id, self._secret.field).where(
            self._secret.instance_id.in_(ids)
        ):
            fields[secret.instance_id].add(secret.field)
        synced_at = self._installation.select(self._installation.synced_at).scalar()
        now = self._clock() + CLOCKS_DIFFER
        # A moment that has yet to come is of before the clock was put back, and says nothing about the age.
        known = {row.id: (row.status_since, row.unanswered_since or synced_at) for row in rows}
        past = {each: [at for at in moments if at and at <= now] for each, moments in known.items()}
        return [_instance(row, frozenset(fields[row.id]), max(past[row.id], default=self._clock())) for row in rows]


def _instance(row: Any, secrets_set: frozenset[str], as_of: datetime) -> Instance:
    plain = {
        name: getattr(row, name)
        for name in Instance.__dataclass_fields__
        if name not in ("wish", "status", "status_as_of", "operation", "secrets_set")
    }
    return Instance(
        **plain,
        wish=Wish(row.wish),
        status=Status(row.status),
        status_as_of=as_of,
        operation=Operation(row.operation) if row.operation else None,
        secrets_set=secrets_set,
    )
