"""Clean-up: what is left over is removed, by itself when it is surely rubbish, or because the operator says so.

This acts upon what has no row, as ``lifecycle.py`` does upon what has one. No create can come in between: a row is
stored before its container is made, and its id is never given again.
"""

import logging
import threading
import time
from datetime import timedelta

from clawdeploy.core.background import Crew
from clawdeploy.core.claim_keeper import ClaimLost
from clawdeploy.core.claims import Claims
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.errors import ClawDeployError, EngineError
from clawdeploy.core.leftovers import JUST_MADE, Leftover, Leftovers
from clawdeploy.core.observing import guarded

logger = logging.getLogger(__name__)

ACTOR = "clean-up"
SWEEPS_EVERY = timedelta(minutes=1)
STOP_SECONDS = 10.0
"""What a process is given to end: its blueprint, which says how long it may take, is not known any more."""


class Cleanup:
    """Removes leftovers. ``grace`` is how old they are left to become; with a short one it looks after each sync."""

    def __init__(self, leftovers: Leftovers, claims: Claims, runtime: Runtime, grace: timedelta) -> None:
        self._leftovers = leftovers
        self._claims = claims
        self._runtime = runtime
        self._every = 0.0 if grace < SWEEPS_EVERY else SWEEPS_EVERY.total_seconds()
        self._next_sweep = 0.0
        self._told: set[tuple[str, str]] = set()
        self._crew = Crew(1)
        self._closing = threading.Event()

    def begin(self) -> None:
        """Sweep in the background, once a minute however often this is called; for whoever has just synced."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + self._every
            self._crew.do("sweep", self._sweep_safely)

    def close(self) -> None:
        """End before the next removal."""
        self._closing.set()

    def sweep(self) -> None:
        """Remove what is due, and tell once of what is left alone; raises an ``EngineError`` when nothing can be seen.

        What the engine does not let us remove is tried again with the next sweep.
        """
        for leftover in self._leftovers.find():
            if self._closing.is_set():
                return
            if self._leftovers.is_due(leftover):
                self._remove_or_tell(leftover)
            elif leftover.kept not in ("", JUST_MADE):
                self._tell_once(leftover)

    def remove(self, leftover: Leftover) -> bool:
        """Remove a leftover, whatever its age, and say whether that was done; raises an ``EngineError``.

        It is not when a row speaks for it by now, or when its instance is being worked on.
        """
        removed = self._remove_second(leftover) if leftover.second else self._remove_all(leftover)
        if removed:
            logger.info(
                "Clean-up: %s of %s, made at %s, was removed. %s",
                leftover.what, leftover.instance_id, leftover.made_at, leftover.why,
            )  # fmt: skip
        return removed

    def _sweep_safely(self) -> None:
        try:
            self.sweep()
        except ClawDeployError as error:
            logger.warning("Clean-up was not possible: %s", error.for_log)
        except Exception:
            logger.exception("Clean-up failed")

    def _tell_once(self, leftover: Leftover) -> None:
        which = (leftover.instance_id, leftover.what)
        if which not in self._told:
            self._told.add(which)
            logger.warning(
                "Clean-up: %s of %s, made at %s, is left alone. %s %s `clawdeploy gc --yes` removes it.",
                leftover.what, leftover.instance_id, leftover.made_at, leftover.why, leftover.kept,
            )  # fmt: skip

    def _remove_or_tell(self, leftover: Leftover) -> None:
        try:
            self.remove(leftover)
        except EngineError as error:
            logger.warning("Clean-up: %s could not be removed yet: %s", leftover.what, error.for_log)

    def _remove_all(self, leftover: Leftover) -> bool:
        if self._leftovers.has_row(leftover.instance_id):
            return False
        for part in leftover.parts:
            if part.container_id is not None:
                self._end(part.container_id)
        guarded(self._runtime.discard, leftover.instance_id)
        return True

    def _remove_second(self, leftover: Leftover) -> bool:
        """Remove a second container with a claim on its instance, so that it does not become the first meanwhile."""
        claim = self._claims.resume(leftover.instance_id, ACTOR)
        if claim is None:
            return False
        with self._claims.kept(claim):
            try:
                first = guarded(self._runtime.observe, leftover.instance_id).container_id
                second = leftover.parts[0].container_id
                if self._claims.row(claim).operation is not None or first in (None, second) or second is None:
                    return False
                self._end(second)
            except ClaimLost:
                return False
            finally:
                self._claims.release(claim)
        return True

    def _end(self, container_id: str) -> None:
        guarded(self._runtime.stop, container_id, STOP_SECONDS)
        guarded(self._runtime.remove, container_id)
