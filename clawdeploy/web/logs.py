"""Readable log lines that nobody can forge: what comes out of a request is escaped, each line has its request id."""

import logging
import logging.config
import re
import threading
from contextvars import ContextVar
from typing import Any

from clawdeploy.core.redaction import RedactingHandler

request_id: ContextVar[str] = ContextVar("request_id", default="-")

# Control characters, and the others that make some terminals or viewers begin a new line or change direction.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return ``text`` on one line, with every control character written out as an escape."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Line(logging.Formatter):
    """``2026-01-31 12:00:00 INFO clawdeploy.web.access [request id] message``, on one line.

    A traceback follows on lines of its own that begin with a bar, so that none of them can be
    taken for an entry.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry for one record."""
        moment = self.formatTime(record, "%Y-%m-%d %H:%M:%S")
        said = printable(record.getMessage())
        entry = f"{moment} {record.levelname} {record.name} [{request_id.get()}] {said}"
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            entry = "\n".join([entry, *(f"  | {printable(line)}" for line in trace)])
        return entry


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": Line}},
    "handlers": {"stderr": {"()": RedactingHandler, "formatter": "line", "stream": "ext://sys.stderr"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {
        "clawdeploy": {"level": "INFO"},
        # What gunicorn says at level INFO (which process started when) is of use to its own developers only.
        "gunicorn.error": {"level": "WARNING"},
    },
}


def configure_logging() -> None:
    """Send this process's log to standard error, one readable line for each entry, and what ends a thread there too."""
    logging.config.dictConfig(LOGGING)
    threading.excepthook = _log_thread


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    error = ended.exc_value
    if error is not None and not isinstance(error, SystemExit):
        logging.getLogger(__name__).error("A thread ended unexpectedly", exc_info=error)
