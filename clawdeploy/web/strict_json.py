"""Reading JSON bodies, strictly: whatever two parsers could understand differently is refused.

Every refusal is a sentence that says what is wrong and where.
"""

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

import falcon
from falcon.media import BaseHandler
from falcon.typing import ReadableIO

from clawdeploy.web.body import MOST_BYTES, read_body, refuse_compression, refuse_size
from clawdeploy.web.refusals import BodyMissing, BodyUnexpected, MalformedJson, UnsupportedMediaType

DEEPEST = 20
# Beyond this, programs that keep numbers as 64-bit floats (JavaScript) silently change the last digits.
LARGEST_INTEGER = 2**53

JSON_TYPE = re.compile(r"application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|\"utf-8\"))?[ \t]*", re.IGNORECASE)
# A whole string, or what there is of one, is skipped at once: a bracket inside it opens nothing.
BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
SURROGATE = re.compile("[\ud800-\udfff]")


def read_object(req: falcon.Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises ``BodyMissing``, ``UnsupportedMediaType``, ``BodyTooLarge``, ``BodyIncomplete`` or ``MalformedJson``.
    """
    body = read_body(req)
    if not body:
        raise BodyMissing("Send the fields as a JSON object in the body, with Content-Type: application/json.")
    _check_type(req)
    return parse_object(body)


def read_nothing(req: falcon.Request) -> None:
    """Make sure that a call that takes no body has none; an empty JSON object says nothing and is fine.

    Raises ``BodyUnexpected``, and all that :func:`read_object` raises.
    """
    body = read_body(req)
    if body:
        _check_type(req)
        if parse_object(body):
            raise BodyUnexpected("This call takes no fields: send it without a body.")


def read_optional_object(req: falcon.Request) -> dict[str, Any]:
    """Return the JSON object in the body, an empty one when there is no body; raises what :func:`read_object` does."""
    return read_object(req) if read_body(req) else {}


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that ``body`` is. Raises ``MalformedJson``."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The body is not valid UTF-8: look at byte {error.start + 1}.") from None
    if text.startswith("\ufeff"):
        raise MalformedJson("The body begins with a byte order mark. Leave it out.")
    _check_depth(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"The body is not valid JSON: {error.msg} at {place}.") from None
    if not isinstance(value, dict):
        raise MalformedJson(f"The body must be a JSON object, like {{...}}, not {_kind(value)}.")
    _check_texts(value, "")
    return value


class StrictJson(BaseHandler):
    """The same strictness for resources, such as those of plugins, that read ``req.media``."""

    def deserialize(self, stream: ReadableIO, content_type: str | None, content_length: int | None) -> object:
        """Return the JSON object in the body."""
        if not content_type or not JSON_TYPE.fullmatch(content_type):
            raise UnsupportedMediaType("Send the body with Content-Type: application/json.")
        if content_length is not None and content_length > MOST_BYTES:
            refuse_size()
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            refuse_size()
        return parse_object(body)

    def serialize(self, media: object, content_type: str) -> bytes:
        """Return a value as JSON; what UTF-8 cannot hold is written as JSON's own escape."""
        return json.dumps(media, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _check_type(req: falcon.Request) -> None:
    declared = req.content_type
    if not declared or not JSON_TYPE.fullmatch(declared):
        said = f"not {declared[:100]!r}" if declared else "but the request says nothing about its type"
        raise UnsupportedMediaType(f"The body must come with Content-Type: application/json, {said}.")
    refuse_compression(req)


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the parser, which recurses, gets to see it."""
    depth = 0
    for found in BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEEPEST:
            raise MalformedJson(f"The body is nested more than {DEEPEST} levels deep at character {found.start() + 1}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise MalformedJson(f"The name {_shown(twice)} appears more than once in one object.")
    return found


def _integer(digits: str) -> int:
    # The length is looked at first: turning thousands of digits into a number is slow, and forbidden by Python.
    if len(digits) > 17 or abs(int(digits)) > LARGEST_INTEGER:
        raise MalformedJson(f"The number {digits[:20]} is out of range: whole numbers go up to {LARGEST_INTEGER}.")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedJson(f"The number {digits[:20]} is out of range.")
    return number


def _constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not JSON.")


def _check_texts(value: object, place: str) -> None:
    """Refuse texts, and names, that cannot be stored everywhere; ``place`` is where ``value`` stands."""
    if isinstance(value, str):
        if "\0" in value:
            raise MalformedJson(f"The text at {place} holds a NUL character.")
        if SURROGATE.search(value):
            raise MalformedJson(f"The text at {place} holds half of a surrogate pair, which is no character.")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(name, f"the name {_shown(name)}")
            _check_texts(inner, f"{place}.{_shown(name)}" if place else _shown(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_texts(inner, f"{place}[{index}]")


def _shown(name: str) -> str:
    """Return a name so that it can stand in an answer: short, and with nothing unprintable in it."""
    return json.dumps(name[:50])


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
