"""The examples in ``docs/api.md``: sent to the real application, their answers compared with the documented ones.

What differs each time (ids, tokens) is learnt from the first answer that has it and put into later requests.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from webtest import TestRequest

from tests.docs.markdown import Code, code

CHANGING = frozenset(
    (
        "containerId",
        "at",
        "createdAt",
        "id",
        "logs",
        "nextCursor",
        "port",
        "requestId",
        "statusSince",
        "statusAsOf",
        "syncAgeSeconds",
        "timestamp",
        "updatedAt",
        "url",
    )
)
"""JSON members of which only the kind of value is compared."""

REFERENCES = ("id", "nextCursor")
"""JSON members that later requests refer to."""


@dataclass(frozen=True)
class Message:
    """A request or an answer: its first line, its headers, and its JSON, ``None`` without a body."""

    start: str
    headers: dict[str, str]
    json: Any


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, as documented, under a heading."""

    heading: str
    request: Message
    answer: Message


def exchanges(text: str) -> list[Exchange]:
    """Return the documented exchanges, in order; each request is followed by its answer."""
    blocks = code(text, "http")
    assert len(blocks) % 2 == 0, "an example lacks its request or its answer"
    found = []
    for request, answer in zip(blocks[::2], blocks[1::2], strict=True):
        assert not request.text.startswith("HTTP/"), request.text
        assert answer.text.startswith("HTTP/1.1 "), answer.text
        found.append(Exchange(request.heading, _message(request), _message(answer)))
    return found


def _message(block: Code) -> Message:
    head, _, body = block.text.partition("\n\n")
    start, *lines = head.strip().splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    return Message(start, headers, json.loads(body) if body.strip() else None)


class Play:
    """Sends documented requests to an application and remembers what stands for what.

    ``real`` maps what a document says, such as an example's token, to what it is here.
    """

    def __init__(self, app: Callable[..., Any], real: dict[str, str]) -> None:
        self.app = app
        self._real = real

    def send(self, exchange: Exchange) -> Message:
        """Send the request of an exchange and return the real answer to it."""
        method, address = self._here(exchange.request.start).split(" ")
        headers = {name: self._here(value) for name, value in exchange.request.headers.items()}
        body = b"" if exchange.request.json is None else self._here(json.dumps(exchange.request.json)).encode()
        answer = TestRequest.blank(address, method=method, headers=headers, body=body).get_response(self.app)
        media = json.loads(answer.body) if answer.body and "json" in (answer.content_type or "") else None
        self._learn(exchange.answer.json, media)
        self._learn_cookie(exchange.answer.headers.get("Set-Cookie"), answer.headers.get("Set-Cookie"))
        return Message(f"HTTP/1.1 {answer.status}", dict(answer.headers.items()), media)

    def differences(self, documented: Message, real: Message) -> Iterator[str]:
        """Say in what a documented answer and the real one differ."""
        if documented.start != real.start:
            yield f"{documented.start} is {real.start}"
        heard = {name.lower(): value for name, value in real.headers.items()}
        for name, value in documented.headers.items():
            if self._here(value) != heard.get(name.lower()):
                yield f"{name}: {value} is {heard.get(name.lower())}"
        yield from differences(documented.json, real.json)

    def _here(self, text: str) -> str:
        for documented, real in self._real.items():
            text = text.replace(documented, real)
        return text

    def _learn(self, documented: Any, real: Any) -> None:
        if isinstance(documented, dict) and isinstance(real, dict):
            for name in documented.keys() & real.keys():
                if name in REFERENCES and isinstance(real[name], str):
                    self._real[str(documented[name])] = real[name]
                self._learn(documented[name], real[name])
        elif isinstance(documented, list) and isinstance(real, list):
            for one, other in zip(documented, real, strict=False):
                self._learn(one, other)

    def _learn_cookie(self, documented: str | None, real: str | None) -> None:
        values = [re.search("=([^;]+)", cookie) for cookie in (documented, real) if cookie]
        if len(values) == 2 and values[0] and values[1]:
            self._real[values[0][1]] = values[1][1]


def differences(documented: Any, real: Any, place: str = "") -> Iterator[str]:
    """Say in what two JSON values differ, apart from values that change each time."""
    if isinstance(documented, dict) and isinstance(real, dict):
        yield from (f"{place}.{name} is not documented" for name in real.keys() - documented.keys())
        yield from (f"{place}.{name} is not in the answer" for name in documented.keys() - real.keys())
        for name in documented.keys() & real.keys():
            if name not in CHANGING:
                yield from differences(documented[name], real[name], f"{place}.{name}")
            elif type(documented[name]) is not type(real[name]):
                yield f"{place}.{name} is {real[name]!r}"
    elif isinstance(documented, list) and isinstance(real, list) and len(documented) == len(real):
        for index, pair in enumerate(zip(documented, real, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    elif documented != real:
        yield f"{place} is {real!r}, not {documented!r}"


def without_each_member(value: Any) -> Iterator[Any]:
    """Return copies of a JSON value, each with one member of an object left out, however deep."""
    if isinstance(value, dict):
        for name in value:
            yield {other: inner for other, inner in value.items() if other != name}
            yield from ({**value, name: inner} for inner in without_each_member(value[name]))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from ([*value[:index], inner, *value[index + 1 :]] for inner in without_each_member(value[index]))
