"""Reading what a form of ours sends, as strictly as JSON is read."""

from collections.abc import Collection
from urllib.parse import parse_qsl

import falcon

from clawdeploy.core.errors import InvalidInput
from clawdeploy.web.body import read_body, refuse_compression
from clawdeploy.web.refusals import MalformedForm, UnsupportedMediaType

FORM_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 100


def read_form(req: falcon.Request, known: Collection[str]) -> dict[str, str]:
    """Return the fields of a form by name; those that were not sent are missing, those left empty are empty.

    Raises ``UnsupportedMediaType``, ``BodyTooLarge``, ``BodyIncomplete``, ``MalformedForm``, and ``InvalidInput`` for a
    field that is not ``known`` or comes twice.
    """
    body = read_body(req)
    if body and (req.content_type or "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise UnsupportedMediaType(f"A form must come with Content-Type: {FORM_TYPE}.")
    refuse_compression(req)
    fields: dict[str, str] = {}
    for name, value in _pairs(body):
        if name not in known:
            raise InvalidInput({name[:100]: ["The form has no such field."]})
        if name in fields:
            raise InvalidInput({name: ["It was sent twice."]})
        fields[name] = value
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise MalformedForm("The form could not be read: it is not well formed, or has too many fields.") from None
    if any("\0" in part for pair in pairs for part in pair):
        raise MalformedForm("The form holds a NUL character.")
    return pairs
