"""The JSON reader refuses whatever two parsers could understand differently, and nothing else."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdeploy.web.body import MOST_BYTES
from clawdeploy.web.refusals import MalformedJson
from clawdeploy.web.strict_json import DEEPEST, LARGEST_INTEGER, parse_object

REFUSED = {
    "nothing but a space": (b" ", "not valid JSON"),
    "cut off": (b'{"a": 1', "line 1, column 8"),
    "single quotes": (b"{'a': 1}", "not valid JSON"),
    "trailing comma": (b'{"a": 1,}', "not valid JSON"),
    "two values": (b"{} {}", "not valid JSON"),
    "a control character in a text": (b'{"a": "\n"}', "not valid JSON"),
    "a list": (b"[]", "must be a JSON object, like {...}, not a list"),
    "a text": (b'"a"', "not a text"),
    "a number": (b"7", "not a number"),
    "null": (b"null", "not null"),
    "true": (b"true", "not true or false"),
    "NaN": (b'{"a": NaN}', "NaN is not JSON"),
    "Infinity": (b'{"a": [Infinity]}', "Infinity is not JSON"),
    "-Infinity": (b'{"a": -Infinity}', "-Infinity is not JSON"),
    "1e999": (b'{"a": 1e999}', "1e999 is out of range"),
    "-1e999": (b'{"a": -1e999}', "out of range"),
    "5,000 digits": (b'{"a": ' + b"9" * 5000 + b"}", "out of range"),
    "beyond 2^53": (b'{"a": 9007199254740993}', "out of range"),
    "beyond -2^53": (b'{"a": -9007199254740993}', "out of range"),
    "a name twice": (b'{"a": 1, "b": 2, "a": 1}', 'The name "a" appears more than once'),
    "a name twice, inside": (b'{"c": [{"a": 1, "\\u0061": 1}]}', 'The name "a" appears more than once'),
    "a lone surrogate": (b'{"a": {"b": ["x", "\\ud800"]}}', 'The text at "a"."b"[1] holds half of a surrogate pair'),
    "surrogates the wrong way round": (b'{"a": "\\udc00\\ud800"}', "half of a surrogate pair"),
    "a lone surrogate in a name": (b'{"\\udfff": 1}', "half of a surrogate pair"),
    "NUL": (b'{"a": "x\\u0000"}', 'The text at "a" holds a NUL character'),
    "NUL in a name": (b'{"a\\u0000": 1}', 'The text at the name "a\\u0000" holds a NUL'),
    "a byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "Latin-1": (b'{"a": "\xe9"}', "not valid UTF-8: look at byte 8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not valid UTF-8"),
    "a surrogate in the encoding": (b'{"a": "\xed\xa0\x80"}', "not valid UTF-8"),
    "100,000 [": (b"[" * 100_000, f"nested more than {DEEPEST} levels deep at character 21"),
    "100,000 {": (b'{"a":' * 100_000, "nested more than"),
    "21 levels": (b'{"a":' * 21 + b"1" + b"}" * 21, "nested more than"),
}


@pytest.mark.parametrize(("body", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_a_sentence_that_says_what_and_where(body: bytes, said: str) -> None:
    with pytest.raises(MalformedJson) as refusal:
        parse_object(body)
    assert said in refusal.value.detail
    assert refusal.value.detail.endswith(".")
    assert len(refusal.value.detail) < 300


ACCEPTED: dict[str, Any] = {
    "{}": {},
    '{"a": {"b": [1, -2.5, 1e3, true, false, null, "\\ud83e\\udd9e"]}}': {
        "a": {"b": [1, -2.5, 1e3, True, False, None, "🦞"]}
    },
    '{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[ \\" {{{{{{{{{{{{{{{{{{{{{{{{{{"}': {
        "a": '[[[[[[[[[[[[[[[[[[[[[[[[[[[[ " {{{{{{{{{{{{{{{{{{{{{{{{{{'
    },
    '{"a":' * 20 + "9007199254740992" + "}" * 20: None,
    '\n\t {"é": "\\u0001"} ': {"é": "\x01"},
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted_as_it_is(text: str) -> None:
    expected = ACCEPTED[text] if ACCEPTED[text] is not None else json.loads(text)
    assert parse_object(text.encode()) == expected


def test_the_most_hostile_bodies_are_refused_at_once() -> None:
    """Neither the search for brackets nor that for double names takes a time that grows with the square."""
    quotes = b'{"a": "' + b'\\"' * (MOST_BYTES // 2 - 10)
    names = b"{" + b",".join(b'"%d":1' % number for number in range(6000)) + b',"5999":1}'
    for body in (quotes, names, b'"' * MOST_BYTES, b"[]" * (MOST_BYTES // 2)):
        with pytest.raises(MalformedJson):
            parse_object(body[:MOST_BYTES])


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(
    st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), plain), st.booleans()
)
def test_every_good_object_is_read_as_it_was_written(value: dict[str, Any], ascii_only: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary())
def test_any_bytes_are_an_object_or_are_refused(body: bytes) -> None:
    with suppress(MalformedJson):
        assert isinstance(parse_object(body), dict)


@given(st.text('[]{}",:\\u0d8 1e9NaInfty.-\n'))
def test_any_json_like_text_is_an_object_or_is_refused(text: str) -> None:
    with suppress(MalformedJson):
        assert parse_object(text.encode()) == json.loads(text)
