"""What a list of all containers says, held against the rows: which of them are to be looked at more closely."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clawdeploy.core.contracts import ContainerState, Observation, Status, Wish
from clawdeploy.core.errors import EngineError
from clawdeploy.core.observing import Observer
from clawdeploy.core.steps import Action, verdict
from clawdeploy.core.store import InstanceStore

MOST_AT_ONCE = 8
"""How many instances are worked on at a time for each kind of operation, and as many again probed."""


class Comparison:
    """Compares rows that nobody works on with what was seen, and notes until when what a row says was known to be so.

    Any process may be the one that compares next, so that it is noted in the row.
    """

    def __init__(self, store: InstanceStore, observer: Observer) -> None:
        self._store = store
        self._observer = observer

    def readiness(self, idle: Iterable[tuple[Any, Observation]]) -> dict[str, bool | None]:
        """Probe all that run, and say by their ids whether they answer, ``None`` where nobody knows.

        ``idle`` are rows that nobody works on, with what was seen. What answered until now is given a second chance.
        """
        synced_at = self._store.synced_at()

        def probe(row: Any, seen: Observation) -> tuple[str, bool | None]:
            try:
                answered = self._observer.probe(row, seen)
            except EngineError:
                return row.id, None
            if row.status != Status.RUNNING:
                return row.id, answered
            if answered and row.unanswered_since is not None:
                self._store.answered(row, None)
            elif not answered and row.unanswered_since is None:
                self._store.answered(row, max(row.status_since, synced_at or row.status_since))
                return row.id, True
            return row.id, answered

        running = [each for each in idle if each[1].state is ContainerState.RUNNING]
        with ThreadPoolExecutor(MOST_AT_ONCE, "probe") as threads:
            return dict(threads.map(lambda each: probe(*each), running))

    def differs(self, row: Any, seen: Observation, ready: bool | None, *, closely: bool = False) -> bool:
        """Say whether a row may say something else than what was seen, ``closely`` or in the list of all."""
        try:
            differs = self._differs(row, seen, ready, closely)
        except EngineError:
            self.not_seen(row)
            return False
        if not (differs or closely) and row.unanswered_since is not None and row.status != Status.RUNNING:
            # It could not be looked at before. Whether one that runs answers is noted where it is asked.
            self._store.answered(row, None)
        return differs

    def not_seen(self, row: Any) -> None:
        """Note that an instance could not be looked at: what its row says gets older, whatever the others do."""
        known = row.unanswered_since or max(row.status_since, self._store.synced_at() or row.status_since)
        self._store.answered(row, known)

    def _differs(self, row: Any, seen: Observation, ready: bool | None, closely: bool) -> bool:
        down = row.wish == Wish.RUN and row.status in (Status.ERROR, Status.STOPPED) and row.retry_at is None
        if down and seen.state in (ContainerState.EXITED, ContainerState.RESTARTING) and not closely:
            # The list says neither how it ended, which may be once more since then, by the engine, nor how often.
            seen = self._observer.look(row.id)
            if seen.restart_count != row.restarts_seen:
                return True
        step = verdict(self._observer.situation(row, seen, ready=ready))
        recorded = (row.status, row.reason) == (step.status, step.reason)
        known = seen.container_id in (None, row.container_id)
        # A bot that does not answer yet is looked at closely: only that tells since when, and how often it crashed.
        passing = step.status is Status.CREATING and not closely
        return not known or (step.action is not Action.KEEP and (passing or not recorded))
