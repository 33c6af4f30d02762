"""Whom Clerk knows: from the token of a program, or from the cookie of a browser, to an identity."""

import re
import time
from collections.abc import Callable, Mapping

from clawdeploy.core.contracts import Credentials, Identity, SignIn
from clawdeploy.core.errors import InvalidCredentials
from clawdeploy.plugins.clerk.cookies import read_cookies
from clawdeploy.plugins.clerk.keys import Keys
from clawdeploy.plugins.clerk.settings import ClerkSettings
from clawdeploy.plugins.clerk.tokens import BadToken, Flaw, Session, has_form, session_of

NAME = "clerk"
BEARER = re.compile(r"[ \t]*bearer(?![\w!#$%&'*+.^`|~-])(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
"""The scheme, as a whole word, and what stands after it."""


class ClerkSessions:
    """Recognizes callers by Clerk's session tokens.

    A bearer token is the caller's own choice: when it is bad, the cookie is not looked at. One that has not even the
    form of a session token is somebody else's, such as an API token.
    """

    name = NAME
    security_scheme: Mapping[str, str] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

    def __init__(
        self, settings: ClerkSettings, keys: Keys, sign_in: SignIn, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self.sign_in = sign_in

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return whose session it is.

        A bad cookie is ``None``, as if it were not there: browsers send it by themselves. Raises
        ``InvalidCredentials`` for a bad bearer token, ``SignInUnavailable`` when no key is there to check one with.
        """
        bearer = bearer_of(credentials)
        if bearer is None:
            return self._by_cookie(credentials)
        if not has_form(bearer):
            return None
        try:
            return identity_of(self._session(bearer), ambient=False)
        except BadToken as bad:
            if bad.flaw is Flaw.PENDING:
                return None
            raise InvalidCredentials(f"The session token was refused. {bad.flaw.value}") from None

    def _by_cookie(self, credentials: Credentials) -> Identity | None:
        cookies = read_cookies(credentials.cookies, self._settings, self._clock())
        if not cookies.token:
            return None
        try:
            session = self._session(cookies.token)
        except BadToken:
            return None
        # Signed out, or signed in anew, since the token was made.
        if cookies.says_uat and not 0 < cookies.uat <= session.issued_at:
            return None
        return identity_of(session, ambient=True)

    def _session(self, token: str) -> Session:
        return session_of(token, self._settings, self._keys, self._clock())


def bearer_of(credentials: Credentials) -> str | None:
    """Return the value of ``Authorization: Bearer``, ``None`` when there is none.

    Only blanks and tabs are left out around it: what else some take for white space makes it a bad one.
    """
    found = BEARER.fullmatch(credentials.headers.get("authorization", ""))
    return found[1].strip(" \t") if found else None


def identity_of(session: Session, *, ambient: bool) -> Identity:
    """Return the identity of a session; ``ambient`` for one that a browser's cookie tells of."""
    return Identity(session.user_id, NAME, ambient=ambient, session=session.session_id)
