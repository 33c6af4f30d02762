"""How often somebody may do something: moving windows in the database, exact for all processes that share it.

The library ``limits`` reads the rates and says what is within one. Where it counts is ours: it knows no SQL database.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from limits import RateLimitItem
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from clawdeploy.core.columns import EPOCH
from clawdeploy.core.database import Database
from clawdeploy.core.errors import RateLimited
from clawdeploy.core.rates import duration, within

MICROSECOND = timedelta(microseconds=1)
FORGOTTEN_AT_ONCE = 20
CHANGES = "You have asked for changes"
SIGN_INS = "From your network address, signing in has failed"


@dataclass(frozen=True)
class Standing:
    """How somebody stands against one rate: ``remaining`` are left for the next ``seconds``, then there is more."""

    rate: RateLimitItem
    remaining: int
    seconds: int


class RateLimit:
    """The rates at which each may do one ``kind`` of thing; without any rate, everything is admitted.

    ``told`` begins the sentence for whoever is refused; "60 times within a minute" follows.
    """

    def __init__(
        self,
        kind: str,
        rates: Sequence[RateLimitItem],
        told: str,
        database: Database,
        row: Any,
        clock: Callable[[], datetime],
    ) -> None:
        self._kind = kind
        self._rates = rates
        self._told = told
        self._database = database
        self._row = row
        self._clock = clock

    def take(self, who: str) -> Sequence[Standing]:
        """Count one, and return how ``who`` stands after it against each rate.

        Raises ``RateLimited``, and then counts nothing against any rate, or ``DatabaseUnavailable``.
        """
        if not self._rates:
            return ()
        with self._database.transaction():
            windows = Windows(self._database, self._row, self._clock)
            limiter = MovingWindowRateLimiter(cast(Any, windows))
            before = [self._standing(windows, limiter, rate, who) for rate in self._rates]
            if not all(standing.remaining > 0 for standing in before):
                # Raised inside, so that the transaction is rolled back: that is cheaper than to commit nothing.
                raise self._refusal(before)
            for rate in self._rates:
                limiter.hit(rate, self._kind, who)
            windows.forget_idle()
        return [replace(standing, remaining=standing.remaining - 1) for standing in before]

    def _standing(
        self, windows: "Windows", limiter: MovingWindowRateLimiter, rate: RateLimitItem, who: str
    ) -> Standing:
        frees_at, remaining = limiter.get_window_stats(rate, self._kind, who)
        # The digits beyond the microsecond mean nothing, and would make a whole number of seconds one more.
        return Standing(rate, remaining, max(1, math.ceil(round(frees_at - windows.now / 1e6, 6))))

    def _refusal(self, standings: Sequence[Standing]) -> RateLimited:
        reached = max((one for one in standings if one.remaining <= 0), key=lambda one: one.seconds)
        told = f"{self._told} {within(reached.rate)}, which is the most. Try again in {duration(reached.seconds)}."
        return RateLimited(told, reached.seconds, standings)


@Storage.register
class Windows(MovingWindowSupport):
    """What ``limits`` counts in, for one transaction. Moments are whole microseconds since 1970.

    Each window is a row that is locked at the first look at it, so that whoever has seen room in it takes it. The rows
    of one person are always looked at in the same order, so that no two wait for each other. Storages of the library
    also count in fixed windows; nobody needs that here, and being registered is enough to be taken for one.
    """

    base_exceptions = ()

    def __init__(self, database: Database, row: Any, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._row = row
        self._clock = clock
        self._now: int | None = None
        self._hits: dict[str, list[int]] = {}
        self._begun = False

    @property
    def now(self) -> int:
        """The moment that counts for the whole transaction; not looked at before something is locked."""
        if self._now is None:
            self._now = (self._clock() - EPOCH) // MICROSECOND
        return self._now

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 -- not ours
        """Return the moment of the oldest hit in the window, now if there is none, and how many there are."""
        hits = self._live(key, expiry)
        return (hits[0] if hits else self.now) / 1e6, len(hits)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note as many hits as ``amount`` says if there is room for all of them, and say whether there was."""
        hits = self._live(key, expiry)
        if len(hits) + amount > limit:
            return False
        self._begun = self._begun or not hits
        hits += [self.now] * amount
        empty_at = EPOCH + self.now * MICROSECOND + timedelta(seconds=expiry)
        self._row.update(hits=hits, empty_at=empty_at).where(self._row.key == _digest(key)).execute()
        return True

    def forget_idle(self) -> None:
        """Delete some of the windows that are empty, if a window has begun: so there are never many more than in use.

        It is the last thing in a transaction and passes over what others have locked, so that nobody waits for it.
        """
        if not self._begun:
            return
        now = EPOCH + self.now * MICROSECOND
        idle = self._row.select(self._row.key).where(self._row.empty_at <= now).limit(FORGOTTEN_AT_ONCE)
        keys = [row.key for row in self._database.unlocked(idle)]
        if keys:
            self._row.delete().where(self._row.key.in_(keys)).execute()

    def _live(self, key: str, seconds: int) -> list[int]:
        """Return the hits in a window, oldest first.

        Hits lie ahead when the clock was put back. Those that are further ahead than a window is long are forgotten,
        so that nobody is shut out until the clock has caught up.
        """
        if key not in self._hits:
            stored: list[int] = self._locked(_digest(key)).hits
            length = seconds * 1_000_000
            self._hits[key] = sorted(hit for hit in stored if -length <= self.now - hit < length)
        return self._hits[key]

    def _locked(self, digest: str) -> Any:
        """Return the row of a window, made now if there was none; nobody else changes it before the transaction ends.

        A row that another process makes, or deletes, at this very moment is waited for and made again if need be.
        """
        row = self._database.locked(self._row.select().where(self._row.key == digest)).first()
        if row is None:
            insert = self._row.insert(key=digest, hits=[], empty_at=EPOCH)
            insert.on_conflict(conflict_target=(self._row.key,), update={self._row.key: digest}).execute()
            row = self._row.select().where(self._row.key == digest).get()
        return row


def _digest(key: str) -> str:
    """Return a key as any database can store and index it, whatever a plugin calls its users."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
