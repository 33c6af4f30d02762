"""The use cases of an account: somebody's own credentials, seen, made and ended."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from clawdeploy.core.contracts import AccountSection, CredentialRecord, CredentialStore, Identity, Secret
from clawdeploy.core.errors import CredentialNotFound, InvalidInput, SignInByBrowserNeeded
from clawdeploy.core.events import CredentialIssued, CredentialRevoked, Event

LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "One year", "never": "No expiry"}
"""How long a credential that somebody makes can live: the value of the form's choice, and what people see."""
MOST = 50
"""How many credentials of one kind somebody can have by making them."""


class Account:
    """Every method takes who is calling, and sees only that person's credentials; all raise ``DatabaseUnavailable``."""

    def __init__(
        self,
        credentials: CredentialStore,
        sections: Mapping[str, AccountSection],
        publish: Callable[[Event], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._credentials = credentials
        self.sections = sections
        self._publish = publish
        self._clock = clock

    def section(self, kind: str) -> AccountSection:
        """Return the section of a kind; raises ``CredentialNotFound``."""
        if kind not in self.sections:
            raise CredentialNotFound
        return self.sections[kind]

    def credentials(self, caller: Identity, kind: str) -> list[CredentialRecord]:
        """Return the caller's live credentials of a kind, newest first."""
        return self._credentials.list(self.section(kind).kind, caller.user_id)

    def make(self, caller: Identity, kind: str, label: str, lifetime: str) -> tuple[Secret, CredentialRecord]:
        """Make a credential and return its value, this once, and its record; ``lifetime`` is one of ``LIFETIMES``.

        Raises ``InvalidInput``, ``CredentialNotFound`` for a kind that cannot be made here, ``SignInByBrowserNeeded``.
        """
        _need_browser(caller)
        section = self.section(kind)
        if section.prefix is None:
            raise CredentialNotFound
        label = label.strip()
        errors = {}
        if not label:
            errors["name"] = ["Give it a name, such as that of the program that will use it."]
        if lifetime not in LIFETIMES:
            errors["lifetime"] = ["Choose one of the times of the list."]
        if errors:
            raise InvalidInput(errors)
        if len(self.credentials(caller, kind)) >= MOST:
            raise InvalidInput(
                {"name": [f"You have {MOST} already, which is the most. Revoke one that you do not need."]}
            )
        lasts = None if lifetime == "never" else timedelta(days=int(lifetime))
        secret, record = self._credentials.issue(
            kind, caller.user_id, prefix=section.prefix, label=label, lifetime=lasts
        )
        self._publish(CredentialIssued(record.created_at, caller.user_id, kind, caller.user_id, record.id))
        return secret, record

    def end(self, caller: Identity, kind: str, credential_id: str) -> None:
        """End one credential now. Raises ``CredentialNotFound``, also for another's, or ``SignInByBrowserNeeded``."""
        _need_browser(caller)
        if not self._credentials.revoke(self.section(kind).kind, credential_id, caller.user_id):
            raise CredentialNotFound
        self._publish(CredentialRevoked(self._clock(), caller.user_id, kind, caller.user_id, credential_id))

    def end_all(self, caller: Identity, kind: str) -> bool:
        """End all of the caller's credentials of a kind, and say whether the one they called with was among them.

        Raises ``CredentialNotFound`` for a kind that has no such button, or ``SignInByBrowserNeeded``.
        """
        _need_browser(caller)
        if not self.section(kind).end_all:
            raise CredentialNotFound
        ended = self._credentials.end_all(kind, caller.user_id)
        for record in ended:
            self._publish(CredentialRevoked(self._clock(), caller.user_id, kind, caller.user_id, record.id))
        return caller.credential_id in {record.id for record in ended}


def _need_browser(caller: Identity) -> None:
    """Refuse programs: whoever stole a token must not be able to make themselves another that lasts."""
    if not caller.ambient:
        raise SignInByBrowserNeeded
