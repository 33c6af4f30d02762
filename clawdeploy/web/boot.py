"""How the start of a worker went: told by the worker, read by its parent, however suddenly the worker ended."""

import json
import mmap
import traceback
from dataclasses import dataclass

from clawdeploy.core.errors import ClawDeployError

READY = b"\1"
FAILED = b"\2"
LONGEST_SENTENCE = 2_000
LONGEST_TRACE = 8_000
# Enough for both texts when each of their characters has to be written as two escapes.
PAGE = 128 * 1024


@dataclass(frozen=True)
class BootFailure:
    """Why a worker could not start: a sentence for people, and the traceback of an error that nobody foresaw."""

    sentence: str
    trace: str = ""

    @property
    def cause(self) -> Exception | None:
        """The traceback in the form in which loggers take one."""
        return _InWorker(self.trace) if self.trace else None


class _InWorker(Exception):
    """An error in a worker; its message is the whole traceback."""


class Boot:
    """One worker's start, in memory that it shares with its parent. Make it before the fork."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, PAGE)

    def succeed(self) -> None:
        """Say that the worker serves now."""
        self._page[:1] = READY

    def fail(self, error: Exception) -> None:
        """Say why the worker ends without having served."""
        if isinstance(error, ClawDeployError):
            said = [error.detail[:LONGEST_SENTENCE]]
        else:
            trace = "".join(traceback.format_exception(error))
            said = ["an unexpected error", trace[-LONGEST_TRACE:]]
        written = json.dumps(said).encode()
        self._page[1 : 1 + len(written)] = written
        self._page[:1] = FAILED

    @property
    def ready(self) -> bool:
        """Whether the worker got as far as to serve; it may have ended since."""
        return self._page[:1] == READY

    @property
    def failure(self) -> BootFailure:
        """Why the worker did not get that far."""
        if self._page[:1] != FAILED:
            return BootFailure("the process ended before it was ready")
        return BootFailure(*json.loads(self._page[1:].rstrip(b"\0")))
