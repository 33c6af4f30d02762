"""What goes out, as JSON: camelCase there, snake_case here. The OpenAPI document is made from these schemas."""

from datetime import datetime
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from clawdeploy.core.contracts import Activity, ContainerState, Instance, Operation, Status
from clawdeploy.core.fields import API_KEY, BOT_TOKEN, MASK, said
from clawdeploy.core.reasons import SENTENCES


class Answer(Schema):
    """Base of what goes out. Every field is there in every answer, unless it is ``optional``, and no other is."""

    optional: ClassVar[frozenset[str]] = frozenset()

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Name the field as JSON does."""
        first, *others = field_name.split("_")
        field_obj.data_key = first + "".join(word.capitalize() for word in others)
        field_obj.required = field_name not in self.optional


class Moment(fields.DateTime):
    """A moment in RFC 3339, UTC."""

    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else timestamp(value)


class OrNull(fields.String):
    """A text that is ``null`` instead of empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_none=True, **options)

    def _serialize(self, value: str | None, *_: Any, **__: Any) -> str | None:
        return value or None


def timestamp(moment: datetime) -> str:
    """Return an aware UTC moment in RFC 3339."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def masked(which: str) -> fields.Field[Any]:
    """Return the field of a secret that is set or not."""
    return fields.String(allow_none=True, metadata=said(f'{which}: `"***"` when set.', enum=[MASK, None]))


class InstanceAnswer(Answer):
    """An instance."""

    id = fields.String(metadata=said("16 letters and digits.", pattern="^[a-z2-7]{16}$"))
    user_id = fields.String(attribute="owner", metadata=said("Whose it is."))
    name = fields.String()
    model = fields.String(metadata=said("One of `GET /api/models`."))
    channel = fields.String(metadata=said("One of `GET /api/channels`, unless it was uninstalled since."))
    blueprint = fields.String(metadata=said("One of `GET /api/blueprints`, unless it was uninstalled since."))
    status = fields.Enum(Status, by_value=fields.String, metadata=said("What it does, as the engine says."))
    status_reason = OrNull(
        attribute="reason",
        metadata=said("Why it is not simply running.", enum=[*(code for code in SENTENCES if code), None]),
    )
    status_detail = OrNull(attribute="detail", metadata=said("The same as a sentence."))
    status_since = Moment(metadata=said("Since when it has this status."))
    status_as_of = Moment(metadata=said("When a look at the engine confirmed or changed that last."))
    operation = fields.Enum(
        Operation,
        by_value=fields.String,
        allow_none=True,
        metadata=said("What is going on; `null` when it has settled."),
    )
    bot_token = masked("The bot's token at the chat network")
    api_key = masked("The key for the language model")
    credentials = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"enum": [MASK]}),
        metadata=said("Further credentials of the channel that are set."),
    )
    container_id = fields.String(allow_none=True, metadata=said("The engine's id of its container."))
    port = fields.Integer(attribute="host_port", allow_none=True, metadata=said("The host port it listens on."))
    url = fields.String(allow_none=True, metadata=said("Where that is, as the server sees it."))
    config = fields.Dict(metadata=said("What its owner wants to keep with it."))
    region = fields.String(allow_none=True)
    instance_type = fields.String(allow_none=True)
    ip_address = fields.String(allow_none=True)
    created_at = Moment()
    updated_at = Moment()


class EvidenceAnswer(Answer):
    """What was seen of a container; what says nothing is left out."""

    container = fields.Enum(
        ContainerState,
        by_value=fields.String,
        attribute="state",
        metadata=said("The engine's word for its state."),
    )
    container_id = fields.String()
    exit_code = fields.Integer()
    out_of_memory = fields.Boolean()
    restart_count = fields.Integer()
    unhealthy = fields.Boolean()
    ended_with_engine = fields.Boolean()
    engine_error = fields.String()
    optional = frozenset(
        {
            "container",
            "container_id",
            "exit_code",
            "out_of_memory",
            "restart_count",
            "unhealthy",
            "ended_with_engine",
            "engine_error",
        }
    )


class AsKept(fields.Nested):
    """What was made by a schema before it was stored, and goes out as it is."""

    def _serialize(self, *arguments: Any, **_: Any) -> Any:
        return arguments[0]


class ActivityAnswer(Answer):
    """One thing that happened to an instance."""

    at = Moment()
    actor = fields.String(metadata=said("A user's id, `engine`, `sync` or `cli`."))
    kind = fields.String(metadata=said("What `what` is.", enum=["asked", "changed", "state"]))
    what = fields.String(
        metadata=said(
            "The operation that was asked for, the names of the fields that were changed with commas between them, "
            "or the status from then on."
        )
    )
    reason = OrNull()
    detail = OrNull()
    evidence = AsKept(EvidenceAnswer)


class LanguageModelAnswer(Answer):
    """A language model."""

    name = fields.String()
    label = fields.String(metadata=said("The name that people see."))
    provider = fields.String()
    help = fields.String(metadata=said("Where its owner gets the `apiKey`."))


class CredentialFieldAnswer(Answer):
    """A credential that a channel takes."""

    name = fields.String(metadata=said("`botToken`, or the name of a member of `credentials`."))
    label = fields.String(metadata=said("The name that people see."))
    help = fields.String(metadata=said("Where to get it."))


class ChannelAnswer(Answer):
    """A chat network."""

    name = fields.String()
    label = fields.String(metadata=said("The name that people see."))
    help = fields.String()
    credential_fields = fields.List(fields.Nested(CredentialFieldAnswer))


class BlueprintAnswer(Answer):
    """Something that can be deployed."""

    name = fields.String()
    label = fields.String(metadata=said("The name that people see."))
    description = fields.String()
    default = fields.Boolean(metadata=said("Whether an instance that names none gets it."))


CONNECTED = ("disconnected", "connected")
"""What is said of a part of the server that does not answer, and of one that does."""


class ConditionAnswer(Answer):
    """How the server and what it depends on are."""

    timestamp = fields.String(metadata={"format": "date-time"})
    docker = fields.String(metadata=said("Whether the engine answers.", enum=list(CONNECTED)))
    database = fields.String(metadata=said("Whether the database answers.", enum=list(CONNECTED)))
    sync_age_seconds = fields.Integer(
        allow_none=True,
        validate=validate.Range(0),
        metadata=said("How long ago all bots were last compared with the engine; `null` before the first time."),
    )


INSTANCE, EVIDENCE, ACTIVITY = InstanceAnswer(), EvidenceAnswer(), ActivityAnswer()
LANGUAGE_MODEL, CHANNEL, BLUEPRINT = LanguageModelAnswer(), ChannelAnswer(), BlueprintAnswer()


def dump_instance(instance: Instance, url: str | None) -> dict[str, Any]:
    """Return an instance as JSON values. A secret is ``"***"`` or ``None``, never its value."""
    secrets = dict.fromkeys(sorted(instance.secrets_set), MASK)
    tokens = {"bot_token": secrets.pop(BOT_TOKEN, None), "api_key": secrets.pop(API_KEY, None)}
    return dict(INSTANCE.dump({**vars(instance), **tokens, "credentials": secrets, "url": url}))


def dump_activity(entry: Activity) -> dict[str, Any]:
    """Return something that has happened as JSON values."""
    return dict(ACTIVITY.dump(entry))
