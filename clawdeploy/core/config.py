"""Settings: what they are called, how they are read, what they are when nobody says.

A setting *is* its environment variable. Plugins add theirs through ``register_settings``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar, cast

from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.redaction import remember_setting

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PREFIX = "CLAWDEPLOY_"


class Misplaced(ValueError):
    """What a parser raises for a text that may be somebody's secret, meant for another place: it is shown nowhere."""


@dataclass(frozen=True)
class Setting(Generic[T_co]):
    """One setting.

    ``name`` is the environment variable; ``parse`` turns its text into the value and raises
    ``ValueError`` with a sentence when it cannot; ``fallback`` is another variable that is read
    when the first is not set; ``secret`` keeps the value out of everything printed.
    """

    name: str
    parse: Callable[[str], T_co]
    default: T_co
    help: str
    secret: bool = False
    fallback: str | None = None


class Config:
    """The values of all known settings: ``config[PORT]`` is an ``int``."""

    def __init__(self, settings: Iterable[Setting[Any]], environment: Mapping[str, str]) -> None:
        """Read and check all settings; raises ``ConfigurationError`` naming the first that is wrong."""
        self._settings = {setting.name: setting for setting in settings}
        self._refuse_unknown(environment)
        self._values = {name: _read(setting, environment) for name, setting in self._settings.items()}

    def __getitem__(self, setting: Setting[T]) -> T:
        return cast(T, self._values[setting.name])

    def settings(self) -> list[Setting[Any]]:
        """Return all known settings, by name."""
        return sorted(self._settings.values(), key=lambda setting: setting.name)

    def __repr__(self) -> str:
        shown = {name: "***" if self._settings[name].secret else value for name, value in self._values.items()}
        return f"Config({shown})"

    def _refuse_unknown(self, environment: Mapping[str, str]) -> None:
        for name in sorted(environment):
            if name.startswith(PREFIX) and name not in self._settings:
                close = get_close_matches(name, self._settings, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise ConfigurationError(f"{name} is not a setting of ClawDeploy or of a loaded plugin.{hint}")


def _read(setting: Setting[T], environment: Mapping[str, str]) -> T:
    for name in (setting.name, setting.fallback):
        text = environment.get(name, "").strip() if name else ""
        if name and text:
            if setting.secret:
                remember_setting(text)
            try:
                return setting.parse(text)
            except ValueError as error:
                shown = "" if setting.secret or isinstance(error, Misplaced) else f"={text[:100]!r}"
                raise ConfigurationError(f"{name}{shown} is not usable: {error}") from None
    return setting.default
