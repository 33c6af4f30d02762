"""Logs: bounded, in order, decoded, whatever a bot writes."""

import itertools
import struct
import time
from datetime import UTC, datetime

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.testing import Stage, eventually
from clawdeploy.plugins.docker_runtime.logs import MOST_BYTES, MOST_LINES, last_lines, unframed
from tests.plugins.docker_runtime.conftest import RunScript


def framed(*pieces: bytes, stream: int = 1) -> bytes:
    return b"".join(struct.pack(">BxxxL", stream, len(piece)) + piece for piece in pieces)


@given(st.lists(st.binary(max_size=20), max_size=6), st.lists(st.integers(0, 150), max_size=8))
def test_frames_come_off_however_the_stream_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    stream = framed(*pieces)
    edges = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    chunks = [stream[begin:end] for begin, end in itertools.pairwise(edges)]
    assert b"".join(unframed(chunks)) == b"".join(pieces)


def test_what_is_no_log_stream_is_not_understood() -> None:
    with pytest.raises(RuntimeUnavailable):
        last_lines([b"plain text without frames"], 10)


def test_both_streams_come_in_the_order_of_writing() -> None:
    assert last_lines([framed(b"one\n"), framed(b"two\n", stream=2), framed(b"three\n")], 10) == "one\ntwo\nthree\n"


@pytest.mark.parametrize(("tail", "text"), [(1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")])
def test_only_so_many_lines(tail: int, text: str) -> None:
    assert last_lines([framed(b"a\nb\nc\n")], tail) == text


def test_a_last_line_without_an_end_is_a_line() -> None:
    assert last_lines([framed(b"a\nb")], 1) == "b"
    assert last_lines([], 5) == ""
    assert last_lines([framed(b"\n\n")], 1) == "\n"


def test_only_newlines_end_a_line() -> None:
    text = "a\rb\x0b\x0c\x1c\x85\u2028c\n"
    assert last_lines([framed(text.encode())], 1) == text


def test_what_is_not_utf_8_is_replaced_and_nul_goes() -> None:
    assert (
        last_lines([framed(b"\xff\xfe caf\xc3\xa9 \x00\xed\xa0\x80\n")], 1) == "\ufffd\ufffd café \ufffd\ufffd\ufffd\n"
    )


def test_a_character_may_lie_in_two_frames() -> None:
    assert last_lines([framed(b"caf\xc3", b"\xa9\n")], 1) == "café\n"


def test_control_characters_are_left_to_those_who_show_them() -> None:
    assert last_lines([framed(b"\x1b[31mred\x07\n")], 1) == "\x1b[31mred\x07\n"


def test_many_bytes_are_cut_at_the_beginning_of_a_line() -> None:
    line = b"x" * 999 + b"\n"
    text = last_lines([framed(line) for _ in range(5000)], 5000)
    assert MOST_BYTES - 1000 <= len(text) <= MOST_BYTES
    assert set(text.splitlines()) == {"x" * 999}


def test_one_huge_line_is_cut_where_it_must_be() -> None:
    text = last_lines([framed(b"x" * 16384) for _ in range(500)], 5)
    assert text == "x" * MOST_BYTES


@pytest.mark.engine
@pytest.mark.parametrize(("tail", "lines"), [(1, 1), (100, 100), (10**18, MOST_LINES), (0, 1), (-1, 1)])
def test_two_hundred_thousand_lines_are_bounded(stage: Stage, script: RunScript, tail: int, lines: int) -> None:
    _, container_id = stage.started(script("seq 1 200000; exec sleep 600"))
    assert eventually(lambda: stage.runtime.logs(container_id, 1) == "200000\n", within=20)
    begun = time.monotonic()
    text = stage.runtime.logs(container_id, tail)
    assert time.monotonic() - begun < 2
    assert text.splitlines() == [str(number) for number in range(200_001 - lines, 200_001)]


@pytest.mark.engine
def test_what_a_bot_writes_cannot_break_the_reading(stage: Stage, script: RunScript) -> None:
    writing = (
        r"printf '\377\376\000\033[31m\n'; printf 'GET /<img onerror=alert(1)>\n' >&2; "
        "head -c 3000000 /dev/zero; printf '\\nlast\\n'; exec sleep 600"
    )
    _, container_id = stage.started(script(writing))
    assert eventually(lambda: stage.runtime.logs(container_id, 1) == "last\n", within=10)
    text = stage.runtime.logs(container_id, MOST_LINES)
    assert len(text) <= MOST_BYTES
    assert "\0" not in text


@pytest.mark.engine
def test_lines_begin_at_their_beginning_however_long_they_are(stage: Stage, script: RunScript) -> None:
    """The engine counts each 16 KiB of one as a line, and may cut a secret in two there."""
    long = "head -c 16380 /dev/zero | tr '\\0' x; echo Secret-0123456789"
    longer = "head -c 300000 /dev/zero | tr '\\0' y; echo"
    _, container_id = stage.started(script(f"echo first; {long}; {longer}; {long}; exec sleep 600"))
    lines = ["first", "x" * 16380 + "Secret-0123456789", "y" * 300_000, "x" * 16380 + "Secret-0123456789"]
    assert eventually(lambda: stage.runtime.logs(container_id, 10).count("\n") == 4, within=10)
    for tail in range(1, 6):
        assert stage.runtime.logs(container_id, tail).splitlines() == lines[-tail:]


@pytest.mark.engine
def test_both_streams_of_a_container_are_read(stage: Stage, script: RunScript) -> None:
    _, container_id = stage.started(script("echo out; sleep 0.1; echo err >&2; sleep 0.1; echo out; exec sleep 600"))
    assert eventually(lambda: stage.runtime.logs(container_id, 10).count("\n") == 3, within=5)
    assert stage.runtime.logs(container_id, 10) == "out\nerr\nout\n"


@pytest.mark.engine
def test_logs_since_a_moment(stage: Stage, script: RunScript) -> None:
    _, container_id = stage.started(script("echo early; sleep 1; echo late; exec sleep 600"))
    assert eventually(lambda: stage.runtime.logs(container_id, 1) == "early\n", within=5)
    moment = datetime.now(UTC)
    assert eventually(lambda: stage.runtime.logs(container_id, 1) == "late\n", within=5)
    assert stage.runtime.logs(container_id, 10, moment) == "late\n"


@pytest.mark.engine
def test_logs_are_rotated(stage: Stage, script: RunScript, witness: docker.APIClient) -> None:
    _, container_id = stage.started(script("exec sleep 600"))
    said = witness.inspect_container(container_id)["HostConfig"]["LogConfig"]
    assert said == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
