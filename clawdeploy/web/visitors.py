"""How much strangers may ask for: whoever is not signed in is limited by where they come from.

Each process counts by itself, in memory: a stranger must not be able to keep the database busy with being counted, and
a flood need not be counted exactly.
"""

import math
import time
from collections.abc import Callable, Mapping
from threading import Lock

import falcon

from clawdeploy.core.contracts import Access
from clawdeploy.core.errors import ClawDeployError, RateLimited
from clawdeploy.core.measurements import LimitReached
from clawdeploy.core.platform import Platform
from clawdeploy.core.rates import duration, within
from clawdeploy.core.settings import METRICS_SECRET, SYNC_SECRET, VISITOR_LIMIT
from clawdeploy.web.expected import HEALTH
from clawdeploy.web.request import Request

MOST_PEERS = 10_000
"""How many peers are told apart; whoever comes after them shares one count with all others."""
THE_REST = "the rest"


class PeerCounts:
    """How often each peer has done something in the present window, which is so many ``seconds`` long."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._ends_at = 0.0
        self._counts: dict[str, int] = {}
        self._lock = Lock()

    def count(self, peer: str) -> int:
        """Count once more and return how often that is."""
        with self._lock:
            self._turn()
            name = self._name(peer)
            self._counts[name] = self._counts.get(name, 0) + 1
            return self._counts[name]

    def so_far(self, peer: str) -> int:
        """Return how often it was."""
        with self._lock:
            self._turn()
            return self._counts.get(self._name(peer), 0)

    @property
    def peers(self) -> int:
        """How many peers have done something."""
        return len(self._counts)

    @property
    def seconds_left(self) -> int:
        """How long the window goes on, in whole seconds, at least 1."""
        return max(1, math.ceil(self._ends_at - self._clock()))

    def _turn(self) -> None:
        now = self._clock()
        if now >= self._ends_at:
            self._ends_at = now + self._seconds
            self._counts = {}

    def _name(self, peer: str) -> str:
        return peer if peer in self._counts or len(self._counts) < MOST_PEERS else THE_REST


class VisitorLimit:
    """Middleware that refuses strangers who ask too much; whoever is signed in is let in from the same address.

    What a secret of the settings opens is not refused, because failures to show it have a limit of their own, and the
    server's health is neither refused nor counted.
    """

    def __init__(self, platform: Platform, access: Mapping[str, Access]) -> None:
        self._rates = [(rate, PeerCounts(rate.get_expiry())) for rate in platform.config[VISITOR_LIMIT]]
        self._authenticate = platform.authenticate
        self._measure = platform.measurements.tell
        config = platform.config
        secrets: Mapping[Access, str] = {"admin": config[SYNC_SECRET], "monitor": config[METRICS_SECRET]}
        self._free = {HEALTH, *(template for template, needed in access.items() if secrets.get(needed))}

    def process_request(self, req: Request, resp: falcon.Response) -> None:
        """Raise ``RateLimited`` for a stranger who has asked too often."""
        for rate, counts in self._rates:
            if counts.so_far(req.peer) >= rate.amount and req.path not in self._free and not self._is_known(req):
                req.was_too_much = True
                self._measure(LimitReached("visits"))
                seconds = counts.seconds_left
                raise RateLimited(
                    f"From your network address, this server was asked {within(rate)}, which is the most for whoever "
                    f"is not signed in. Try again in {duration(seconds)}.",
                    seconds,
                )

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Count what a stranger has asked for."""
        if not (req.signed_in or req.was_too_much or req.path in self._free):
            for _, counts in self._rates:
                counts.count(req.peer)

    def _is_known(self, req: Request) -> bool:
        try:
            self._authenticate(req.credentials)
        except ClawDeployError:
            return False
        return True
