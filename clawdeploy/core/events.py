"""What has happened, told to ``observe`` after it was committed."""

from dataclasses import dataclass
from datetime import datetime

from clawdeploy.core.contracts.instance import Status


@dataclass(frozen=True)
class Event:
    """Something that happened: when, and who did it.

    ``actor`` is a user id, ``"engine"`` when the engine told of it, ``"sync"`` when the server did or noticed it by
    itself, or ``"cli"``.
    """

    at: datetime
    actor: str


@dataclass(frozen=True)
class InstanceCreated(Event):
    """An owner asked for a new instance and its row was stored."""

    instance_id: str
    owner: str


@dataclass(frozen=True)
class StatusChanged(Event):
    """The public status of an instance changed, with the reason code and sentence if any."""

    instance_id: str
    owner: str
    before: Status
    after: Status
    reason: str
    detail: str


@dataclass(frozen=True)
class InstanceChanged(Event):
    """An owner changed fields of an instance; ``fields`` are JSON names, never values."""

    instance_id: str
    owner: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class InstanceDeleted(Event):
    """An instance, its container and its data are gone."""

    instance_id: str
    owner: str


@dataclass(frozen=True)
class CredentialIssued(Event):
    """A sign-in link, session or API token was made; ``kind`` says which."""

    kind: str
    user_id: str
    credential_id: str


@dataclass(frozen=True)
class CredentialRevoked(Event):
    """A sign-in link was used up, a session was signed out or an API token was revoked."""

    kind: str
    user_id: str
    credential_id: str
