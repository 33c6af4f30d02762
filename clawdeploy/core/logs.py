"""Log lines that nobody can forge: whatever comes from outside is escaped, and what is secret is left out.

Only words that somebody chose are looked through for secrets, and nothing of ours around them: whoever calls a secret
of theirs what stands in each line, such as the date, must not black it out.

A line is text for people or one JSON object for programs. It has the time, the level, and as far as they are known the
id of the request, the user, the instance and the network address.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clawdeploy.core.context import address, instance, request_id, user
from clawdeploy.core.redaction import redacted

LONGEST_MESSAGE = 4_000
LONGEST_TRACE = 100
"""Lines of a traceback; the last ones say most."""
LONGEST_WORD = 200

TOLD = "told"
"""The attribute of a record that holds members of its JSON besides those that all have."""

# Control characters, and the others that make some terminals or viewers begin a new line or change direction.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Our own tokens and links, and passwords in addresses: whatever has put one into a message, it is not to be read there.
SECRETS = (
    re.compile(r"(\bcd_|/sign-in/|\b[Bb]earer\s+)[\w~+/=.-]{8,}"),
    re.compile(r"(://[^\s/:@]{0,100}:)[^\s/@]{1,300}(?=@)"),
)
PLAIN = re.compile(r"[\w.:@/+,-]+")


def printable(text: str) -> str:
    """Return ``text`` on one line, with every control character written out as an escape."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shown(text: str) -> str:
    """Return text from anywhere as a line may hold it: on one line, without secrets, and not too long."""
    # Before it is cut, and before a JSON entry quotes it: what is left of a secret then is not recognized any more.
    known = redacted(text[: 2 * LONGEST_MESSAGE])
    for secret in SECRETS:
        known = secret.sub(r"\1***", known)
    known = printable(known)
    return known if len(known) <= LONGEST_MESSAGE else f"{known[:LONGEST_MESSAGE]}..."


def message(record: logging.LogRecord) -> str:
    """Return what a record says; one whose arguments do not fit must not end in a traceback that shows them."""
    try:
        return shown(record.getMessage())
    except Exception:
        return f"{shown(str(record.msg))} (what belongs into it does not fit)"


def trace(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """Return the traceback of a record, a line each; empty when there is none."""
    if not record.exc_info:
        return []
    return [shown(line) for line in formatter.formatException(record.exc_info).splitlines()[-LONGEST_TRACE:]]


def circumstances(record: logging.LogRecord) -> dict[str, str]:
    """Return user and instance that a record is about, and where it was asked for, as far as they are known."""
    about = getattr(record, "instance", "") or instance.get()
    found = {"user": user.get(), "instance": about, "address": address.get()}
    return {name: value[:LONGEST_WORD] for name, value in found.items() if value}


class Line(logging.Formatter):
    """``2026-01-31 12:00:00+01:00 INFO clawdeploy.web.access [request id user=me address=...] message``, on one line.

    The time is that of the machine. A traceback follows on lines of its own that begin with a bar, so that none of
    them can be taken for an entry.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry for one record."""
        moment = datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "seconds")
        words = [f"{name}={_word(value)}" for name, value in circumstances(record).items()]
        entry = f"{moment} {record.levelname} {record.name} [{' '.join([request_id.get(), *words])}] {message(record)}"
        return "\n".join([entry, *(f"  | {line}" for line in trace(self, record))])


class JsonLine(logging.Formatter):
    """One JSON object of ASCII characters, on one line. What is not known is not in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry for one record."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message(record),
        }
        if request_id.get() != "-":
            entry["requestId"] = request_id.get()
        entry.update({name: printable(value) for name, value in circumstances(record).items()})
        entry.update(getattr(record, TOLD, {}))
        lines = trace(self, record)
        return json.dumps({**entry, "trace": lines} if lines else entry)


class Sentence(logging.Formatter):
    """``WARNING: message``, as commands say it to whoever called them; without tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry for one record."""
        return f"{record.levelname}: {message(record)}"


def _word(value: str) -> str:
    """Return a value that cannot be taken for several."""
    return printable(value if PLAIN.fullmatch(value) else repr(value))


def configure_logging(log_format: str) -> None:
    """Send the whole log of a process that serves to standard error, what libraries and failed threads say too."""
    _send(JsonLine() if log_format == "json" else Line(), logging.WARNING)
    logging.getLogger("clawdeploy").setLevel(logging.INFO)
    # What gunicorn says at level INFO (which process started when) is of use to its own developers only.
    logging.getLogger("gunicorn.error").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    threading.excepthook = lambda failed: _defect("A thread has ended", failed)
    sys.unraisablehook = lambda failed: _defect("Something was given up", failed)


def configure_command_logging(log_format: str) -> None:
    """Send warnings of this process, a command, to standard error."""
    _send(JsonLine() if log_format == "json" else Sentence(), logging.WARNING)


def _send(formatter: logging.Formatter, level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _defect(what: str, failed: Any) -> None:
    error: BaseException | None = failed.exc_value
    if error is not None and not isinstance(error, SystemExit):
        told = (type(error), error, failed.exc_traceback)
        logging.getLogger(__name__).error("%s by an unexpected error", what, exc_info=told)


def told(**members: str | int) -> Mapping[str, object]:
    """Return what to give a logger as ``extra``, for members of an entry's JSON: texts of ours, and numbers."""
    return {TOLD: members}
