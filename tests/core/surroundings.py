"""What tests of the core live in: a database, a data folder and an engine, on which platforms can be opened."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Condition
from typing import Any, TypeVar

from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.database import Database
from clawdeploy.core.events import Event
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.key_file import read_key_file
from clawdeploy.core.models import Tables
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from clawdeploy.core.vault import Vault
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.platforms import GOOD, memory_platform

E = TypeVar("E", bound=Event)

OWNER = "ann"
STRANGER = "bob"
TELEGRAM_TOKEN = "123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz"


class Surroundings:
    """One database and data folder. Platforms opened here share them and the engine, as processes of one server do."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.memory = MemoryRuntime()
        self.witness = Witness()
        self._opened: list[Platform] = []
        self._looking: Database | None = None

    def open(
        self,
        runtime: Runtime | None = None,
        *,
        plugins: Mapping[str, object] | None = None,
        clock: Callable[[], datetime] = utc_now,
        pace: Pace = USUAL,
        **settings: Any,
    ) -> Platform:
        """Wire a platform on the given runtime (the memory runtime if none); ``witness`` sees all its events."""
        chosen = runtime or self.memory
        platform = memory_platform(
            self.folder,
            runtime=lambda installation: chosen,
            plugins={"witness": self.witness, **(plugins or {})},
            clock=clock,
            pace=pace,
            DATABASE_URL=self.url,
            **settings,
        )
        self._opened.append(platform)
        return platform

    @property
    def rows(self) -> Tables:
        """The tables, for looking at them and for setting a scene; use them inside ``looking().transaction()``."""
        return self.looking().tables

    def looking(self) -> Database:
        """Return a connection pool of the test's own."""
        if self._looking is None:
            self._looking = Database(self.url, self.folder)
        return self._looking

    def vault(self) -> Vault:
        """Return a vault of the test's own, on a database that a platform has made."""
        return Vault(self.looking(), self.rows.installation, lambda: read_key_file(self.folder))

    def row(self, instance_id: str) -> Any:
        """Return an instance's row as it is stored."""
        with self.looking().reading():
            return self.rows.instance.get_by_id(instance_id)

    def set_row(self, instance_id: str, **fields: Any) -> None:
        """Change an instance's row behind everybody's back."""
        row = self.rows.instance
        with self.looking().transaction():
            assert row.update(**fields).where(row.id == instance_id).execute() == 1

    def reaches(self, instance_id: str, **fields: object) -> None:
        """Wait until a row has these values, for moments that no event tells of."""

        def reached() -> bool:
            row = self.row(instance_id)
            return all(getattr(row, name) == value for name, value in fields.items())

        assert eventually(reached, within=20.0), f"never {fields}, but {self.row(instance_id).__data__}"

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        with self.looking().reading():
            return int(getattr(self.rows, table).select().count())

    def close(self) -> None:
        """Close every platform that was opened."""
        for platform in self._opened:
            platform.close()
        if self._looking is not None:
            self._looking.close()


class Witness:
    """An observer that remembers what has happened, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._arrived = Condition()

    @hookimpl
    def observe(self, event: Event) -> None:
        with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        with self._arrived:
            return [event for event in self.events if isinstance(event, kind)]

    def until(self, kind: type[E], within: float = 20.0, **fields: object) -> E:
        """Wait for an event of a kind with these fields and return the last one."""

        def matches(event: Event) -> bool:
            return isinstance(event, kind) and all(getattr(event, name) == fields[name] for name in fields)

        with self._arrived:
            came = self._arrived.wait_for(lambda: any(map(matches, self.events)), within)
            assert came, f"no {kind.__name__} with {fields}, but {self.events}"
            return next(event for event in reversed(self.events) if isinstance(event, kind) and matches(event))


class Clock:
    """The real time, which a test can put forward.

    Every write asks for the time, so that an ``error`` of the clock stands for a database that fails.
    """

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self.error: Exception | None = None

    def __call__(self) -> datetime:
        if self.error:
            raise self.error
        return datetime.now(UTC) + self._ahead

    def advance(self, **duration: float) -> None:
        """Put the clock forward; takes what ``timedelta`` takes."""
        self._ahead += timedelta(**duration)


def made(platform: Platform, **fields: Any) -> str:
    """Create an instance of ``OWNER`` that runs and return its id."""
    instance = platform.instances.create(OWNER, {**GOOD, **fields})
    assert instance.status == "running", (instance.status, instance.detail)
    return instance.id
