"""The keys that tokens are checked with: one that the operator gave, or those that the Frontend API publishes.

Those are kept, and good tokens never wait for new ones: the cache is renewed behind their back, and when it cannot be,
what is known serves on for a day. Only what a kept key does not answer waits for a fetch, a short time, and only so
many requests at once, so that a flood of bad tokens cannot occupy the server.
"""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from threading import BoundedSemaphore, Lock, Thread
from types import MappingProxyType
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from clawdeploy.core.errors import SignInUnavailable
from clawdeploy.plugins.clerk.jwks import FetchFailed

FRESH_SECONDS = 5 * 60
USABLE_SECONDS = 24 * 60 * 60
PAUSE_SECONDS = 60
"""Between two forced fetches, and between two that were due but failed."""
PAUSE_WITHOUT_KEYS = 5
"""Between two fetches while nobody can be let in at all."""
WAIT_SECONDS = 2.0
"""Counted from when the fetch began: a request that asks several times does not wait several times."""
MOST_WAITING = 16
"""Half of the threads of a server process."""
NEVER = float("-inf")

logger = logging.getLogger(__name__)


class UnknownKey(Exception):
    """The instance has no key of this name."""


class Keys(Protocol):
    """Where the keys come from."""

    def key(self, kid: str | None) -> RSAPublicKey:
        """Return the key of a name; raises ``UnknownKey``, or ``SignInUnavailable`` when nobody can tell."""

    def replaced(self, kid: str | None, key: RSAPublicKey) -> RSAPublicKey | None:
        """Return the key that has taken the place of one that did not fit a signature, ``None`` when there is none."""

    def prepare(self) -> None:
        """Get ready for the first token, without waiting."""


class GivenKey:
    """The one key that the operator gave; it has no name, so it answers to every one."""

    def __init__(self, key: RSAPublicKey) -> None:
        self._key = key

    def key(self, kid: str | None) -> RSAPublicKey:  # noqa: ARG002 -- one for all
        """Return it."""
        return self._key

    def replaced(self, kid: str | None, key: RSAPublicKey) -> RSAPublicKey | None:  # noqa: ARG002 -- none at all
        """It is never replaced."""
        return None

    def prepare(self) -> None:
        """There is nothing to do."""


class PublishedKeys:
    """Keys as a Frontend API publishes them.

    ``fetch`` returns them by name, or raises ``FetchFailed``; it is told whether a token was refused for want of them.
    ``kept`` are those that were fetched before, and how many seconds ago: a server that starts while the Frontend API
    does not answer lets people in at once.
    """

    def __init__(
        self,
        fetch: Callable[[bool], Mapping[str, RSAPublicKey]],
        clock: Callable[[], float] = time.monotonic,
        kept: tuple[Mapping[str, RSAPublicKey], float] = (MappingProxyType({}), 0.0),
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        # Held for looking and noting, never while anything is waited for.
        self._lock = Lock()
        self._keys, age = kept
        self._fetched_at = clock() - age
        self._attempted_at = NEVER
        self._forced_at = NEVER
        self._failed = False
        self._flight: Future[None] | None = None
        self._places = BoundedSemaphore(MOST_WAITING)

    def key(self, kid: str | None) -> RSAPublicKey:
        """Return the key of a name, fetched anew if it is not known; see :class:`Keys`."""
        if kid is None:
            raise UnknownKey
        with self._lock:
            if self._usable():
                self._renew_if_due()
                if kid in self._keys:
                    return self._keys[kid]
        self._wait_for(self._forced)
        with self._lock:
            if not self._usable() or (kid not in self._keys and (self._failed or self._flight is not None)):
                raise SignInUnavailable("The keys of the sign-in service cannot be fetched. Try again in a moment.")
            if kid not in self._keys:
                # Also the very first fetch has now been made in vain for a name that nobody knows.
                self._forced_at = max(self._forced_at, self._attempted_at)
                raise UnknownKey
            return self._keys[kid]

    def replaced(self, kid: str | None, key: RSAPublicKey) -> RSAPublicKey | None:
        """Return the key that has the name now, when it is another one; see :class:`Keys`."""
        if not self._differs(self._now(kid), key):
            self._wait_for(self._forced)
        found = self._now(kid)
        return found if self._differs(found, key) else None

    def prepare(self) -> None:
        """Fetch the keys if they are not new, so that the first person does not wait for them."""
        with self._lock:
            if self._usable():
                self._renew_if_due()
            else:
                self._begin()

    def _now(self, kid: str | None) -> RSAPublicKey | None:
        with self._lock:
            return self._keys.get(kid or "")

    @staticmethod
    def _differs(found: RSAPublicKey | None, key: RSAPublicKey) -> bool:
        return found is not None and found is not key and found.public_numbers() != key.public_numbers()

    def _usable(self) -> bool:
        return bool(self._keys) and self._clock() - self._fetched_at < USABLE_SECONDS

    def _renew_if_due(self) -> None:
        now = self._clock()
        if now - self._fetched_at >= FRESH_SECONDS and now - self._attempted_at >= PAUSE_SECONDS:
            self._begin()

    def _forced(self) -> "Future[None] | None":
        """Return the fetch that may bring what is missing: one under way, or a new one unless it is too early."""
        if self._flight is not None:
            return self._flight
        now = self._clock()
        if not self._usable():
            return None if now - self._attempted_at < PAUSE_WITHOUT_KEYS else self._begin()
        if now - self._forced_at < PAUSE_SECONDS:
            return None
        self._forced_at = now
        return self._begin(forced=True)

    def _begin(self, *, forced: bool = False) -> "Future[None]":
        """Begin a fetch, or return the one that is under way."""
        if self._flight is None:
            flight: Future[None] = Future()
            self._attempted_at = self._clock()
            Thread(target=self._run, args=(flight, forced), name="clerk-keys", daemon=True).start()
            self._flight = flight
        return self._flight

    def _run(self, flight: "Future[None]", forced: bool) -> None:
        keys: Mapping[str, RSAPublicKey] = {}
        why, age = "", 0.0
        try:
            keys = self._fetch(forced)
        except FetchFailed as failure:
            why, keys, age = str(failure), failure.old, failure.age
        except Exception as error:
            why = f"{type(error).__name__}: {error}"[:200]
        with self._lock:
            before, self._failed = self._failed, bool(why)
            # A process that is new in an outage goes on with what others had fetched.
            if not why or not self._usable():
                self._keys, self._fetched_at = keys, self._clock() - age
            self._flight = None
        if why:
            logger.warning("The keys of Clerk could not be fetched: %s", why)
        elif before:
            logger.warning("The keys of Clerk could be fetched again.")
        flight.set_result(None)

    def _wait_for(self, fetch: "Callable[[], Future[None] | None]") -> None:
        """Wait a moment for a fetch, unless too many do so already."""
        with self._lock:
            flight = fetch()
            patience = self._attempted_at + WAIT_SECONDS - self._clock()
        if flight is None or patience <= 0 or not self._places.acquire(blocking=False):
            return
        try:
            flight.result(patience)
        except Late:
            return
        finally:
            self._places.release()
