"""What has happened to instances, kept so that owners can read it.

An entry is written in the transaction of the change that it tells of, so that there is none without the other.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clawdeploy.core.answers import EVIDENCE
from clawdeploy.core.contracts import Activity, Observation
from clawdeploy.core.redaction import redacted

KEPT = 200
"""How many entries of one instance are kept; the oldest go first."""


LONGEST_EVIDENCE = 300


def evidence(seen: Observation) -> Mapping[str, object]:
    """Return what was seen of a container as JSON values; what says nothing is left out."""
    bounded = {"container_id": (seen.container_id or "")[:12], "engine_error": seen.engine_error[:LONGEST_EVIDENCE]}
    told = EVIDENCE.dump({**vars(seen), **bounded})
    return {name: value for name, value in told.items() if value or (name == "exitCode" and value is not None)}


class ActivityLog:
    """The entries of one database. Every method is called inside a transaction of the caller's."""

    def __init__(self, row: Any) -> None:
        self._row = row

    def asked(self, instance_id: str, at: datetime, actor: str, operation: str, detail: str = "") -> None:
        """Note that somebody asked for an operation; ``detail`` is a sentence that says why, if that is known."""
        self._add(instance_id, at, actor, "asked", operation, detail=detail)

    def changed(self, instance_id: str, at: datetime, actor: str, fields: list[str]) -> None:
        """Note that somebody changed fields, by their JSON names."""
        self._add(instance_id, at, actor, "changed", ",".join(sorted(fields)))

    def state(self, instance_id: str, at: datetime, actor: str, status: str, **said: Any) -> None:
        """Note a status that an instance has from now on, with its ``reason``, ``detail`` and ``evidence``."""
        self._add(instance_id, at, actor, "state", status, **said)

    def newest(self, instance_id: str, limit: int) -> list[Activity]:
        """Return the newest entries of an instance, newest first."""
        rows = self._of(instance_id).order_by(self._row.id.desc()).limit(limit)
        return [Activity(row.at, row.actor, row.kind, row.what, row.reason, row.detail, row.evidence) for row in rows]

    def forget(self, instance_id: str) -> None:
        """Remove all entries of an instance."""
        self._row.delete().where(self._row.instance_id == instance_id).execute()

    def _add(self, instance_id: str, at: datetime, actor: str, kind: str, what: str, **said: Any) -> None:
        seen = said.get("evidence", {}).items()
        told = {name: redacted(text) if isinstance(text, str) else text for name, text in seen}
        said = {"reason": "", **said, "detail": redacted(said.get("detail", "")), "evidence": told}
        self._row.insert(instance_id=instance_id, at=at, actor=actor, kind=kind, what=what, **said).execute()
        beyond = self._row.select(self._row.id).where(self._row.instance_id == instance_id)
        oldest_kept = beyond.order_by(self._row.id.desc()).limit(1).offset(KEPT)
        self._row.delete().where(self._row.instance_id == instance_id, self._row.id <= oldest_kept).execute()

    def _of(self, instance_id: str) -> Any:
        return self._row.select().where(self._row.instance_id == instance_id)
