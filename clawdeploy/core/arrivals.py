"""Sessions that another service keeps: their first use here is a sign-in, and has an entry in the audit trail."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from clawdeploy.core.audit import AuditTrail
from clawdeploy.core.contracts import Identity
from clawdeploy.core.errors import DatabaseUnavailable

MOST_REMEMBERED = 10_000
"""Sessions that a process knows to have their entry; of others it asks the database."""
LONGEST_WAIT = 1.0
PAUSE = timedelta(minutes=1)

logger = logging.getLogger(__name__)


class Arrivals:
    """Notes each session once, whatever process sees it first."""

    def __init__(self, audit: AuditTrail, clock: Callable[[], datetime]) -> None:
        self._audit = audit
        self._clock = clock
        self._known: dict[tuple[str, str, str | None], None] = {}
        self._again_at: datetime | None = None
        self._noting = Lock()

    def note(self, identity: Identity) -> None:
        """Note whoever comes with a session that was not seen before.

        Nobody is kept out because nobody can write: after a failure nothing is noted for a minute, and what was
        missed is noted when the session is used again.
        """
        key = (identity.provider, identity.user_id, identity.session)
        if identity.session is None or key in self._known or self._is_resting():
            return
        if not self._noting.acquire(timeout=LONGEST_WAIT):
            return
        try:
            if self._is_resting():
                return
            how = "in a browser" if identity.ambient else "by a bearer token"
            self._audit.note_first(
                f"signed_in_with.{identity.provider}", user_id=identity.user_id, subject=identity.session, detail=how
            )
            self._known[key] = None
            if len(self._known) > MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
        except DatabaseUnavailable as error:
            self._again_at = self._clock() + PAUSE
            logger.warning("A sign-in of %s could not be noted: %s", identity.user_id, error.detail)
        finally:
            self._noting.release()

    def _is_resting(self) -> bool:
        return self._again_at is not None and self._clock() < self._again_at
