"""Sign-in links and the sessions that they open. Nothing here knows HTTP beyond a cookie's name and value.

A session lasts 30 days from sign-in and is not prolonged by use: a stolen cookie ends by itself
on a known day, and reading a page never has to write the database or set a cookie again.
"""

from datetime import UTC, datetime, timedelta

from clawdeploy.core.config import Config
from clawdeploy.core.contracts import (
    CredentialRecord,
    Credentials,
    CredentialStore,
    Identity,
    Platform,
    Secret,
    SignIn,
)
from clawdeploy.core.errors import SignInLinkInvalid
from clawdeploy.core.events import CredentialIssued, CredentialRevoked
from clawdeploy.core.settings import PUBLIC_ORIGIN, browser_origin

LINK = "sign_in_link"
LINK_LIFETIME = timedelta(minutes=15)
SESSION = "session"
SESSION_LIFETIME = timedelta(days=30)


def is_https(config: Config) -> bool:
    """Say whether browsers reach this server by https, so that cookies can be kept to it."""
    return config[PUBLIC_ORIGIN].startswith("https:")


def cookie_name(config: Config) -> str:
    """Return the session cookie's name. With ``__Host-`` a browser takes it from this very host only."""
    return "__Host-clawdeploy_session" if is_https(config) else "clawdeploy_session"


class LocalSessions:
    """Recognizes callers by the session cookie."""

    name = "local"

    def __init__(self, credentials: CredentialStore, cookie: str) -> None:
        self._credentials = credentials
        self._cookie = cookie
        self.sign_in = SignIn(fallback=True, sign_out="/sign-out")
        self.security_scheme = {"type": "apiKey", "in": "cookie", "name": cookie}

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the session's user, or ``None`` when there is no live session.

        A dead cookie is ``None`` too, never ``InvalidCredentials``: the browser goes on sending it by
        itself, nobody chose to present it. Its person is simply signed out and can sign in again.
        """
        value = credentials.cookies.get(self._cookie)
        record = self._credentials.find(SESSION, value) if value else None
        return Identity(record.user_id, self.name, ambient=True, credential_id=record.id) if record else None


class Sessions:
    """Makes sign-in links, and opens and ends sessions."""

    def __init__(self, platform: Platform) -> None:
        self._credentials = platform.credentials
        self._publish = platform.publish
        self._origin = browser_origin(platform.config)
        self.cookie = cookie_name(platform.config)
        self.secure = is_https(platform.config)

    def make_link(self, user_id: str, actor: str) -> tuple[str, CredentialRecord]:
        """Return the address of a new one-time link, and its record. Raises ``InvalidInput`` for a bad user id."""
        secret, record = self._credentials.issue(LINK, user_id, lifetime=LINK_LIFETIME)
        self._publish(CredentialIssued(record.created_at, actor, LINK, record.user_id, record.id))
        return f"{self._origin}/sign-in/{secret.reveal()}", record

    def open(self, link: str, browser: str, replaced: str | None) -> Secret:
        """Use up a link and return the value of the session it opens.

        ``browser`` is what its owner will recognize the session by. ``replaced`` is the session cookie that the
        browser had; that session ends, whoever it belonged to. Raises ``SignInLinkInvalid``, and then changes nothing.
        """
        used = self._credentials.redeem(LINK, link)
        if used is None:
            raise SignInLinkInvalid(
                "This sign-in link was used already, has expired or never existed. "
                "Make a new one with: clawdeploy sign-in USER"
            )
        self._tell_revoked(used)
        self.end(replaced)
        secret, record = self._credentials.issue(SESSION, used.user_id, label=browser, lifetime=SESSION_LIFETIME)
        self._publish(CredentialIssued(record.created_at, record.user_id, SESSION, record.user_id, record.id))
        return secret

    def end(self, session: str | None) -> None:
        """End a session by its cookie's value; a missing or dead one is fine."""
        record = self._credentials.find(SESSION, session) if session else None
        if record and self._credentials.revoke(SESSION, record.id):
            self._tell_revoked(record)

    def _tell_revoked(self, record: CredentialRecord) -> None:
        now = datetime.now(UTC)
        self._publish(CredentialRevoked(now, record.user_id, record.kind, record.user_id, record.id))
