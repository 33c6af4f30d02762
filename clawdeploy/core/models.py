"""The tables, as peewee models. Rows never leave the core: everything else gets frozen dataclasses.

The models are not tied to a database when they are defined; :func:`tables` derives a set of them for one
database, so that two platforms in one process (as in tests) never share anything.
"""

from dataclasses import dataclass
from typing import Any

import peewee

from clawdeploy.core.columns import JsonField, SpanField, UtcField


class InstallationRow(peewee.Model):
    """The one row that makes this database an installation of its own.

    ``synced_at`` is when all instances were last compared with the engine.
    """

    id = peewee.TextField(primary_key=True)
    key_check = peewee.TextField()
    created_at = UtcField()
    synced_at = UtcField(null=True)

    class Meta:
        table_name = "installation"


class InstanceRow(peewee.Model):
    """One bot: what its owner wants, what was seen last, and who is working on it.

    ``operation`` is unfinished work (``None`` when settled) and ``started`` says that the engine
    has acknowledged the start within it. ``claim`` is the token of whoever performs it and
    ``claim_until`` when that claim lapses by itself. ``made_from`` identifies the specification that the
    container was made from. ``retry_at`` is when a bot that failed is brought back, ``failures`` how often that was
    in vain; ``crashes`` and ``restarts_seen`` are explained in ``core/crashes.py``. ``unanswered_since`` is until when
    a bot that did not answer at the last look is known to have answered; at the next such look it is unhealthy. Of one
    that could not be looked at, it is until when what the row says is known to have been so.
    ``secrets_unread``: a secret was changed since the container was given its secrets, which is when it is started.
    """

    id = peewee.TextField(primary_key=True)
    owner = peewee.TextField()
    name = peewee.TextField()
    model = peewee.TextField()
    channel = peewee.TextField()
    blueprint = peewee.TextField()
    wish = peewee.TextField()
    status = peewee.TextField()
    reason = peewee.TextField(default="")
    detail = peewee.TextField(default="")
    status_since = UtcField()
    operation = peewee.TextField(null=True)
    operation_since = UtcField(null=True)
    started = peewee.BooleanField(default=False)
    claim = peewee.TextField(null=True)
    claim_until = UtcField(null=True)
    container_id = peewee.TextField(null=True)
    host_port = peewee.IntegerField(null=True, unique=True)
    made_from = peewee.TextField(null=True)
    retry_at = UtcField(null=True)
    failures = peewee.IntegerField(default=0)
    crashes = JsonField(default=list)
    restarts_seen = peewee.IntegerField(default=0)
    unanswered_since = UtcField(null=True)
    secrets_unread = peewee.BooleanField(default=False)
    config = JsonField(default=dict)
    region = peewee.TextField(null=True)
    instance_type = peewee.TextField(null=True)
    ip_address = peewee.TextField(null=True)
    created_at = UtcField()
    updated_at = UtcField()

    class Meta:
        table_name = "instance"
        indexes = ((("owner", "created_at", "id"), False),)


class SecretRow(peewee.Model):
    """One secret of one instance, as ciphertext that opens only for this instance and field."""

    instance_id = peewee.TextField()
    field = peewee.TextField()
    ciphertext = peewee.TextField()

    class Meta:
        table_name = "secret"
        primary_key = peewee.CompositeKey("instance_id", "field")


class CredentialRow(peewee.Model):
    """A sign-in link, session or API token; only a hash of its value is kept.

    It ends at ``expires_at``, and before that when it was not used for as long as ``unused_for``. ``peer`` is the only
    network in which it works, empty when it works everywhere.
    """

    id = peewee.TextField(primary_key=True)
    kind = peewee.TextField()
    user_id = peewee.TextField()
    label = peewee.TextField(default="")
    digest = peewee.TextField(unique=True)
    created_at = UtcField()
    expires_at = UtcField(null=True)
    last_used_at = UtcField(null=True)
    unused_for = SpanField(null=True)
    peer = peewee.TextField(default="")

    class Meta:
        table_name = "credential"
        indexes = ((("kind", "user_id"), False),)


class ActivityRow(peewee.Model):
    """One thing that happened to one instance; see the ``Activity`` contract."""

    id = peewee.BigAutoField()
    instance_id = peewee.TextField()
    at = UtcField()
    actor = peewee.TextField()
    kind = peewee.TextField()
    what = peewee.TextField()
    reason = peewee.TextField()
    detail = peewee.TextField()
    evidence = JsonField(default=dict)

    class Meta:
        table_name = "activity"
        indexes = ((("instance_id", "id"), False),)


class LeaseRow(peewee.Model):
    """A job that one process of all does at a time."""

    name = peewee.TextField(primary_key=True)
    holder = peewee.TextField()
    until = UtcField()

    class Meta:
        table_name = "lease"


class IdempotencyRow(peewee.Model):
    """The key of a request that is carried out once; see ``core/idempotency.py``.

    ``holder`` names the process that took it, and ``until`` is when that one is taken to be dead, unless there is an
    answer. Keys of before the column have no holder.
    """

    owner = peewee.TextField()
    call = peewee.TextField()
    key = peewee.TextField()
    fingerprint = peewee.TextField()
    created_at = UtcField(index=True)
    until = UtcField()
    holder = peewee.TextField(null=True)
    made = peewee.TextField(null=True)
    status = peewee.IntegerField(null=True)
    body = peewee.TextField(null=True)
    location = peewee.TextField(null=True)
    media_type = peewee.TextField(null=True)

    class Meta:
        table_name = "idempotency"
        primary_key = peewee.CompositeKey("owner", "call", "key")


class SpanRow(peewee.Model):
    """A span of time in which one process used this database without a break; see ``core/spans.py``."""

    id = peewee.BigAutoField()
    begun = UtcField()
    until = UtcField()

    class Meta:
        table_name = "span"


class RateLimitRow(peewee.Model):
    """One window of somebody's: the moments at which they did something in it; see ``core/ratelimit.py``."""

    key = peewee.TextField(primary_key=True)
    hits = JsonField(default=list)
    empty_at = UtcField(index=True)

    class Meta:
        table_name = "rate_limit"


class AuditRow(peewee.Model):
    """One entry of the audit trail; see ``core/audit.py``."""

    id = peewee.BigAutoField()
    at = UtcField(index=True)
    who = peewee.TextField()
    what = peewee.TextField()
    user_id = peewee.TextField()
    subject = peewee.TextField()
    address = peewee.TextField()
    detail = peewee.TextField()

    class Meta:
        table_name = "audit"
        indexes = ((("user_id", "id"), False),)


@dataclass(frozen=True)
class Tables:
    """The models of one database."""

    installation: Any
    instance: Any
    secret: Any
    credential: Any
    lease: Any
    activity: Any
    idempotency: Any
    span: Any
    rate_limit: Any
    audit: Any


def tables(database: peewee.Database) -> Tables:
    """Derive the models for one database."""

    def bound(model: type[peewee.Model]) -> Any:
        meta = type("Meta", (), {"database": database, "table_name": vars(model)["_meta"].table_name})
        return type(model.__name__, (model,), {"__doc__": model.__doc__, "Meta": meta})

    rows = (
        InstallationRow,
        InstanceRow,
        SecretRow,
        CredentialRow,
        LeaseRow,
        ActivityRow,
        IdempotencyRow,
        SpanRow,
        RateLimitRow,
        AuditRow,
    )
    return Tables(*(bound(row) for row in rows))
