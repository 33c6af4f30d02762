"""The fields of JSON bodies, and the sentences that say what is wrong with a value."""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from clawdeploy.core.contracts import Channel
from clawdeploy.core.redaction import remember
from clawdeploy.core.visible import is_visible, is_well_behaved

MASK = "***"
BOT_TOKEN = "botToken"  # noqa: S105 -- the name of a field
API_KEY = "apiKey"
LONGEST_NAME = 100
LONGEST_TEXT = 100
LONGEST_SECRET = 4096
LARGEST_CONFIG = 16 * 1024
WISHES = ("running", "stopped")
OBSERVED_STATUSES = ("pending", "creating", "error", "deleted")
ONLY_TEXT: dict[str, Any] = {
    "invalid": "It must be a text.",
    "null": "It must not be null.",
    "required": "It is required.",
}

TRIMMED = "White space around it is removed first."
ON_ONE_LINE = "no line breaks, no other control characters and nothing that turns the direction of text"

logger = logging.getLogger(__name__)


def said(description: str, **further: Any) -> dict[str, Any]:
    """Return the metadata of a field: its description, and what JSON Schema can say besides its type."""
    return {"description": description, **further}


def _check_name(value: str) -> None:
    if not value:
        raise ValidationError("Give the bot a name.")
    if len(value) > LONGEST_NAME:
        raise ValidationError(f"A name has at most {LONGEST_NAME} characters; this one has {len(value)}.")
    if not is_well_behaved(value):
        raise ValidationError("A name must not hold line breaks or other control characters.")
    if not is_visible(value):
        raise ValidationError("A name needs at least one character that can be seen.")


def _check_secret(value: str) -> None:
    if value == MASK:
        raise ValidationError(f'"{MASK}" stands for a hidden value. Leave the field out to keep it, null removes it.')
    if not value or len(value) > LONGEST_SECRET:
        raise ValidationError(f"It must be 1 to {LONGEST_SECRET} characters long; null means none.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValidationError("It must not hold spaces, line breaks or characters beyond plain ASCII.")


def _check_text(value: str) -> None:
    if len(value) > LONGEST_TEXT:
        raise ValidationError(f"It has at most {LONGEST_TEXT} characters.")
    if not is_well_behaved(value):
        raise ValidationError("It must not hold line breaks or other control characters.")


def _check_config(value: dict[str, Any]) -> None:
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise ValidationError("It holds something that JSON has no place for, or is nested too deeply.") from None
    if size > LARGEST_CONFIG:
        raise ValidationError(f"It is larger than {LARGEST_CONFIG} bytes.")


def _check_wish(value: str) -> None:
    if value in OBSERVED_STATUSES:
        raise ValidationError(f'"{value}" is observed, never set. Only "running" and "stopped" can be asked for.')
    if value not in WISHES:
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


class _Credentials(_AnyObject):
    """A JSON object of secrets, each trimmed as one that stands alone is."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        given = super()._deserialize(value, *arguments, **options)
        return {field: secret.strip() if isinstance(secret, str) else secret for field, secret in given.items()}


def name(**options: Any) -> fields.Field[Any]:
    """Return the field of a name: trimmed, on one line, not too long, with something to see in it."""
    told = said(
        f"{TRIMMED} Any script and emoji, at least one of them visible, but {ON_ONE_LINE}.",
        minLength=1,
        maxLength=LONGEST_NAME,
    )
    return _Trimmed(validate=_check_name, error_messages=ONLY_TEXT, metadata=told, **options)


def _told_of_secret(what: str) -> dict[str, Any]:
    form = {"minLength": 1, "maxLength": LONGEST_SECRET, "pattern": "^[!-~]+$", "not": {"enum": [MASK]}}
    return said(f"{what}; `null` means none. {TRIMMED}", **form)


def _secret(key: str, what: str) -> fields.Field[Any]:
    told = _told_of_secret(what)
    return _Trimmed(data_key=key, allow_none=True, validate=_check_secret, error_messages=ONLY_TEXT, metadata=told)


def optional_text(key: str) -> fields.Field[Any]:
    """Return a field of short text that may be absent or null."""
    told = said(f"{TRIMMED} Kept, not used; it may have {ON_ONE_LINE}.", maxLength=LONGEST_TEXT)
    return _Trimmed(data_key=key, allow_none=True, validate=_check_text, error_messages=ONLY_TEXT, metadata=told)


def choice(names: list[str], **options: Any) -> fields.Field[Any]:
    """Return a field that takes one of the given names."""
    check = validate.OneOf(names, error=f"It must be one of: {', '.join(names)}.")
    return fields.String(validate=check, error_messages=ONLY_TEXT, **options)


def wished_status() -> fields.Field[Any]:
    """Return the field of a status that is asked for."""
    told = said("Starts the bot, making its container first if there is none, or stops it.", enum=list(WISHES))
    return fields.String(validate=_check_wish, error_messages=ONLY_TEXT, metadata=told)


def shared_fields(credentials: Iterable[str]) -> dict[str, Any]:
    """Return the fields that a create and a change have in common, with the same limits.

    ``credentials`` are the names that some channel knows.
    """
    of_channel = "the channel may refuse what does not look like one of its own"
    credential = {"type": ["string", "null"], **_told_of_secret(f"A credential; {of_channel}")}
    config = said(f"Any JSON object, of at most {LARGEST_CONFIG} bytes. A change replaces all of it.", type="object")
    further = said(
        "Further credentials of the channel, by field name; those of other channels are refused. `botToken` may stand "
        "here or beside it, not both.",
        type="object",
        properties=dict.fromkeys(credentials, credential),
        additionalProperties=False,
    )
    return {
        "bot_token": _secret("botToken", f"The bot's token at the chat network; {of_channel}"),
        "api_key": _secret("apiKey", "The key for the language model"),
        "credentials": _Credentials(allow_none=True, metadata=further),
        "config": _AnyObject(validate=_check_config, error_messages=ONLY_TEXT, metadata=config),
    }


def check_credentials(
    given: Mapping[str, Any], channel: Channel | None, removable: frozenset[str]
) -> dict[str, list[str]]:
    """Return what is wrong with the given credentials of a channel, by field; empty when all may be right.

    ``removable`` are fields that null may be given for, although the channel does not know them.
    """
    known = {field.name for field in channel.credential_fields} if channel else set()
    label = channel.label if channel else "This channel"
    errors: dict[str, list[str]] = {}
    for field, value in given.items():
        try:
            if field not in known and (value is not None or field not in removable):
                raise ValidationError(f"{label} has no such credential; leave it out.")
            if not isinstance(value, str | None):
                raise ValidationError(ONLY_TEXT["invalid"])
            if value is not None:
                _check_secret(value)
        except ValidationError as error:
            errors[field] = [str(said) for said in error.messages]
    if channel and not errors:
        errors = _said_by(channel, {field: value for field, value in given.items() if value is not None})
    return errors


def _said_by(channel: Channel, given: Mapping[str, str]) -> dict[str, list[str]]:
    for value in given.values():
        # The channel may put one into its words.
        remember(value)
    try:
        return {field: [sentence] for field, sentence in channel.check(given).items()}
    except Exception as error:
        # No traceback and no message: a channel sees secrets, and may have put one into its exception.
        logger.error("Channel %s failed to check credentials: %s", channel.name, type(error).__name__)  # noqa: TRY400 - its message may hold a secret
        return {}
