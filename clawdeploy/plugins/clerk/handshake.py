"""Visits of pages with a token that is stale or missing: Clerk is asked, by way of the browser, who is signed in.

The decisions, and the reasons that Clerk is told, are those of ``authenticateRequest`` in Clerk's own backend library,
for an application on one domain. Two things differ: a session that is good is not sent to Clerk because of the page
that led here (that keeps several domains in step), and no session token is put into an address.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus, urlencode

from clawdeploy.core.contracts import Identity, Reception, Visit, without_parameters
from clawdeploy.core.errors import SignInUnavailable
from clawdeploy.plugins.clerk.cookies import (
    CLIENT_UAT,
    DEV_BROWSER,
    HANDSHAKE,
    REDIRECT_COUNT,
    SESSION,
    ClerkCookies,
    read_cookies,
)
from clawdeploy.plugins.clerk.identities import bearer_of, identity_of
from clawdeploy.plugins.clerk.keys import Keys
from clawdeploy.plugins.clerk.settings import ClerkSettings
from clawdeploy.plugins.clerk.tokens import (
    SKEW_SECONDS,
    BadToken,
    Flaw,
    has_form,
    is_of_another_class,
    peek,
    session_of,
    signed_claims,
)

API_VERSION = "2026-05-12"
MOST_REDIRECTS = 3
COUNTED_SECONDS = 2
MOST_BYTES = 16 * 1024
"""A handshake holds several cookies with a token in each."""
OWN_PARAMETERS = frozenset({HANDSHAKE, "__clerk_handshake_nonce", "__clerk_help", DEV_BROWSER, "__dev_session"})
"""What Clerk puts into the address of a page, and wants taken out again."""
REASONS = {
    Flaw.EXPIRED: "session-token-expired-refresh-non-eligible-no-refresh-cookie",
    Flaw.NOT_YET: "session-token-nbf",
    Flaw.FROM_THE_FUTURE: "session-token-iat-in-the-future",
}
"""Why a fresh token is needed; with other flaws a fresh one would not be better."""
DIRECTIVE = re.compile(r"([A-Za-z0-9_-]+)=([!#-+\--:<-\[\]-~]*)((?:; ?[A-Za-z-]+(?:=[ -:<-~]*)?)*)")
"""A value of ``Set-Cookie`` in printable ASCII: name, value, attributes."""
ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "secure", "httponly", "samesite", "partitioned"})

logger = logging.getLogger(__name__)


class Handshakes:
    """Receives visits, as ``SignIn.receive``."""

    def __init__(self, settings: ClerkSettings, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        # Those that Clerk's scripts and servers set on the domain of an application, and no others.
        plain = (SESSION, CLIENT_UAT, DEV_BROWSER, "__refresh", "__clerk_active_context")
        own = (f"{name}_{settings.key.suffix}" for name in plain)
        self._cookie_names = frozenset((*plain, *own, HANDSHAKE))

    def receive(self, visit: Visit) -> Reception | None:
        """Return what becomes of a visit; ``None`` leaves it to the auth providers.

        Raises ``SignInUnavailable`` when there is no key to check a token with.
        """
        query = list(_parameters(visit.target))
        cookies = read_cookies(visit.credentials.cookies, self._settings, self._clock())
        bearer = bearer_of(visit.credentials)
        if bearer is not None:
            return self._judge(visit, bearer, cookies) if has_form(bearer) else None
        try:
            completed = self._completed(visit, query, cookies)
        except SignInUnavailable:
            # It may be the handshake of another application on this domain, with a key that nobody here knows.
            decided = self._decided(visit, query, cookies)
            if decided is None:
                raise
            return decided
        return completed or self._decided(visit, query, cookies)

    def _decided(self, visit: Visit, query: list[tuple[str, str]], cookies: ClerkCookies) -> Reception | None:
        """Decide by what the cookies say of each other, before a token is looked at."""
        if not self._settings.key.live:
            if any(name == DEV_BROWSER for name, _ in query):
                return self._ask(visit, "dev-browser-sync", cookies)
            if not cookies.dev_browser:
                return self._ask(visit, "dev-browser-missing", cookies)
        if not cookies.uat and not cookies.token:
            return None
        if not cookies.uat:
            return self._ask(visit, "session-token-but-no-client-uat", cookies)
        if not cookies.token:
            return self._ask(visit, "client-uat-but-no-session-token", cookies)
        if is_of_another_class(cookies.token):
            return None
        issued = peek(cookies.token).get("iat")
        if isinstance(issued, int | float) and issued < cookies.uat:
            return self._ask(visit, "session-token-iat-before-client-uat", cookies)
        return self._judge(visit, cookies.token, cookies, ambient=True)

    def _judge(self, visit: Visit, token: str, cookies: ClerkCookies, *, ambient: bool = False) -> Reception | None:
        try:
            return Reception(identity_of(session_of(token, self._settings, self._keys, self._clock()), ambient=ambient))
        except BadToken as bad:
            return self._ask(visit, REASONS[bad.flaw], cookies) if bad.flaw in REASONS else None

    def _ask(self, visit: Visit, reason: str, cookies: ClerkCookies) -> Reception | None:
        """Send the browser to Clerk, unless that was done too often a moment ago."""
        if cookies.redirects >= MOST_REDIRECTS:
            logger.warning("Clerk was asked %s times in vain who is signed in (%s).", MOST_REDIRECTS, reason)
            return None
        settings = self._settings
        asked = {
            "redirect_url": settings.origin + _without_own(visit.target),
            "__clerk_api_version": API_VERSION,
            "suffixed_cookies": str(cookies.suffixed).lower(),
            "__clerk_hs_reason": reason,
            "format": "token",
        }
        browser = _first(_parameters(visit.target), DEV_BROWSER) or cookies.dev_browser
        if not settings.key.live and browser:
            asked[DEV_BROWSER] = browser
        count = f"{REDIRECT_COUNT}={cookies.redirects + 1}; Path=/; SameSite=Lax; HttpOnly; Max-Age={COUNTED_SECONDS}"
        secure = "; Secure" if settings.origin.startswith("https:") else ""
        leads_to = f"{settings.frontend_api}/v1/client/handshake?{urlencode(asked)}"
        return Reception(leads_to=leads_to, cookies=(count + secure,))

    def _completed(self, visit: Visit, query: list[tuple[str, str]], cookies: ClerkCookies) -> Reception | None:
        """Return what a handshake that has come back says; ``None`` without a good one, as if there were none.

        A development instance sends it in the address, which is then opened anew without it. One for production uses a
        cookie, because whoever could choose an address could sign somebody else in as themselves.
        """
        in_address = "" if self._settings.key.live else _first(query, HANDSHAKE)
        said = self._said(in_address or cookies.handshake)
        if said is None:
            return None
        tokens = [
            value for name, value, _ in said if name in (SESSION, f"{SESSION}_{self._settings.key.suffix}") if value
        ]
        identity: Identity | None = None
        if tokens:
            try:
                session = session_of(tokens[-1], self._settings, self._keys, self._clock())
            except BadToken as bad:
                # Who has to complete a session at Clerk is signed out until then; asking again would change nothing.
                if bad.flaw is not Flaw.PENDING:
                    return None
            else:
                identity = identity_of(session, ambient=True)
        leads_to = _without_own(visit.target) if in_address else ""
        return Reception(identity, leads_to, tuple(directive for _, _, directive in said))

    def _said(self, handshake: str) -> list[tuple[str, str, str]] | None:
        """Return name, value and whole directive of the cookies that a good handshake sets, ``None`` for a bad one."""
        if not handshake:
            return None
        try:
            claims = signed_claims(handshake, self._keys, most=MOST_BYTES)
        except BadToken:
            return None
        directives = claims.get("handshake")
        if not isinstance(directives, list) or not self._is_current(claims):
            return None
        return [found for each in directives if (found := self._allowed(each))]

    def _is_current(self, claims: Mapping[str, Any]) -> bool:
        """Judge what a handshake says of itself; Clerk's own libraries ask for none of it."""
        ends = claims.get("exp", float("inf"))
        issuer = claims.get("iss", self._settings.key.issuer)
        own = isinstance(issuer, str) and issuer in self._settings.issuers
        return own and isinstance(ends, int | float) and ends > self._clock() - SKEW_SECONDS

    def _allowed(self, directive: object) -> tuple[str, str, str] | None:
        found = DIRECTIVE.fullmatch(directive) if isinstance(directive, str) else None
        if found is None or found[1] not in self._cookie_names:
            return None
        names = {part.partition("=")[0].strip().lower() for part in found[3].split(";") if part}
        return (found[1], found[2], found[0]) if names <= ATTRIBUTES else None


def _parameters(target: str) -> Iterator[tuple[str, str]]:
    for part in target.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        yield unquote_plus(name), unquote_plus(value)


def _first(parameters: Iterable[tuple[str, str]], name: str) -> str:
    return next((value for each, value in parameters if each == name), "")


def _without_own(target: str) -> str:
    """Return path and query without what Clerk has put there."""
    # With two slashes it would be another server.
    return without_parameters(f"/{target.lstrip('/')}", OWN_PARAMETERS)
