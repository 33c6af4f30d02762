"""What plugins meet in their tests: a clock that the test moves, a listener, and an opened platform."""

from datetime import UTC, datetime

from clawdeploy.core.config import Config
from clawdeploy.core.events import Event
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.platform import Platform


class Listener:
    """Keeps the events it observes."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @hookimpl
    def observe(self, event: Event) -> None:
        self.events.append(event)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class OpenedAlready:
    """What commands get: a platform that the test opened."""

    actor = "cli"

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def config(self) -> Config:
        return self._platform.config

    def platform(self) -> Platform:
        return self._platform
