"""Who does too much in too short a time: changes by user, failed sign-ins by where they come from."""

import logging
import math
import time
from collections.abc import Mapping

import falcon

from clawdeploy.core.audit import FAILED, REFUSED
from clawdeploy.core.errors import DatabaseUnavailable, InvalidCredentials, NotSignedIn, RateLimited, SignInLinkInvalid
from clawdeploy.core.measurements import LimitReached
from clawdeploy.core.platform import Platform
from clawdeploy.core.rates import period
from clawdeploy.core.settings import SIGN_IN_LIMIT
from clawdeploy.web.origin import SAFE_METHODS
from clawdeploy.web.request import Request
from clawdeploy.web.visitors import PeerCounts

FAILED_SIGN_INS = (NotSignedIn, InvalidCredentials, SignInLinkInvalid)

BAD_CREDENTIALS = (InvalidCredentials, SignInLinkInvalid)
"""Those in which somebody has tried something."""

REMEMBERED_SECONDS = 1.0
MOST_REMEMBERED = 10_000
NOTED_EVERY_SECONDS = 60
MOST_NOTED = 100
"""How many peers a process notes in that time."""

logger = logging.getLogger(__name__)


class ChangeLimit:
    """Middleware that counts each change of a signed-in user, whatever comes of it, and refuses what is too much.

    It stands behind the guard, so that another site that abuses somebody's browser uses nothing of theirs up, and
    before whatever reads the request. The headers are those of draft-ietf-httpapi-ratelimit-headers-11.
    """

    def __init__(self, platform: Platform) -> None:
        self._limit = platform.change_limit
        self._sign_out = platform.sign_in.sign_out
        self._measure = platform.measurements.tell

    def process_resource(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        params: Mapping[str, object],
    ) -> None:
        """Count a change; raises ``RateLimited``."""
        if req.method in SAFE_METHODS or not req.signed_in:
            return
        if req.path == self._sign_out and req.identity.ambient:
            # Whoever has done too much may still leave, which nobody can do twice with one cookie.
            return
        try:
            req.standings = self._limit.take(req.caller)
        except RateLimited as refused:
            req.standings = refused.standings
            self._measure(LimitReached("changes"))
            raise

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Say what the rates are, and how much of each is left for how many seconds."""
        if req.standings:
            rates = [(f'"per-{period(one.rate).replace(" ", "-")}"', one) for one in req.standings]
            policies = (f"{name};q={one.rate.amount};w={one.rate.get_expiry()}" for name, one in rates)
            resp.set_header("RateLimit-Policy", ", ".join(policies))
            resp.set_header("RateLimit", ", ".join(f"{name};r={one.remaining};t={one.seconds}" for name, one in rates))


class SignInFailures:
    """Counts what fails to sign in, by peer. Only failures: an office behind one address must not lock itself out.

    Those that were a try are in the audit trail, as many as are admitted, or one a second where there is no limit.
    That some were refused is, once for a peer in a minute, and for so many peers: a flood must not flood the trail.
    What came of an address is remembered for a second, so that a flood from it costs nothing but its answers.
    """

    def __init__(self, platform: Platform) -> None:
        self._limit = platform.sign_in_limit
        self._measure = platform.measurements.tell
        self._audit = platform.audit
        self._unlimited = not platform.config[SIGN_IN_LIMIT]
        self._lately: dict[str, tuple[float, RateLimited | None]] = {}
        self._refused = PeerCounts(NOTED_EVERY_SECONDS)

    def counted(self, req: Request, error: Exception) -> Exception:
        """Return what a request is answered with that ended in an error: that error, or that it was one too many."""
        if not isinstance(error, FAILED_SIGN_INS):
            return error
        until, refused = self._lately.get(req.peer, (-math.inf, None))
        if time.monotonic() >= until:
            refused = self._found(req, error)
        if refused is None:
            return error
        self._measure(LimitReached("sign_ins"))
        return refused

    def _found(self, req: Request, error: Exception) -> RateLimited | None:
        """Count a failure and take note of it; returns why it was one too many, if it was."""
        refused = None
        try:
            self._limit.take(req.peer)
            if isinstance(error, BAD_CREDENTIALS):
                self._audit.note(FAILED, detail=f"{error.code}: {req.method} {req.uri_template}")
        except RateLimited as too_many:
            refused = too_many
            self._note_refused(req, refused)
        except DatabaseUnavailable as unavailable:
            logger.warning("A failed sign-in could not be counted: %s", unavailable.detail)
            return None
        if refused or (self._unlimited and isinstance(error, BAD_CREDENTIALS)):
            if len(self._lately) >= MOST_REMEMBERED:
                self._lately.clear()
            self._lately[req.peer] = (time.monotonic() + REMEMBERED_SECONDS, refused)
        return refused

    def _note_refused(self, req: Request, refused: RateLimited) -> None:
        if self._refused.count(req.peer) > 1 or self._refused.peers > MOST_NOTED:
            return
        try:
            self._audit.note(REFUSED, detail=f"{refused.code}: {req.method} {req.uri_template}")
        except DatabaseUnavailable as unavailable:
            logger.warning("That signing in was refused could not be noted: %s", unavailable.detail)
