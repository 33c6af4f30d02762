"""From settings and plugins to a working platform: the database is opened, brought up to date, and its key checked."""

import logging
from collections.abc import Callable
from datetime import datetime

from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.clock import utc_now
from clawdeploy.core.config import Config
from clawdeploy.core.data_folder import make_data_folder
from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.installation import check_key, is_installed
from clawdeploy.core.platform import Platform
from clawdeploy.core.plugins import PluginHost
from clawdeploy.core.settings import DATA_DIR, DATABASE_URL

logger = logging.getLogger(__name__)


def bootstrap(
    config: Config,
    host: PluginHost,
    *,
    clock: Callable[[], datetime] = utc_now,
    pace: Pace = USUAL,
    existing: bool = False,
) -> Platform:
    """Open the database, bring it up to date, check the key and wire everything.

    Contacts no engine, so that it works while Docker is away. ``existing``: a database that is empty or not there
    was lost, and no new one takes its place. Raises ``ConfigurationError``, ``PluginError``, ``WrongKey`` or
    ``DatabaseUnavailable``.
    """
    make_data_folder(config)
    database = Database(config[DATABASE_URL], config[DATA_DIR])
    try:
        if not check_key(database, config) and existing:
            raise DatabaseUnavailable(f"{database.label} is empty or not there, and none is made in its place.")
        applied = database.migrate()
        if applied:
            logger.info("The database was brought up to date: %s", ", ".join(applied))
        platform = Platform(config, host, database, clock, pace)
    except BaseException:
        database.close()
        raise
    platform.applied_migrations = applied
    return platform


def open_existing(config: Config, host: PluginHost, *, clock: Callable[[], datetime] = utc_now) -> Platform | None:
    """Wire a platform on a database that is there already and up to date; ``None`` where something had to be made.

    Raises what :func:`bootstrap` does.
    """
    database = Database(config[DATABASE_URL], config[DATA_DIR])
    try:
        check_key(database, config)
        if is_installed(database):
            return Platform(config, host, database, clock)
    except BaseException:
        database.close()
        raise
    database.close()
    return None
