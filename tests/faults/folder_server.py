"""A server whose engine is a folder: for tests of several servers, in which nothing may interleave.

Its calls take a while, and those of two processes on one instance at the same time are written down.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from clawdeploy.cli import command_line
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.opener import Opener
from tests.core.folder_runtime import FolderRuntime

ROOT = Path(__file__).resolve().parents[2]
DURATION = 0.5


def program(engine: Path) -> tuple[str, ...]:
    """Return what to run in place of ``clawdeploy serve``; ``engine`` is the folder."""
    run = "from tests.faults.folder_server import main; main()"
    return sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {run}", str(engine)


class Plugin:
    """Offers the runtime."""

    @hookimpl
    def register_runtimes(self, installation: str) -> Iterable[Runtime]:
        return [FolderRuntime(Path(sys.argv[1]), DURATION)]


def main() -> None:
    """Serve, with the folder beside the usual runtimes."""
    os.umask(0o077)
    opener = Opener(os.environ)
    opener.host.add("folder", Plugin, source="tests")
    command_line(opener)(["serve"], prog_name="clawdeploy", obj=opener)
