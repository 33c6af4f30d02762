"""Loading plugins and asking them: a typed facade over pluggy.

Each plugin is asked on its own, so that a failure has a name and harms nobody else. A failing
default plugin stops start-up; a failing third-party one is recorded and left out, unless
``CLAWDEPLOY_STRICT_PLUGINS`` is set.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from clawdeploy.core import hookspecs
from clawdeploy.core.blame import Blame, PluginReport
from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import (
    AccountSection,
    AuthProvider,
    Blueprint,
    Channel,
    CredentialStore,
    Platform,
    Route,
    Runtime,
)
from clawdeploy.core.errors import ConfigurationError, PluginError
from clawdeploy.core.events import Event
from clawdeploy.core.membership import Members, OfferedRoute, check_member, name_of
from clawdeploy.core.settings import CORE_SETTINGS, DISABLED_PLUGINS, STRICT_PLUGINS

if TYPE_CHECKING:
    import click

logger = logging.getLogger(__name__)

DEFAULT_PLUGINS = (
    "clawdeploy.plugins.docker_runtime",
    "clawdeploy.plugins.memory_runtime",
    "clawdeploy.plugins.standin",
    "clawdeploy.plugins.telegram",
    "clawdeploy.plugins.discord",
    "clawdeploy.plugins.whatsapp",
    "clawdeploy.plugins.api_tokens",
    "clawdeploy.plugins.local_auth",
    "clawdeploy.plugins.clerk",
    "clawdeploy.plugins.activity_log",
)


class PluginHost:
    """The loaded plugins of one process."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._reports: dict[str, PluginReport] = {}
        self._pluggy = pluggy.PluginManager(hookspecs.NAMESPACE)
        self._pluggy.add_hookspecs(hookspecs)

    @classmethod
    def discover(cls, environment: Mapping[str, str]) -> "PluginHost":
        """Load the default plugins and those that are installed, except the disabled ones.

        Raises ``PluginError`` when a default plugin fails, or any plugin in strict mode.
        """
        early = Config(
            CORE_SETTINGS,
            {name: environment.get(name, "") for name in (DISABLED_PLUGINS.name, STRICT_PLUGINS.name)},
        )
        host = cls(strict=early[STRICT_PLUGINS])
        disabled = set(early[DISABLED_PLUGINS])
        for module in DEFAULT_PLUGINS:
            name = module.rpartition(".")[2]
            if name not in disabled:
                host.add(name, partial(import_module, module), source=module, default=True)
        for entry in entry_points(group=hookspecs.NAMESPACE):
            if entry.name not in disabled:
                distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"
                host.add(entry.name, entry.load, source=f"{distribution} ({entry.value})")
        host._refuse_unknown(disabled)
        return host

    def add(self, name: str, load: Callable[[], object], *, source: str, default: bool = False) -> None:
        """Load one plugin under a name that no other has."""
        if name in self._reports:
            raise PluginError(f"Two plugins are called {name!r}: {self._reports[name].source} and {source}.")
        report = self._reports[name] = PluginReport(name, source, default)
        with self.blame(name):
            plugin = load()
            self._pluggy.register(plugin, name)
            self._pluggy.check_pending()
            report.hooks = sorted(caller.name for caller in self._pluggy.get_hookcallers(plugin) or ())
        if report.error and self._pluggy.has_plugin(name):
            self._pluggy.unregister(name=name)

    def report(self) -> list[PluginReport]:
        """Return what is loaded, from where, and what failed."""
        return list(self._reports.values())

    def config(self, environment: Mapping[str, str]) -> Config:
        """Read the settings of the core and of all plugins; raises ``ConfigurationError``."""
        offered = self._named("register_settings", Setting, {})
        taken = {setting.name for setting in CORE_SETTINGS}
        for setting, plugin in offered.values():
            if setting.name in taken:
                raise PluginError(f"Plugin {plugin!r} offers the setting {setting.name}, which the core has already.")
        return Config([*CORE_SETTINGS, *(setting for setting, _ in offered.values())], environment)

    def runtimes(self, config: Config, installation: str) -> dict[str, Runtime]:
        """Return the runtimes by name."""
        arguments = {"config": config, "installation": installation}
        return self._of_the_well(self._named("register_runtimes", Runtime, arguments))

    def blueprints(self, config: Config) -> dict[str, Blueprint]:
        """Return the blueprints by name."""
        return self._of_the_well(self._named("register_blueprints", Blueprint, {"config": config}))

    def channels(self, config: Config) -> dict[str, Channel]:
        """Return the channels by name."""
        return self._of_the_well(self._named("register_channels", Channel, {"config": config}))

    def auth_providers(self, config: Config, credentials: CredentialStore) -> list[AuthProvider]:
        """Return the auth providers in the order in which they are asked."""
        arguments = {"config": config, "credentials": credentials}
        return list(self._of_the_well(self._named("register_auth_providers", AuthProvider, arguments)).values())

    def members(self, config: Config, credentials: CredentialStore, installation: str) -> Members:
        """Ask for all that a platform is made of; a plugin that fails at any of it takes part in none of it."""
        for_runtimes = {"config": config, "installation": installation}
        for_providers = {"config": config, "credentials": credentials}
        providers = self._named("register_auth_providers", AuthProvider, for_providers)
        runtimes = self._named("register_runtimes", Runtime, for_runtimes)
        blueprints = self._named("register_blueprints", Blueprint, {"config": config})
        channels = self._named("register_channels", Channel, {"config": config})
        sections = self._named("register_account_sections", AccountSection, {}, called="kind")
        well = self._of_the_well
        return Members(well(runtimes), well(blueprints), well(channels), list(well(providers).values()), well(sections))

    def routes(self, platform: Platform) -> list[OfferedRoute]:
        """Return the HTTP resources that plugins add, those of one plugin together."""
        offered = self._named("register_routes", Route, {"platform": platform}, called="template")
        return [OfferedRoute(plugin, route) for route, plugin in offered.values()]

    def blame(self, plugin: str) -> Blame:
        """Return the context in which whatever fails is the failure of this plugin."""
        return Blame(self._reports[plugin], strict=self._strict)

    def add_commands(self, cli: "click.Group") -> None:
        """Let plugins add their commands; two commands with one name are refused."""
        owners = dict.fromkeys(cli.commands, "the core")
        for name, implementation in self._implementations("register_commands"):
            before = dict(cli.commands)
            with self.blame(name):
                implementation(cli=cli)
            if self._reports[name].error:
                cli.commands = before
            for command in [known for known in cli.commands if cli.commands[known] is not before.get(known)]:
                if command in owners:
                    raise PluginError(f"The command {command!r} is offered twice: by {owners[command]} and by {name}.")
                owners[command] = name

    def startup(self, platform: Platform) -> None:
        """Tell plugins that this process begins to serve."""
        for name, implementation in self._implementations("startup"):
            with self.blame(name):
                implementation(platform=platform)

    def publish(self, event: Event) -> None:
        """Tell observers what has happened; one that fails is logged and harms nobody."""
        for name, implementation in self._implementations("observe"):
            try:
                implementation(event=event)
            except (Exception, SystemExit):
                logger.exception("Plugin %s failed to observe %s", name, type(event).__name__)

    def _named(
        self, hook: str, contract: type[Any], arguments: Mapping[str, Any], called: str = "name"
    ) -> dict[str, tuple[Any, str]]:
        """Collect what plugins offer under names of which each may be taken once: the members, and whose they are.

        ``called`` is the attribute that holds the name.
        """
        found: dict[str, tuple[Any, str]] = {}
        for plugin, implementation in self._implementations(hook):
            offered: list[tuple[str, Any]] = []
            with self.blame(plugin):
                members = list(implementation(**arguments))
                for member in members:
                    check_member(member, contract)
                offered = [(name_of(member, called), member) for member in members]
            for name, member in offered:
                if name in found:
                    raise PluginError(f"{name!r} is offered twice: by plugin {found[name][1]!r} and by {plugin!r}.")
                found[name] = (member, plugin)
        return found

    def _of_the_well(self, found: Mapping[str, tuple[Any, str]]) -> dict[str, Any]:
        """Return the members without those of plugins that failed at one hook or another."""
        return {name: member for name, (member, plugin) in found.items() if not self._reports[plugin].error}

    def _implementations(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """Return the implementations of a hook one by one, in the order of registration."""
        found = []
        for implementation in getattr(self._pluggy.hook, hook).get_hookimpls():
            if not self._reports[implementation.plugin_name].error:
                found.append((implementation.plugin_name, _with_wanted_arguments(implementation)))
        return found

    def _refuse_unknown(self, disabled: set[str]) -> None:
        known = {module.rpartition(".")[2] for module in DEFAULT_PLUGINS}
        known |= {entry.name for entry in entry_points(group=hookspecs.NAMESPACE)}
        for name in sorted(disabled - known):
            raise ConfigurationError(f"{DISABLED_PLUGINS.name} names {name!r}, but there is no such plugin.")


def _with_wanted_arguments(implementation: "pluggy.HookImpl") -> Callable[..., Any]:
    wanted = (*implementation.argnames, *implementation.kwargnames)

    def call(**arguments: Any) -> Any:
        return implementation.function(**{name: value for name, value in arguments.items() if name in wanted})

    return call
