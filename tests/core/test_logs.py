"""Whatever is logged, it is one entry on one line, readable, bounded and without secrets, as text and as JSON."""

import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdeploy.command_line import sentence
from clawdeploy.core.background import Crew
from clawdeploy.core.context import address, begin_request, instance, request_id, user
from clawdeploy.core.errors import InvalidInput, RuntimeFailure
from clawdeploy.core.logs import LONGEST_MESSAGE, LONGEST_TRACE, JsonLine, Line, Sentence

FORGED = "2026-01-01 00:00:00 INFO forged"
HOSTILE = [f"a{character}{FORGED}" for character in "\r\n\x1b\0\x85\u2028\u2029\u202e\x0b\x0c\x1c\x9b"] + [
    f"a\r\n{FORGED}",
    "\x1b]0;title\x07\x1b[2J",
    "\ud800",
]
FORMATTERS: list[logging.Formatter] = [Line(), JsonLine(), Sentence()]
ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d [A-Z]+ [\w.]+ \[[^\n]*\] ")


@pytest.fixture(autouse=True)
def _outside_of_a_request() -> None:
    request_id.set("-")
    user.set("")
    instance.set("")
    address.set("")


def record(said: str, *arguments: object, error: BaseException | None = None, **extra: object) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("clawdeploy.x", logging.WARNING, "x.py", 1, said, arguments, exc_info)
    vars(made).update(extra)
    return made


def is_harmless(entry: str, traced: bool = False) -> None:
    """Check that an entry is one line for whatever splits lines, and does nothing to a terminal."""
    lines = entry.split("\n")
    assert len(lines) == 1 or traced
    assert all(line.startswith("  | ") for line in lines[1:])
    for line in lines:
        assert len(line.splitlines()) == 1
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]", line)
        line.encode()


def failed(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


@pytest.mark.parametrize("formatter", FORMATTERS, ids=lambda formatter: type(formatter).__name__)
@pytest.mark.parametrize("text", HOSTILE)
def test_nobody_can_forge_an_entry_wherever_text_gets_in(formatter: logging.Formatter, text: str) -> None:
    user.set(text)
    instance.set(text)
    is_harmless(formatter.format(record("%s", text)))
    is_harmless(formatter.format(record(text)))
    is_harmless(formatter.format(record("%d", text)))
    is_harmless(formatter.format(record("x", instance=text)))
    is_harmless(formatter.format(record("x", error=failed(text))), traced=isinstance(formatter, Line))


@given(st.text(), st.text(), st.text())
def test_any_text_makes_one_entry(said: str, who: str, which: str) -> None:
    user.set(who)
    instance.set(which)
    for formatter in FORMATTERS:
        is_harmless(formatter.format(record("%s", said)))
    entry = json.loads(JsonLine().format(record("%s", said)))
    assert len("".join(entry.values()).splitlines()) <= 1, "also when its JSON was read"


def test_json_has_what_is_known_and_nothing_else() -> None:
    entry = json.loads(JsonLine().format(record("hello %s", "there")))
    assert {**entry, "time": ""} == {"time": "", "level": "WARNING", "logger": "clawdeploy.x", "message": "hello there"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
    begin_request()
    user.set("ann")
    known = json.loads(JsonLine().format(record("x", instance="k3v7mq2xw5ynb4ta", told={"status": 200, "ms": 12})))
    assert known["requestId"] == request_id.get() != "-"
    assert (known["user"], known["instance"], known["status"], known["ms"]) == ("ann", "k3v7mq2xw5ynb4ta", 200, 12)
    address.set("2001:db8::7")
    assert json.loads(JsonLine().format(record("x")))["address"] == "2001:db8::7"
    assert " user=ann address=2001:db8::7] x" in Line().format(record("x"))
    traced = json.loads(JsonLine().format(record("x", error=failed("why"))))
    assert traced["trace"][-1] == "ValueError: why"


@pytest.mark.parametrize(
    ("zone", "written"), [("UTC", "2026-01-31 12:00:00+00:00 "), ("Asia/Kolkata", "2026-01-31 17:30:00+05:30 ")]
)
def test_a_line_of_text_says_in_which_time_zone_it_is(monkeypatch: pytest.MonkeyPatch, zone: str, written: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        made = record("x")
        made.created = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
        assert Line().format(made).startswith(written)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_user_of_many_words_is_one_value() -> None:
    user.set("ann] ERROR instance=other")
    assert " [- user='ann] ERROR instance=other'] x" in Line().format(record("x"))


@pytest.mark.parametrize("formatter", FORMATTERS, ids=lambda formatter: type(formatter).__name__)
def test_an_entry_is_bounded(formatter: logging.Formatter) -> None:
    user.set("u" * 10**6)
    instance.set("i" * 10**6)
    for text in ("x" * 10**6, "\0" * 10**6, "\U0001f600" * 10**6):
        assert len(formatter.format(record("%s", text))) < 13 * LONGEST_MESSAGE
        assert len(formatter.format(record("x", error=failed(text)))) < 25 * LONGEST_MESSAGE
    many = formatter.format(record("x", error=failed("line\n" * 10**5)))
    assert len(many) < LONGEST_TRACE * 40 + 1000


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"token cd_{SECRET} was sent", "token cd_*** was sent"),
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer ***"),
        (f"GET http://x:8080/sign-in/{SECRET} failed", "GET http://x:8080/sign-in/*** failed"),
        (f"connect to postgresql://ann:{SECRET}@db/x failed", "connect to postgresql://ann:***@db/x failed"),
        (f"postgresql://:{SECRET}@db/x", "postgresql://:***@db/x"),
    ],
)
def test_what_is_known_to_be_a_secret_is_masked(said: str, kept: str) -> None:
    for formatter in FORMATTERS:
        entry = formatter.format(record("%s", said))
        assert SECRET not in entry
        assert kept in entry
        assert SECRET not in formatter.format(record("x", error=failed(said)))


def test_what_is_no_secret_is_not_masked() -> None:
    said = "GET /sign-in/{token} at http://127.0.0.1:8080/dashboard/instances by cd_ and bearers"
    assert said in Line().format(record("%s", said))


def test_work_that_somebody_else_was_hired_for_keeps_its_own_circumstances() -> None:
    """The thread that does it was begun for another request."""
    crew = Crew(1)
    begun, goes_on = threading.Event(), threading.Event()
    seen: dict[str, tuple[str, str]] = {}

    def note(name: str) -> None:
        seen[name] = (request_id.get(), user.get())

    def first() -> None:
        begun.set()
        assert goes_on.wait(10)
        note("first")

    begin_request()
    user.set("ann")
    of_ann = (request_id.get(), "ann")
    one = crew.do("first", first)
    assert begun.wait(10)
    begin_request()
    user.set("bob")
    of_bob = (request_id.get(), "bob")
    other = crew.do("second", lambda: note("second"))
    goes_on.set()
    one.result(10)
    other.result(10)
    assert seen == {"first": of_ann, "second": of_bob}


PROGRAM = """
import logging, sys, threading, warnings
from clawdeploy.core.errors import InvalidInput, RuntimeFailure
from clawdeploy.core.logs import configure_logging

class Careless:
    def __del__(self):
        raise ValueError("in the end\\n2026-01-01 00:00:00 INFO forged")

def fail():
    raise ValueError("in a thread\\n2026-01-01 00:00:00 INFO forged")

configure_logging(sys.argv[1])
logging.getLogger("clawdeploy.x").info("all is well")
logging.getLogger("gunicorn.error").info("not told")
logging.getLogger("gunicorn.error").error("a worker\\n2026-01-01 00:00:00 INFO forged")
logging.getLogger("urllib3").warning("%d", "does not fit\\n2026-01-01 00:00:00 INFO forged")
warnings.warn("a warning\\n2026-01-01 00:00:00 INFO forged", UserWarning)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Careless()
"""


def lines_of(log_format: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, log_format], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_everything_that_a_process_says_is_an_entry() -> None:
    lines = lines_of("text")
    assert all(ENTRY.match(line) or line.startswith("  | ") for line in lines), lines
    assert not [line for line in lines if line.startswith(FORGED)]
    assert sum(bool(ENTRY.match(line)) for line in lines) == 6
    entries: list[Mapping[str, Any]] = [json.loads(line) for line in lines_of("json")]
    assert [entry["logger"] for entry in entries] == [
        "clawdeploy.x",
        "gunicorn.error",
        "urllib3",
        "py.warnings",
        "clawdeploy.core.logs",
        "clawdeploy.core.logs",
    ]
    assert "in a thread" in entries[4]["trace"][-2]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_ends_a_command_is_one_harmless_line(text: str) -> None:
    for error in (RuntimeFailure(text), InvalidInput({"name": [text]}), OSError(1, text, text)):
        is_harmless(sentence(error))
