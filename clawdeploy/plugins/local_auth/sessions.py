"""Sign-in links and the sessions that they open. Nothing here knows HTTP beyond a cookie's name and value.

A session ends at a set time after sign-in and is not prolonged by use: a stolen cookie ends by itself on a known day,
and no cookie has to be set again. It also ends when it was not used for a while.

Where a bot's page can get hold of the cookie, the session works only for whoever comes from where it was opened: what
a bot has taken is then worth nothing to it, and a session of its own, put in the place of somebody else's, opens
nothing.
"""

from collections.abc import Sequence
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
from clawdeploy.core.settings import browser_origin
from clawdeploy.plugins.local_auth.settings import (
    SESSION_LIFETIME,
    SESSION_UNUSED,
    cookie_name,
    is_https,
    is_shared_with_bots,
)

LINK = "sign_in_link"
LINK_LIFETIME = timedelta(minutes=10)
SESSION = "session"
ENDED = "You are signed out: the session of this browser has ended. Your bots are where you left them."
ENDED_OR_ELSEWHERE = (
    "You are signed out: the session of this browser has ended, or your network has changed, for example to a VPN. "
    "Without https a session works only where it was opened. Your bots are where you left them."
)
MOST_SESSIONS = 50
"""How many sessions somebody can have at a time; the oldest makes room for one more."""


class LocalSessions:
    """Recognizes callers by the session cookie."""

    name = "local"

    def __init__(self, credentials: CredentialStore, config: Config) -> None:
        self._credentials = credentials
        self._cookie = cookie_name(config)
        self._keeps_to_peer = is_shared_with_bots(config)
        self.sign_in = SignIn(fallback=True, sign_out="/sign-out", ended=self._ended)
        self.security_scheme = {"type": "apiKey", "in": "cookie", "name": self._cookie}

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the session's user, or ``None`` when there is no live session.

        A dead cookie is ``None`` too, never ``InvalidCredentials``: the browser goes on sending it by
        itself, nobody chose to present it. Its person is simply signed out and can sign in again.
        """
        value = credentials.cookies.get(self._cookie)
        record = self._credentials.find(SESSION, value, peer=credentials.peer) if value else None
        return Identity(record.user_id, self.name, ambient=True, credential_id=record.id) if record else None

    def _ended(self, credentials: Credentials) -> str:
        """Explain a cookie whose session does not work; signing out takes the cookie, too."""
        if self._cookie not in credentials.cookies:
            return ""
        return ENDED_OR_ELSEWHERE if self._keeps_to_peer else ENDED


class Sessions:
    """Makes sign-in links, and opens and ends sessions."""

    def __init__(self, platform: Platform) -> None:
        config = platform.config
        self._credentials = platform.credentials
        self._publish = platform.publish
        self._origin = browser_origin(config)
        self.lifetime = config[SESSION_LIFETIME]
        self._unused_for = config[SESSION_UNUSED]
        self._keeps_to_peer = is_shared_with_bots(config)
        self.cookie = cookie_name(config)
        self.secure = is_https(config)

    def make_link(self, user_id: str, actor: str) -> tuple[str, CredentialRecord]:
        """Return the address of a new one-time link, and its record. Raises ``InvalidInput`` for a bad user id."""
        secret, record = self._credentials.issue(LINK, user_id, lifetime=LINK_LIFETIME)
        self._publish(CredentialIssued(record.created_at, actor, LINK, record.user_id, record.id))
        return f"{self._origin}/sign-in/{secret.reveal()}", record

    def whose(self, link: str) -> str:
        """Return whom a link signs in, and leave it as it is; raises ``SignInLinkInvalid``."""
        found = self._credentials.find(LINK, link)
        if found is None:
            raise _invalid()
        return found.user_id

    def owner(self, session: str | None, peer: str) -> str | None:
        """Return whose a session is, by its cookie's value; ``None`` for a missing or dead one."""
        found = self._credentials.find(SESSION, session, peer=peer) if session else None
        return found.user_id if found else None

    def open(self, link: str, browser: str, peer: str, replaced: str | None) -> Secret:
        """Use up a link and return the value of the session it opens.

        ``browser`` is what its owner will recognize the session by, ``peer`` where it was opened from. ``replaced`` is
        the session cookie that the browser had; that session ends, whoever it belonged to. Raises
        ``SignInLinkInvalid``, and then changes nothing.
        """
        used = self._credentials.redeem(LINK, link)
        if used is None:
            raise _invalid()
        self._tell_revoked(used, used.user_id)
        self.end(replaced, peer)
        for oldest in self._credentials.list(SESSION, used.user_id)[MOST_SESSIONS - 1 :]:
            if self._credentials.revoke(SESSION, oldest.id):
                self._tell_revoked(oldest, used.user_id)
        secret, record = self._credentials.issue(
            SESSION,
            used.user_id,
            label=browser,
            lifetime=self.lifetime,
            unused_for=self._unused_for,
            peer=peer if self._keeps_to_peer else "",
        )
        self._publish(CredentialIssued(record.created_at, record.user_id, SESSION, record.user_id, record.id))
        return secret

    def end(self, session: str | None, peer: str) -> None:
        """End a session by its cookie's value; a missing or dead one is fine."""
        record = self._credentials.find(SESSION, session, peer=peer) if session else None
        if record and self._credentials.revoke(SESSION, record.id):
            self._tell_revoked(record, record.user_id)

    def list(self, user_id: str | None = None) -> Sequence[CredentialRecord]:
        """Return the live sessions, newest first, of everybody or of one user."""
        return self._credentials.list(SESSION, user_id)

    def revoke(self, session_id: str, actor: str) -> CredentialRecord | None:
        """End one session by its id and return what it was; ``None`` when there is none."""
        record = next((one for one in self._credentials.list(SESSION) if one.id == session_id), None)
        if record is None or not self._credentials.revoke(SESSION, session_id):
            return None
        self._tell_revoked(record, actor)
        return record

    def end_all(self, user_id: str | None, actor: str) -> Sequence[CredentialRecord]:
        """End all sessions of a user or of everybody, and the links that would open more; returns the sessions."""
        ended = [*self._credentials.end_all(LINK, user_id), *self._credentials.end_all(SESSION, user_id)]
        for record in ended:
            self._tell_revoked(record, actor)
        return [record for record in ended if record.kind == SESSION]

    def _tell_revoked(self, record: CredentialRecord, actor: str) -> None:
        self._publish(CredentialRevoked(datetime.now(UTC), actor, record.kind, record.user_id, record.id))


def _invalid() -> SignInLinkInvalid:
    return SignInLinkInvalid(
        "This sign-in link was used already, has expired or never existed. Make a new one with: clawdeploy sign-in USER"
    )
