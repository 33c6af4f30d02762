"""Outages of the database: told once, and not waited for by everybody at once."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Optional

from clawdeploy.core.errors import DatabaseUnavailable

SLOW_SECONDS = 1.0
"""A failure that took longer is not tried by several threads at once until something works again."""
PAUSE_SECONDS = 1.0
"""How long nobody tries after such a failure."""
TOLD_EVERY = 30.0
"""Seconds in which no second outage is told of: one in which some things work seems to end again and again."""

logger = logging.getLogger(__name__)


class Outage:
    """Knows whether one use of the database, such as to read it, is possible.

    While it is not, and takes long to fail, one thread at a time tries, and the others are refused at once. ``wider``
    is a use that this one is not possible without. ``clock`` returns seconds that never run backwards. With ``tells``
    set, the beginning and the end of an outage are logged; before, whoever opens the database hears of it anyway.
    """

    def __init__(self, use: str, wider: Optional["Outage"] = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.tells = False
        self._use = use
        self._wider = wider
        self._clock = clock
        self._lock = Lock()
        self._began: float | None = None
        self._told = False
        self._told_at: float | None = None
        self._failed_at = 0.0
        self._slow = False
        self._trying = False
        self._refusal = ""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Run the block and note what becomes of it; raises ``DatabaseUnavailable`` instead when it is in vain."""
        began = self._clock()
        tries = self._admitted(began)
        try:
            yield
        except DatabaseUnavailable as error:
            self._failed(began, error.detail)
            raise
        except BaseException:
            self._worked(began)
            raise
        else:
            self._worked(began)
        finally:
            if tries:
                self._trying = False

    def _admitted(self, now: float) -> bool:
        """Say whether the caller is the one that tries for all; raises ``DatabaseUnavailable`` if it is another."""
        if self._wider and self._wider._slow:
            raise DatabaseUnavailable(self._wider._refusal)
        with self._lock:
            if not self._slow:
                return False
            if self._trying or now < self._failed_at + PAUSE_SECONDS:
                raise DatabaseUnavailable(self._refusal)
            self._trying = True
            return True

    def _failed(self, began: float, why: str) -> None:
        with self._lock:
            self._failed_at = self._clock()
            self._slow = self._slow or self._failed_at - began > SLOW_SECONDS
            self._refusal = why
            self._began = self._began or began
            recently = self._told_at is not None and self._failed_at - self._told_at < TOLD_EVERY
            tells = self.tells and not self._told and not recently
            if tells:
                self._told, self._told_at = True, self._failed_at
        if tells:
            logger.warning("The database cannot be %s: %s", self._use, why)

    def _worked(self, began: float) -> None:
        if self._began is None:
            return
        with self._lock:
            # What was asked before the last failure says nothing about what is so after it.
            if self._began is None or began < self._failed_at:
                return
            lasted, self._began, self._slow = self._clock() - self._began, None, False
            tells, self._told = self._told, False
        if tells:
            logger.warning("The database can be %s again, after %.0f s.", self._use, lasted)
