"""What commands are given: settings and plugins at hand, and the platform, opened when it is needed."""

from collections.abc import Mapping
from typing import Any

from clawdeploy.core.bootstrap import bootstrap
from clawdeploy.core.config import Config, Setting
from clawdeploy.core.context import NOBODY, user
from clawdeploy.core.platform import Platform
from clawdeploy.core.plugins import PluginHost


class Opener:
    """What commands get as ``click.Context.obj``: opens the platform once, when it is needed."""

    actor = "cli"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._host: PluginHost | None = None
        self._platform: Platform | None = None

    @property
    def host(self) -> PluginHost:
        """The loaded plugins; raises ``PluginError`` or ``ConfigurationError``."""
        if self._host is None:
            self._host = PluginHost.discover(self._environment)
        return self._host

    def override(self, setting: Setting[Any], value: str) -> None:
        """Let an option of the command line win over the environment."""
        self._environment[setting.name] = value

    def config(self) -> Config:
        """Read all settings; raises ``ConfigurationError``."""
        return self.host.config(self._environment)

    def platform(self, *, existing: bool = False) -> Platform:
        """Return the platform, opened at the first call.

        ``existing``: only with a database that is there, for what makes no sense without one.
        """
        if self._platform is None:
            self._platform = bootstrap(self.config(), self.host, existing=existing)
            user.set(self.actor)
        return self._platform

    def close(self) -> None:
        """Close the platform if it is open; it would be opened anew."""
        if self._platform is not None:
            self._platform.close()
            self._platform = None
            user.set(NOBODY)
