"""What plugins offer, and whether it is what it has to be: looked at when it is offered, not when it is used."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, TypeVar

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import AccountSection, AuthProvider, Blueprint, Channel, Probe, Route, Runtime, SignIn
from clawdeploy.core.errors import ConfigurationError, PluginError

T = TypeVar("T")

MOST_SECONDS = 1_000_000.0
"""More than anything of a bot may take; what is longer, or has no end, does not fit into a date or a request."""


@dataclass(frozen=True)
class OfferedRoute:
    """A route, and the name of the plugin whose it is."""

    plugin: str
    route: Route


@dataclass(frozen=True)
class Members:
    """What a platform is made of, by name; the auth providers in the order in which they are asked."""

    runtimes: Mapping[str, Runtime]
    blueprints: Mapping[str, Blueprint]
    channels: Mapping[str, Channel]
    auth_providers: list[AuthProvider]
    account_sections: Mapping[str, AccountSection]


def check_member(member: object, contract: type[Any]) -> None:
    """Raise ``PluginError``, naming what is missing, when an object cannot be a member of a contract.

    ``contract`` is a Protocol of ours, whose attributes and methods the member has to have, or a dataclass, of
    which it has to be one.
    """
    what = f"The {contract.__name__} {_name(member)}"
    if is_dataclass(contract):
        if not isinstance(member, contract):
            raise PluginError(f"{what} is no {contract.__name__}, but a {type(member).__name__}.")
        return
    attributes = list(contract.__annotations__)
    methods = [name for name, value in vars(contract).items() if callable(value) and not name.startswith("_")]
    missing = [name for name in attributes if not hasattr(member, name)]
    missing += [f"{name}()" for name in methods if not callable(getattr(member, name, None))]
    if missing:
        raise PluginError(f"{what} lacks {', '.join(missing)}.")
    if contract is AuthProvider and not isinstance(getattr(member, "sign_in", None), SignIn | None):
        raise PluginError(f"{what} has a sign_in that is no SignIn.")
    if contract is Blueprint:
        _check_blueprint(member, what)


def _check_blueprint(blueprint: Any, what: str) -> None:
    """Raise ``PluginError`` for what could not be used in the midst of a sync, which is one for all bots."""
    probe = blueprint.probe
    if not isinstance(probe, Probe):
        raise PluginError(f"{what} has a probe that is no Probe.")
    seconds = [(f"{what} has a stop_timeout", blueprint.stop_timeout, 0.0)]
    of_probe = f"The probe of t{what[1:]} has a "
    seconds += [(f"{of_probe}{name}", getattr(probe, name), 0.001) for name in ("deadline", "timeout")]
    for said, value, least in seconds:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= MOST_SECONDS:
            raise PluginError(f"{said} that is no number of seconds.")


def name_of(member: object, attribute: str = "name") -> str:
    """Return the name that a member goes by; raises ``PluginError`` for one that is no text."""
    name = getattr(member, attribute)
    if not isinstance(name, str) or not name:
        raise PluginError(f"The {attribute} of a {type(member).__name__} must be a text, not {name!r}.")
    return name


def chosen(members: Mapping[str, T], setting: Setting[str], config: Config) -> T:
    """Return the member that a setting names; raises ``ConfigurationError`` saying which there are."""
    name = config[setting]
    if name not in members:
        offered = ", ".join(sorted(members)) or "none"
        raise ConfigurationError(f"{setting.name}={name!r} is not installed. There is: {offered}.")
    return members[name]


def _name(member: object) -> str:
    name = getattr(member, "name", None)
    return repr(name) if isinstance(name, str) else f"of class {type(member).__name__}"
