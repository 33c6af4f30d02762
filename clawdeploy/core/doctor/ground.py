"""What the doctor looks at, and how a check says that something is wrong."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.database import Database
from clawdeploy.core.doctor.asking import Build
from clawdeploy.core.membership import chosen
from clawdeploy.core.plugins import PluginHost
from clawdeploy.core.settings import BLUEPRINT, DATA_DIR, DATABASE_URL, RUNTIME


class Unmet(Exception):
    """A check found that something is not as it must be; ``mend`` says what to do when the usual advice is wrong."""

    def __init__(self, found: str, mend: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.mend = mend


class Ground:
    """What the checks look at."""

    def __init__(self, config: Config, host: PluginHost, clock: Callable[[], datetime], build: Build) -> None:
        self.config = config
        self.host = host
        self.clock = clock
        self.build = build
        self.database = Database(config[DATABASE_URL], config[DATA_DIR])
        self.tables = self.database.tables
        # Looking does not need to know which installation this is: nothing is made, so nothing is labelled.
        self.runtime: Runtime = chosen(host.runtimes(config, "doctor"), RUNTIME, config)
        self.images = chosen(host.blueprints(config), BLUEPRINT, config).images

    def close(self) -> None:
        """Give back connections."""
        self.runtime.close()
        self.database.close()

    def has_tables(self) -> bool:
        """Say whether the database was ever migrated; does not make a SQLite file by asking."""
        if self.database.path is not None and not self.database.path.exists():
            return False
        with self.database.reading():
            return bool(self.tables.installation.table_exists())


def nearest(folder: Path) -> Path:
    """Return the folder itself if it is there, else the nearest one above it that is."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def unwritable(folder: Path) -> str:
    """Say why a folder cannot be written, or be made when it is not there yet; nothing when it can."""
    there = nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return f"{there} cannot be written ({error.strerror})"
