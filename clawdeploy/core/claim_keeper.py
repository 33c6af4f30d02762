"""Claims that are held are renewed by a thread, for as long as the work that they are for goes on."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from clawdeploy.core.context import about
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.store import InstanceStore

LIFETIME = timedelta(seconds=8)
GOOD_FOR = timedelta(seconds=4)
"""How long a claim has to be good for still when work begins to change a container."""
RENEWED_EVERY = 2.0
TRIED_AGAIN_AFTER = 0.5
"""Seconds after which a renewal that failed is tried again: a short outage must not cost a claim."""

logger = logging.getLogger(__name__)


class ClaimLost(Exception):
    """The claim lapsed or was taken over; whoever held it must stop working."""


@dataclass(frozen=True)
class Claim:
    """The right to work on one instance, from a moment of a clock that never runs backwards.

    ``resumed``: nobody waits for the outcome.
    """

    instance_id: str
    token: str
    actor: str
    resumed: bool = False
    since: float = field(default_factory=time.monotonic, compare=False)


class ClaimKeeper:
    """Renews claims. ``renewed_every`` is in seconds; three times that has to fit into the lifetime of a claim."""

    def __init__(self, store: InstanceStore, renewed_every: float = RENEWED_EVERY) -> None:
        self._store = store
        self._row = store.row
        self._renewed_every = renewed_every
        self._kept: set[Claim] = set()
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._keeper: threading.Thread | None = None

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[None]:
        """Renew the claim for as long as the block runs, which is about its instance."""
        with self._lock:
            if self._keeper is None:
                keeper = threading.Thread(target=self._keep, name="claim-keeper", daemon=True)
                # When there can be no thread for it just now, whoever keeps a claim next tries again. The claim is
                # renewed before each step anyway.
                with suppress(RuntimeError):
                    keeper.start()
                    self._keeper = keeper
            self._kept.add(claim)
        try:
            with about(claim.instance_id):
                yield
        finally:
            with self._lock:
                self._kept.discard(claim)

    def close(self) -> None:
        """End the keeper thread and give back the claims that are still held, for the next process to resume.

        The work that they were for is cut short by the end of this process; until then it can write nothing.
        """
        self.closing.set()
        with suppress(DatabaseUnavailable):
            self._update_held(claim=None, claim_until=None)

    def _keep(self) -> None:
        pause = self._renewed_every
        while not self.closing.wait(pause):
            pause = min(self._renewed_every, TRIED_AGAIN_AFTER)
            try:
                self._update_held(claim_until=self._store.clock() + LIFETIME)
                pause = self._renewed_every
            except DatabaseUnavailable as error:
                # The database tells of its outages itself, once.
                logger.debug("Claims could not be renewed: %s", error.detail)
            except Exception as error:
                # Whatever it was: a keeper that ends would let every claim of this process lapse.
                logger.warning("Claims could not be renewed: %s: %s", type(error).__name__, error)

    def _update_held(self, **fields: Any) -> None:
        with self._lock:
            tokens = [claim.token for claim in self._kept]
        if tokens:
            with self._store.database.transaction():
                self._row.update(**fields).where(self._row.claim.in_(tokens)).execute()
