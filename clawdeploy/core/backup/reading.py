"""Reading a backup: what is in it, line by line."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import clawdeploy
from clawdeploy.core.backup.sealed_file import ALTERED, SealedReader
from clawdeploy.core.database import MIGRATIONS
from clawdeploy.core.errors import BackupUnusable

NEWER = (
    "It was made by ClawDeploy {}, and its tables are newer than those that this version ({}) knows. "
    "Restore it with that version or a newer one. Nothing was changed."
)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a backup; raises ``BackupUnusable`` when it cannot be read."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupUnusable(f"The backup {path} cannot be read: {error.strerror}.") from None
    with file:
        yield file


class BackupLines:
    """The lines of a backup."""

    def __init__(self, sealed: SealedReader) -> None:
        self._packed = gzip.GzipFile(fileobj=io.BufferedReader(sealed))
        self._line: Any = None
        self.end: dict[str, Any] = {}

    def heading(self) -> dict[str, Any]:
        """Return the first line; raises ``BackupUnusable`` when its tables are newer than ours."""
        heading: dict[str, Any] = self._next()
        if not {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}.issuperset(heading["migrations"]):
            raise BackupUnusable(NEWER.format(heading["version"], clawdeploy.__version__))
        return heading

    def tables(self) -> Iterator[tuple[str, list[str], Iterator[list[Any]]]]:
        """Give the name of each table, its columns, and its rows; ``end`` is there after the last one."""
        self._next()
        while "table" in self._line:
            yield self._line["table"], self._line["columns"], self._rows()
        self.end = self._line
        if self._read():
            raise BackupUnusable(ALTERED)

    def _rows(self) -> Iterator[list[Any]]:
        while isinstance(self._next(), list):
            yield self._line

    def _next(self) -> Any:
        try:
            self._line = json.loads(self._read())
        except ValueError:
            raise BackupUnusable(ALTERED) from None
        return self._line

    def _read(self) -> bytes:
        try:
            return self._packed.readline()
        except (OSError, EOFError, zlib.error):
            raise BackupUnusable(ALTERED) from None
