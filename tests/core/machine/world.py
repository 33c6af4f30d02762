"""Where the machine lives: one database, one engine, a time that stands still, and processes that may die."""

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from clawdeploy.core.background import Pace
from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Runtime, Status
from clawdeploy.core.database import Database
from clawdeploy.core.events import Event, StatusChanged
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.models import Tables
from clawdeploy.core.platform import Platform
from clawdeploy.core.plugins import PluginHost
from clawdeploy.plugins.memory_runtime import MemoryEngine, MemoryRuntime
from clawdeploy.plugins.memory_runtime.engine import ALIVE
from tests.core.machine.faults import Died, FaultyDatabase, FaultyRuntime, Plan
from tests.core.machine.scenery import IMAGE, Plain, StillClock, at_once
from tests.platforms import RuntimePlugin, memory_platform

PORTS = (10000, 10002)
BY_HAND = ("stopped_outside", "paused_outside")
TABLES = ("secret", "activity", "idempotency", "lease", "instance")


@dataclass
class Facts:
    """What is true of an instance's container, whoever knows it.

    ``unheard_of``: the one that vanished was in no row, because the process that made it could not write it down any
    more. ``ended_by`` and ``started_by`` say who did it last; ``told_by_hand``: its owner had read that it was by hand
    when the engine ended. ``excuses`` are reasons for which an operation on it may have failed. ``left_alone``:
    somebody on the server has done something to it that nobody may undo without being asked. ``answered`` is the
    container that has passed its probe since it was started. ``unread``: its owner may have changed a secret since the
    product started it, for which it is restarted if it runs.
    """

    mute: bool = False
    sick: bool = False
    vanished: bool = False
    unheard_of: bool = False
    left_alone: bool = False
    told_by_hand: bool = False
    ended_by: str = ""
    started_by: str = ""
    answered: bool = False
    unread: bool = False
    excuses: set[str] = field(default_factory=set)


class Process:
    """One ClawDeploy process, which may die at any moment."""

    def __init__(self, world: "World") -> None:
        self.dead = False
        self.opened = False
        self.database: Database = FaultyDatabase(world.url, world.folder, world, world.plan, self)
        world.runtime = FaultyRuntime(world, world.plan, self)
        pace = Pace(at_once, world.clock.pause, world.clock.seconds)
        self.platform = Platform(world.config, world.host, self.database, world.clock, pace)
        self.opened = True

    def close(self) -> None:
        """End it, properly if it still lives."""
        with suppress(Died):
            self.platform.close()
        self.database.close()


class World:
    """Everything around the product. :meth:`begin` makes it new, on the same database."""

    memory: MemoryRuntime
    clock: StillClock
    runtime: Runtime

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        settings = {
            "DATA_DIR": str(folder),
            "DATABASE_URL": url,
            "RUNTIME": "under-test",
            "BLUEPRINT": "plain",
            "PORT_RANGE": f"{PORTS[0]}-{PORTS[1]}",
        }
        environment = {f"CLAWDEPLOY_{name}": value for name, value in settings.items()}
        self.host = PluginHost.discover(environment)
        # Each process gets the runtime that was made for it a moment before.
        self.host.add("runtime-under-test", lambda: RuntimePlugin(lambda _: self.runtime), source="tests")
        self.host.add("plain", Plain, source="tests")
        self.host.add("witness", lambda: self, source="tests")
        self.config: Config = self.host.config(environment)
        memory_platform(folder, DATABASE_URL=url).close()
        self.looking = Database(url, folder)
        self.tables: Tables = self.looking.tables
        self.processes: list[Process] = []
        self.plan = Plan()

    def begin(self) -> None:
        """Begin anew: no instances, an empty engine, two processes."""
        with self.looking.transaction():
            for name in TABLES:
                getattr(self.tables, name).delete().execute()
        self.clock = StillClock()
        self.plan.disarm()
        self.memory = MemoryRuntime(engine=MemoryEngine([IMAGE], [IMAGE], self.clock))
        self.newcomers_are_mute = False
        self.facts: defaultdict[str, Facts] = defaultdict(self._newcomer)
        self.ports_are_used_up = False
        self.broken: list[str] = []
        self.too_late: set[str] = set()
        self.interrupted_at = self.clock() - timedelta(days=1)
        self.processes = [Process(self), Process(self)]

    def end(self) -> None:
        """Close the processes of this run."""
        for process in self.processes:
            process.close()

    def close(self) -> None:
        """Give back the connection of the world's own."""
        self.looking.close()

    def bury(self, process: Process) -> None:
        """Put a new process in the place of one that died."""
        process.dead = True
        process.close()
        self.interrupted_at = self.clock()
        self.processes[self.processes.index(process)] = Process(self)

    def rows(self) -> dict[str, Any]:
        """Return all rows by instance id, as they are stored."""
        with self.looking.reading():
            # Written out, because it is asked so often that to have it written by peewee takes a third of the time.
            return {row.id: row for row in self.tables.instance.raw("SELECT * FROM instance ORDER BY created_at")}

    def count_ports(self) -> None:
        """Take note of whether there is a port left for one more bot."""
        held = {row.host_port for row in self.rows().values()} | self.memory.engine.foreign_ports
        self.ports_are_used_up = not set(range(PORTS[0], PORTS[1] + 1)) - held
        if self.ports_are_used_up:
            self.excuse("", "no_free_port")

    def mend(self) -> None:
        """End all that is wrong around."""
        self.plan.disarm()
        engine = self.memory.engine
        engine.images, engine.registry = {IMAGE}, {IMAGE}
        engine.foreign_ports.clear()
        self.count_ports()

    def _newcomer(self) -> Facts:
        return Facts(excuses={"no_free_port"} if self.ports_are_used_up else set())

    # -- what faults need --------------------------------------------------------------------------------------------

    def excuse(self, instance_id: str, reason: str) -> None:
        """Remember that an operation on an instance may have failed for a reason; without an id, on any."""
        for each in [instance_id] if instance_id else list(self.facts):
            self.facts[each].excuses.add(reason)

    def answers(self, instance_id: str) -> bool:
        """Say whether an instance's bot answers, and remember that it has."""
        facts = self.facts[instance_id]
        facts.answered |= not facts.mute
        return not facts.mute

    def tried(self, instance_id: str, call: str) -> None:
        """Take note of what may be left behind: the row may have been deleted while the engine was busy with this."""
        if call == "create" and instance_id not in self.rows():
            self.too_late.add(instance_id)

    def acted(self, instance_id: str, call: str) -> None:
        """Take note of what the product did to a container."""
        facts = self.facts[instance_id]
        for_secrets = facts.unread and facts.ended_by in ("", "product")
        if facts.left_alone and call != "discard" and not for_secrets:
            self.complain(f"{call}: nobody had asked for that, and somebody on the server wanted it otherwise")
        if call == "create":
            facts.vanished, facts.mute = False, facts.mute or self.newcomers_are_mute
        elif call == "start":
            self.started(instance_id, "product")
            facts.unread = False
        elif call == "stop":
            facts.ended_by = facts.ended_by or "product"

    def complain(self, what: str) -> None:
        """Remember that a promise was broken; an exception might be caught by the product."""
        self.broken.append(what)

    # -- what happens without the product ----------------------------------------------------------------------------

    def started(self, instance_id: str, by: str) -> None:
        """Take note of a start; a sick bot ends again and again."""
        facts = self.facts[instance_id]
        facts.started_by, facts.ended_by, facts.told_by_hand = by, "", False
        self.begins_anew(instance_id)
        if facts.sick:
            self.memory.loop(instance_id, 3)

    def begins_anew(self, instance_id: str) -> None:
        """Take note of a bot that has to answer once more, unless somebody has just found that it does."""
        self.facts[instance_id].answered &= self.plan.nested

    def engine_ends(self) -> None:
        """End all containers, as an engine does that was killed and starts again."""
        rows = self.rows()
        for instance_id, container in self.memory.engine.containers.items():
            if container.state in ALIVE:
                facts = self.facts[instance_id]
                facts.ended_by, facts.left_alone = "engine", False
                row = rows.get(instance_id)
                facts.told_by_hand = row is not None and row.reason in BY_HAND
        self.memory.end_with_engine()

    @hookimpl
    def observe(self, event: Event) -> None:
        """Check that a bot that is said to run has answered."""
        if isinstance(event, StatusChanged) and event.after is Status.RUNNING:
            instance_id = event.instance_id
            if not self.facts[instance_id].answered:
                self.complain(f"{instance_id} was said to run and has never answered")
