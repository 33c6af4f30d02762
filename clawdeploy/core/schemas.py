"""What comes in and what goes out, as JSON: camelCase there, snake_case here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from clawdeploy.core.catalog import LANGUAGE_MODELS, Catalog
from clawdeploy.core.contracts import Channel, Instance, Secret
from clawdeploy.core.errors import InvalidInput

MASK = "***"
LONGEST_NAME = 100
LONGEST_SECRET = 4096
LARGEST_CONFIG = 16 * 1024
OBSERVED_STATUSES = ("pending", "creating", "error", "deleted")
ONLY_TEXT: dict[str, Any] = {
    "invalid": "It must be a text.",
    "null": "It must not be null.",
    "required": "It is required.",
}


def _check_name(value: str) -> None:
    if not value:
        raise ValidationError("Give the bot a name.")
    if len(value) > LONGEST_NAME:
        raise ValidationError(f"A name has at most {LONGEST_NAME} characters; this one has {len(value)}.")
    if not value.isprintable():
        raise ValidationError("A name must not hold line breaks or other control characters.")


def _check_secret(value: str) -> None:
    if value == MASK:
        raise ValidationError(f'"{MASK}" stands for a hidden value. Leave the field out to keep it, null removes it.')
    if not value or len(value) > LONGEST_SECRET:
        raise ValidationError(f"It must be 1 to {LONGEST_SECRET} characters long; null means none.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValidationError("It must not hold spaces, line breaks or characters beyond plain ASCII.")


def _check_config(value: dict[str, Any]) -> None:
    if len(json.dumps(value)) > LARGEST_CONFIG:
        raise ValidationError(f"It is larger than {LARGEST_CONFIG} bytes.")


def _check_wish(value: str) -> None:
    if value in OBSERVED_STATUSES:
        raise ValidationError(f'"{value}" is observed, never set. Only "running" and "stopped" can be asked for.')
    if value not in ("running", "stopped"):
        raise ValidationError('It must be "running" or "stopped".')


class _Trimmed(fields.String):
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return str(super()._deserialize(value, attr, data, **kwargs)).strip()


class _AnyObject(fields.Field[dict[str, Any]]):
    """A JSON object with any content; marshmallow's own ``Dict`` accepts only what it is told about."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("It must be a JSON object.")
        return value


def _name(**options: Any) -> fields.Field[Any]:
    return _Trimmed(validate=_check_name, error_messages=ONLY_TEXT, **options)


def _secret(key: str) -> fields.Field[Any]:
    return _Trimmed(data_key=key, allow_none=True, validate=_check_secret, error_messages=ONLY_TEXT)


def _optional_text(key: str) -> fields.Field[Any]:
    check = validate.Length(max=100, error="It has at most 100 characters.")
    return _Trimmed(data_key=key, allow_none=True, validate=check, error_messages=ONLY_TEXT)


def _choice(names: list[str], **options: Any) -> fields.Field[Any]:
    check = validate.OneOf(names, error=f"It must be one of: {', '.join(names)}.")
    return fields.String(validate=check, error_messages=ONLY_TEXT, **options)


def _shared_fields() -> dict[str, Any]:
    return {
        "bot_token": _secret("botToken"),
        "api_key": _secret("apiKey"),
        "credentials": _AnyObject(allow_none=True),
        "config": _AnyObject(validate=_check_config, error_messages=ONLY_TEXT),
    }


@dataclass(frozen=True)
class NewInstance:
    """A valid request for a new instance: plain columns, and secrets by field name."""

    columns: dict[str, Any]
    secrets: dict[str, Secret]


@dataclass(frozen=True)
class Changes:
    """A valid change: plain columns, secrets by field name (``None`` removes one), and what status is wished."""

    columns: dict[str, Any]
    secrets: dict[str, Secret | None]
    wished_status: str | None


class Schemas:
    """Checks what comes in against what this server offers."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._new = Schema.from_dict(
            {
                "name": _name(required=True),
                "model": _choice([model.name for model in LANGUAGE_MODELS], required=True),
                "channel": _choice(list(catalog.channel_members), required=True),
                "blueprint": _choice(list(catalog.blueprint_members), load_default=catalog.default_blueprint),
                "region": _optional_text("region"),
                "instance_type": _optional_text("instanceType"),
                "ip_address": _optional_text("ipAddress"),
                **_shared_fields(),
            }
        )()
        self._changes = Schema.from_dict(
            {
                "name": _name(),
                "status": fields.String(validate=_check_wish, error_messages=ONLY_TEXT),
                **_shared_fields(),
            }
        )()

    def new_instance(self, body: Mapping[str, Any]) -> NewInstance:
        """Check the body of a create; raises ``InvalidInput`` with a sentence for each wrong field."""
        loaded = _load(self._new, body)
        values = self._secrets(loaded, self._catalog.channel_members[loaded["channel"]])
        return NewInstance(loaded, {field: value for field, value in values.items() if value is not None})

    def changes(self, body: Mapping[str, Any], instance: Instance) -> Changes:
        """Check the body of a patch of this instance; raises ``InvalidInput``."""
        loaded = _load(self._changes, body)
        values = self._secrets(loaded, self._catalog.channel_members.get(instance.channel))
        return Changes(loaded, values, loaded.pop("status", None))

    @staticmethod
    def _secrets(loaded: dict[str, Any], channel: Channel | None) -> dict[str, Secret | None]:
        """Take the secrets out of the loaded fields, checked by the channel that they are for."""
        given: dict[str, Any] = dict(loaded.pop("credentials", None) or {})
        if "bot_token" in loaded:
            given["botToken"] = loaded.pop("bot_token")
        api_key = {"apiKey": loaded.pop("api_key")} if "api_key" in loaded else {}
        errors = _check_credentials(given, channel)
        if errors:
            raise InvalidInput(errors)
        return {field: None if value is None else Secret(value) for field, value in (given | api_key).items()}


def dump_instance(instance: Instance, url: str | None) -> dict[str, Any]:
    """Return an instance as JSON values. A secret is ``"***"`` or ``None``, never its value."""
    masked = dict.fromkeys(sorted(instance.secrets_set), MASK)
    return {
        "id": instance.id,
        "userId": instance.owner,
        "name": instance.name,
        "model": instance.model,
        "channel": instance.channel,
        "blueprint": instance.blueprint,
        "status": instance.status.value,
        "statusReason": instance.reason or None,
        "statusDetail": instance.detail or None,
        "statusSince": timestamp(instance.status_since),
        "operation": instance.operation.value if instance.operation else None,
        "botToken": masked.pop("botToken", None),
        "apiKey": masked.pop("apiKey", None),
        "credentials": masked,
        "containerId": instance.container_id,
        "port": instance.host_port,
        "url": url,
        "config": instance.config,
        "region": instance.region,
        "instanceType": instance.instance_type,
        "ipAddress": instance.ip_address,
        "createdAt": timestamp(instance.created_at),
        "updatedAt": timestamp(instance.updated_at),
    }


def timestamp(moment: datetime) -> str:
    """Return an aware UTC moment in RFC 3339."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_credentials(given: Mapping[str, Any], channel: Channel | None) -> dict[str, list[str]]:
    known = {field.name for field in channel.credential_fields} if channel else set()
    label = channel.label if channel else "This channel"
    errors: dict[str, list[str]] = {}
    for field, value in given.items():
        try:
            if field not in known and value is not None:
                raise ValidationError(f"{label} has no such credential; leave it out.")
            if value is not None:
                _check_secret(value if isinstance(value, str) else "")
        except ValidationError as error:
            errors[field] = [str(said) for said in error.messages]
    if channel and not errors:
        said = channel.check({field: value for field, value in given.items() if value is not None})
        errors = {field: [sentence] for field, sentence in said.items()}
    return errors


def _load(schema: Schema, body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(body)
    except ValidationError as error:
        raise InvalidInput(_sentences(error.normalized_messages())) from None
    return loaded


def _sentences(messages: Mapping[str, Any]) -> dict[str, list[str]]:
    unknown = "It is not a field that can be set here."
    return {
        str(field)[:100]: [unknown if said == "Unknown field." else str(said) for said in messages_of_field]
        for field, messages_of_field in messages.items()
    }
