"""Whether the bots that run answer: each is asked at every sync, side by side."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clawdeploy.core.contracts import Observation, Status
from clawdeploy.core.errors import EngineError
from clawdeploy.core.observing import Observer
from clawdeploy.core.sync_rows import SyncRows

MOST_AT_ONCE = 8
"""How many bots are asked at a time."""


class Readiness:
    """Asks bots, and keeps in their rows until when they answered."""

    def __init__(self, store: SyncRows, observer: Observer) -> None:
        self._store = store
        self._observer = observer

    def of(self, running: Sequence[tuple[Any, Observation]]) -> dict[str, bool | None]:
        """Return by their ids whether bots answer, from rows and what was seen of them; ``None`` where nobody knows.

        One that answered until now is given a second chance. Any process may be the one that sees it not answer once
        more.
        """
        synced_at = self._store.synced_at()

        def probe(row: Any, seen: Observation) -> tuple[str, bool | None]:
            try:
                answered = self._observer.probe(row, seen)
            except EngineError:
                return row.id, None
            if answered and row.unanswered_since is not None:
                self._store.answered(row, None)
            elif not answered and row.unanswered_since is None and row.status == Status.RUNNING:
                self._store.answered(row, max(row.status_since, synced_at or row.status_since))
                return row.id, True
            return row.id, answered

        with ThreadPoolExecutor(MOST_AT_ONCE, "probe") as threads:
            return dict(threads.map(lambda each: probe(*each), running))
