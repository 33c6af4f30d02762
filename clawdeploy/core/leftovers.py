"""What is on the engine and on this machine with our labels, and has no row: what of it may go, and when."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.answers import timestamp
from clawdeploy.core.contracts import Holding, Runtime
from clawdeploy.core.database import Database
from clawdeploy.core.observing import guarded
from clawdeploy.core.spans import LONGEST_SILENCE, Span, Spans, covered

UNKNOWN_ID = "No bot in the database has this id."
SECOND_CONTAINER = "This bot has another container, the one that it is known by."
MADE_UNSEEN = (
    "It was made while no server used this database, "
    "which may have been restored from an older backup: then this is a bot of the newer one."
)
JUST_MADE = (
    "It was made a moment ago. If this database was restored from a backup, it may be a bot of a newer one; "
    "whether a server used this database then shows within a minute."
)
NO_DATE = "When it was made is not known."


@dataclass(frozen=True)
class Leftover:
    """Things of one instance that no row speaks for.

    ``second``: the instance has a row and a container, and this is another container. A server removes it by itself
    after ``removed_at``; where that is ``None``, it is left alone, and ``kept`` says why.
    """

    instance_id: str
    parts: tuple[Holding, ...]
    second: bool
    removed_at: datetime | None
    kept: str

    @property
    def made_at(self) -> datetime | None:
        """When the newest of it was made, as far as that is known."""
        return max((part.made_at for part in self.parts if part.made_at), default=None)

    @property
    def what(self) -> str:
        """Name it, for people."""
        return ", ".join(f"{part.kind} {part.name}".strip() for part in self.parts)

    @property
    def why(self) -> str:
        """Say why it is left over."""
        return SECOND_CONTAINER if self.second else UNKNOWN_ID

    @property
    def fate(self) -> str:
        """Say what becomes of it by itself."""
        if self.removed_at is not None:
            return f"A server removes it by itself, after {timestamp(self.removed_at)}."
        return f"{self.kept} It is left alone; `clawdeploy gc --yes` removes it."

    def dump(self) -> dict[str, Any]:
        """Return it for programs."""
        parts = [{"kind": part.kind, "name": part.name, "madeAt": _stamp(part.made_at)} for part in self.parts]
        return {
            "id": self.instance_id,
            "parts": parts,
            "madeAt": _stamp(self.made_at),
            "removedAt": _stamp(self.removed_at),
            "reason": f"{self.why} {self.kept}".strip(),
        }


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


class Leftovers:
    """Finds them, and changes nothing. ``grace`` is for how long what was made is left alone in any case."""

    def __init__(
        self,
        database: Database,
        row: Any,
        spans: Spans,
        runtime: Runtime,
        grace: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._row = row
        self._spans = spans
        self._runtime = runtime
        self._grace = grace
        self._clock = clock

    def find(self) -> list[Leftover]:
        """Return what is left over, oldest first; raises an ``EngineError``.

        Rows are read after the engine was asked: what was there then had its row before, if it was ever to have one.
        """
        held: dict[str, list[Holding]] = defaultdict(list)
        for part in guarded(self._runtime.holdings):
            held[part.instance_id].append(part)
        with self._database.reading():
            known = {instance_id for (instance_id,) in self._row.select(self._row.id).tuples()}
        spans = self._spans.all()
        found = [self._judged(each, parts, spans) for each, parts in held.items() if each not in known]
        for each in held.keys() & known:
            found += [self._judged(each, [part], spans, second=True) for part in self._seconds(each, held[each])]
        return sorted(found, key=lambda each: (each.made_at is None, each.made_at, each.instance_id))

    def is_due(self, leftover: Leftover) -> bool:
        """Say whether a server is to remove it now."""
        return leftover.removed_at is not None and leftover.removed_at <= self._clock()

    def has_row(self, instance_id: str) -> bool:
        """Say whether a row speaks for an instance."""
        with self._database.reading():
            return bool(self._row.select().where(self._row.id == instance_id).exists())

    def _seconds(self, instance_id: str, parts: Iterable[Holding]) -> Iterator[Holding]:
        """Return the containers of an instance that are not the one which it is observed by."""
        containers = [part for part in parts if part.container_id is not None]
        if len(containers) > 1:
            known = guarded(self._runtime.observe, instance_id).container_id
            yield from (part for part in containers if known not in (None, part.container_id))

    def _judged(
        self, instance_id: str, parts: Sequence[Holding], spans: Sequence[Span], *, second: bool = False
    ) -> Leftover:
        moments = [part.made_at for part in parts if part.made_at is not None]
        kept = self._why_kept(moments, spans) if len(moments) == len(parts) else NO_DATE
        return Leftover(instance_id, tuple(parts), second, None if kept else max(moments) + self._grace, kept)

    def _why_kept(self, moments: Sequence[datetime], spans: Sequence[Span]) -> str:
        if covered(moments, spans):
            return ""
        return JUST_MADE if self._clock() - max(moments) < LONGEST_SILENCE else MADE_UNSEEN
