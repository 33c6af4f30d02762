"""What comes in, as JSON: camelCase there, snake_case here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError

from clawdeploy.core.catalog import LANGUAGE_MODELS, Catalog
from clawdeploy.core.contracts import Channel, Instance, Secret
from clawdeploy.core.errors import InvalidInput
from clawdeploy.core.fields import (
    API_KEY,
    BOT_TOKEN,
    check_credentials,
    choice,
    name,
    optional_text,
    shared_fields,
    wished_status,
)


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
    """Checks what comes in against what this server offers; ``new`` and ``change`` say what that is."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        known = {field.name for channel in catalog.channel_members.values() for field in channel.credential_fields}
        shared = shared_fields(sorted(known))
        self.new: Schema = Schema.from_dict(
            {
                "name": name(required=True),
                "model": choice([model.name for model in LANGUAGE_MODELS], required=True),
                "channel": choice(list(catalog.channel_members), required=True),
                "blueprint": choice(list(catalog.blueprint_members), load_default=catalog.default_blueprint),
                "region": optional_text("region"),
                "instance_type": optional_text("instanceType"),
                "ip_address": optional_text("ipAddress"),
                **shared,
            }
        )()
        self.change: Schema = Schema.from_dict({"name": name(), "status": wished_status(), **shared})()

    def new_instance(self, body: Mapping[str, Any]) -> NewInstance:
        """Check the body of a create; raises ``InvalidInput`` with a sentence for each wrong field, all at once."""
        loaded, errors = _load(self.new, body)
        values: dict[str, Secret | None] = {}
        # A channel that is wrong itself says nothing about credentials.
        if "channel" in loaded:
            channel = self._catalog.channel_members[loaded["channel"]]
            values = self._secrets(loaded, channel, frozenset(), errors)
        if errors:
            raise InvalidInput(errors)
        return NewInstance(loaded, {field: value for field, value in values.items() if value is not None})

    def changes(self, body: Mapping[str, Any], instance: Instance) -> Changes:
        """Check the body of a patch of this instance; raises ``InvalidInput``."""
        loaded, errors = _load(self.change, body)
        stored = instance.secrets_set
        values = self._secrets(loaded, self._catalog.channel_members.get(instance.channel), stored, errors)
        if errors:
            raise InvalidInput(errors)
        changed = {field: value for field, value in values.items() if value is not None or field in stored}
        return Changes(loaded, changed, loaded.pop("status", None))

    @staticmethod
    def _secrets(
        loaded: dict[str, Any], channel: Channel | None, stored: frozenset[str], errors: dict[str, list[str]]
    ) -> dict[str, Secret | None]:
        """Take the secrets out of the loaded fields, checked by the channel that they are for.

        What is wrong with them is added to ``errors``. What is ``stored`` can be removed also when the channel, being
        gone or changed, does not know it.
        """
        given: dict[str, Any] = dict(loaded.pop("credentials", None) or {})
        if "bot_token" in loaded:
            bot_token = loaded.pop("bot_token")
            if BOT_TOKEN in given:
                errors[BOT_TOKEN] = ["It is given twice. Leave it out of the credentials."]
            given.setdefault(BOT_TOKEN, bot_token)
        api_key = {API_KEY: loaded.pop("api_key")} if "api_key" in loaded else {}
        for field, sentences in check_credentials(given, channel, (stored | {BOT_TOKEN}) - {API_KEY}).items():
            errors.setdefault(field, sentences)
        # What is refused is no secret: a caller must not have a process note as many as fit into a body, and forget
        # all that are.
        kept = {} if errors else given | api_key
        return {field: None if value is None else Secret(value) for field, value in kept.items()}


def _load(schema: Schema, body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return what is acceptable of a body, and what is wrong with the rest, by field."""
    try:
        return dict(schema.load(body)), {}
    except ValidationError as error:
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        return dict(valid), _sentences(error.normalized_messages())


def _sentences(messages: Mapping[str, Any]) -> dict[str, list[str]]:
    unknown = "It is not a field that can be set here."
    return {
        str(field)[:100]: [unknown if said == "Unknown field." else str(said) for said in messages_of_field]
        for field, messages_of_field in messages.items()
    }
