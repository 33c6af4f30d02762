"""Secrets that this process knows are taken out of everything that is told: logs, errors, what has happened.

Our own code never puts one there. But a plugin may put one into an exception, and an engine may repeat what it was
sent. So every secret value is noted when this process gets to know it, and looked for in each text on its way out. That
is no licence to be careless: what nobody has called a secret, nothing here can recognize.
"""

import base64
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from html import escape
from string import digits
from threading import Lock
from urllib.parse import quote, unquote, urlsplit

from clawdeploy.core.alike import SHORTEST, Alike

SHOWN = "***"
SURELY_NO_WORD = 16
"""How long one has to be that could be a word: a password `postgresql` must not black out half of the log."""
MOST = 5_000
"""How many are known at a time; those that were not used for the longest time go first."""
MOST_CHARACTERS = 64 * 2**20
"""How many characters there are of all ways in which they are written. A usual key has 2,000, the longest 70,000."""

CUT_OFF = "….)\"'"
"""What may stand behind a text of which only the beginning was taken, and with it of a secret in it."""

BACKSLASH = "\\"
"""Put before quotation marks and before itself, once more each time that a text is quoted, so it is looked past."""


class _Known(OrderedDict[str, tuple[str, ...]]):
    """Secrets, those used last at the end, with the ways in which they are written, and how long these are together."""

    characters = 0


_known = _Known()
_forms: dict[str, Alike] = {}
"""The ways in which they are written, by how these begin; keys of one service begin alike, so there may be many."""
_lock = Lock()


def remember(value: str) -> None:
    """Note a secret that somebody has given us, unless it is so short or so plain that it may be a word of ours.

    No key or token is as short as that without a digit; but "botToken" is the name of a field, and whoever called it
    their secret would take it out of what all others are told.
    """
    if len(value) >= SURELY_NO_WORD or not (value.isdigit() or set(value).isdisjoint(digits)):
        _note(value)


def _note(value: str) -> None:
    if len(value) < SHORTEST:
        return
    with _lock:
        if value in _known:
            _known.move_to_end(value)
            return
        unquoted = {form.replace(BACKSLASH, "") for form in _written(value)}
        forms = _known[value] = tuple({form for form in unquoted if len(form) >= SHORTEST})
        for form in forms:
            _forms[form[:SHORTEST]] = _forms.get(form[:SHORTEST], Alike()).including(form)
        _known.characters += sum(map(len, forms))
        while len(_known) > MOST or _known.characters > MOST_CHARACTERS:
            _forget(*_known.popitem(last=False)[1])


def remember_setting(text: str) -> None:
    """Note what is secret in the text of a setting: all of it, each of several, and the password in a URL.

    Only a password such as "postgresql" is left, which stands in many texts by chance.
    """
    password = ""
    # What is no URL is refused elsewhere.
    with suppress(ValueError):
        password = urlsplit(text).password or ""
    for value in {text, *(part.strip() for part in text.split(",")), password, unquote(password)}:
        if len(value) >= SURELY_NO_WORD or not (value.isdigit() or (value.isalpha() and value.islower())):
            _note(value)


def redacted(text: str) -> str:
    """Return a text with each known secret in it replaced, however it is written there.

    That takes less than 0.1 ms for 200 characters, also when 5,000 known secrets begin as something in the text does.
    """
    unquoted = text.replace(BACKSLASH, "")
    return _without(text, unquoted, _merged(_found(unquoted)))


def masked(text: str, values: Iterable[str]) -> str:
    """Return a text with these values in it replaced, however they are written there, and no others.

    For long texts and few values: a mebibyte takes some milliseconds.
    """
    unquoted = text.replace(BACKSLASH, "")
    forms = {form.replace(BACKSLASH, "") for value in values for form in _written(value)}
    places = (each for form in forms if len(form) >= SHORTEST for each in _places(form, unquoted))
    return _without(text, unquoted, _merged(sorted(places)))


def _places(form: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + len(form))


def _merged(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give places, sorted by where they begin, so that those that overlap or touch are one."""
    begin = end = -1
    for first, last in places:
        if first > end:
            if end > 0:
                yield begin, end
            begin = first
        end = max(end, last)
    if end > 0:
        yield begin, end


def _without(text: str, unquoted: str, places: Iterable[tuple[int, int]]) -> str:
    """Return a text without what is at some places, in order, of the same text without backslashes."""
    found = list(places)
    if not found:
        return text
    kept: Sequence[int] = range(len(text))
    if len(unquoted) < len(text):
        kept = [at for at, character in enumerate(text) if character != BACKSLASH]
    pieces, at = [], 0
    for begin, end in found:
        # With the backslashes before it, of which the last may have belonged to its first character.
        pieces += [text[at : kept[begin - 1] + 1 if begin else 0], SHOWN]
        at = kept[end - 1] + 1
    return "".join([*pieces, text[at:]])


def _written(value: str) -> Iterator[str]:
    """Give the ways in which a value may stand in a text."""
    yield value
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
    yield quote(value)
    yield escape(value)
    yield escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    raw = value.encode("utf-8", "surrogatepass")
    yield raw.hex()
    yield raw.hex().upper()
    yield "".join(f"%{byte:02X}" for byte in raw)
    for before in range(3):
        # Three bytes are four characters, so what stands before it decides which. Those at both ends that hold bits
        # of neighbours are left out.
        encoded = base64.b64encode(bytes(before) + raw).decode()
        certain = encoded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
        yield certain
        yield certain.replace("+", "-").replace("/", "_")


def _found(text: str) -> Iterator[tuple[int, int]]:
    """Give where known secrets stand, by where they begin; they may overlap."""
    uncut = len(text.rstrip(CUT_OFF))
    for at in range(len(text) - SHORTEST + 1):
        alike = _forms.get(text[at : at + SHORTEST])
        length = alike.length(text, at, uncut) if alike else 0
        if length:
            yield at, at + length


def _forget(*forms: str) -> None:
    _known.characters -= sum(map(len, forms))
    for form in forms:
        left = _forms.get(form[:SHORTEST], Alike()).without(form)
        if len(left):
            _forms[form[:SHORTEST]] = left
        else:
            _forms.pop(form[:SHORTEST], None)
