"""Who is calling, and how that is remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from clawdeploy.core.contracts.secret import Secret


@dataclass(frozen=True)
class Credentials:
    """What a caller sent: header names in lower case, cookies by name. No query, no body.

    ``peer`` says where it came from: an IPv4 address, or an IPv6 network of 64 bits; empty where nobody knows.
    """

    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    peer: str = ""

    def __repr__(self) -> str:
        return f"Credentials(headers={sorted(self.headers)}, cookies={sorted(self.cookies)})"


@dataclass(frozen=True)
class Identity:
    """A caller who proved who they are.

    ``ambient`` says that the browser sends the credential by itself (a cookie), so that a
    change has to pass the origin check; a bearer token is not ambient. ``session`` is the id of a session that another
    service keeps, in at most 100 printable characters: its first use here is noted in the audit trail.
    """

    user_id: str
    provider: str
    ambient: bool
    credential_id: str | None = None
    session: str | None = field(default=None, compare=False)


class AuthProvider(Protocol):
    """Tells who is calling from headers and cookies.

    It may have an attribute ``security_scheme``: what OpenAPI says of the credential that it takes; and ``sign_in``, a
    ``SignIn``: that people get to that credential with a browser, and how.
    """

    name: str

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return who it is, or ``None`` for "not mine, ask the next provider".

        Raises ``InvalidCredentials`` for "mine, and bad": the call ends with 401 even if
        another provider would accept something else in it.
        """


@dataclass(frozen=True)
class CredentialRecord:
    """A credential as it is kept: everything about it except its value."""

    id: str
    kind: str
    user_id: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class CredentialStore(Protocol):
    """Keeps credentials that we issue (links, sessions, tokens) as hashes, by kind."""

    def issue(
        self,
        kind: str,
        user_id: str,
        *,
        prefix: str = "",
        label: str = "",
        lifetime: timedelta | None = None,
        unused_for: timedelta | None = None,
        peer: str = "",
    ) -> tuple[Secret, CredentialRecord]:
        """Make a new random credential. Its value is returned here and nowhere else.

        It ends after its ``lifetime``, and when it was not used for as long as ``unused_for``. With a ``peer`` it is
        found for those who come from there alone. Raises ``InvalidInput`` for a user id or label that is empty, too
        long or unprintable, and ``NotSignedIn`` for a user who was removed.
        """

    def find(self, kind: str, value: str, *, peer: str = "") -> CredentialRecord | None:
        """Return the record of a live credential and note its use if that can be, or ``None``.

        ``peer`` is where it was sent from; one that belongs to another peer is not found.
        """

    def redeem(self, kind: str, value: str) -> CredentialRecord | None:
        """Use up a single-use credential: of many simultaneous calls exactly one gets it."""

    def list(self, kind: str, user_id: str | None = None) -> list[CredentialRecord]:
        """Return live credentials of a kind, newest first."""

    def revoke(self, kind: str, credential_id: str, user_id: str | None = None) -> bool:
        """End a credential now; says whether there was one (of that user, if given)."""

    def end_all(self, kind: str, user_id: str | None = None) -> Sequence[CredentialRecord]:
        """End all credentials of a kind, of one user or of everybody, and return those that were live."""

    def prune(self) -> int:
        """Forget credentials that expired; returns how many."""
