"""Asking plugins for all that they offer, without making anything: some fail only when they are asked."""

from collections.abc import Callable
from datetime import datetime

from clawdeploy.core.bootstrap import open_existing
from clawdeploy.core.config import Config
from clawdeploy.core.errors import ConfigurationError, DatabaseUnavailable, WrongKey
from clawdeploy.core.platform import Platform
from clawdeploy.core.plugins import PluginHost

Build = Callable[[Platform], object]
"""Makes of a platform what serves it, and so finds out which routes can be served; ``web.app.create_app`` is one."""


def ask_all(config: Config, host: PluginHost, clock: Callable[[], datetime], build: Build) -> str:
    """Ask every plugin; what failed is in the host's report afterwards.

    Auth providers and routes need a platform, and that a database which is there already and up to date. Returns why
    they could not be asked for, or nothing when they were. Raises ``PluginError`` where start-up would.
    """
    try:
        platform = open_existing(config, host, clock=clock)
        if platform is not None:
            _ask(platform, build)
            return ""
        reason = "the database is not there yet, or not up to date"
    except (ConfigurationError, DatabaseUnavailable, WrongKey) as error:
        reason = error.detail
    except OSError as error:
        reason = f"the database cannot be looked at ({error.strerror})"
    host.runtimes(config, "")
    host.blueprints(config)
    host.channels(config)
    return reason


def _ask(platform: Platform, build: Build) -> None:
    try:
        build(platform)
    finally:
        platform.close()
