"""An instance: one person's bot, as everything outside the database sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """The public states of an instance; all of them are observed, none is set by a client."""

    PENDING = "pending"
    CREATING = "creating"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"
    DELETED = "deleted"


class Wish(StrEnum):
    """What the owner wants of an instance."""

    RUN = "run"
    STOP = "stop"
    DELETE = "delete"


class Operation(StrEnum):
    """Work on an instance that is not finished yet. ``RECOVER`` is begun by the sync, the others by people."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RECOVER = "recover"
    DELETE = "delete"


@dataclass(frozen=True)
class Instance:
    """A snapshot of one instance. Secrets are not in it, only the names of those that are set.

    ``reason`` is a stable code and ``detail`` a sentence; both are empty while all is well.
    ``operation`` is what is going on, ``None`` when the instance has settled. ``status_as_of`` is when the status was
    last confirmed by a look at the engine, or became what it is. ``retry_at`` is when a bot that failed is brought
    back, ``None`` when that is not to happen by itself.
    """

    id: str
    owner: str
    name: str
    model: str
    channel: str
    blueprint: str
    wish: Wish
    status: Status
    reason: str
    detail: str
    status_since: datetime
    status_as_of: datetime
    operation: Operation | None
    secrets_set: frozenset[str]
    container_id: str | None
    host_port: int | None
    config: Mapping[str, object]
    region: str | None
    instance_type: str | None
    ip_address: str | None
    created_at: datetime
    updated_at: datetime
    retry_at: datetime | None = None
