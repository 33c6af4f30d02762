"""What goes wrong, and when: one fault at a time, at a call that is counted."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, Protocol, TypeVar

from clawdeploy.core.contracts import ContainerSpec, Observation, Probe
from clawdeploy.core.database import Database
from clawdeploy.core.errors import DatabaseUnavailable, EngineError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime

T = TypeVar("T")

CHANGES = ("create", "start", "stop", "remove", "discard")
"""Calls of a runtime that change something."""


class Died(BaseException):
    """The process is no more. Nothing catches it, and nothing of the process goes on afterwards."""


class Where(StrEnum):
    """Which calls are counted."""

    ENGINE = "engine"
    WRITING = "writing"
    READING = "reading"


class Moment(StrEnum):
    """When it happens: before the call does anything, before a transaction is committed, or before the answer."""

    BEFORE = "before"
    UNCOMMITTED = "uncommitted"
    UNANSWERED = "unanswered"


class Effect(StrEnum):
    """What happens. ``MEANWHILE``: somebody else does something, while this call takes its time."""

    SILENT = "silent"
    REFUSES = "refuses"
    ODD = "odd"
    ENGINE_ENDS = "engine_ends"
    DIES = "dies"
    MEANWHILE = "meanwhile"


@dataclass(frozen=True)
class Fault:
    """What happens at the call after the next ``after`` ones, and ``times`` times in a row."""

    where: Where
    moment: Moment
    effect: Effect
    after: int = 0
    times: int = 1


class Process(Protocol):
    """What faults need to know of a process that they hit."""

    dead: bool
    opened: bool
    database: Database


class Happenings(Protocol):
    """What faults need to know of the world that they are in."""

    memory: MemoryRuntime

    def engine_ends(self) -> None:
        """End all containers, as an engine does that was killed and starts again."""

    def excuse(self, instance_id: str, reason: str) -> None:
        """Remember that an operation on an instance may have failed for a reason."""

    def answers(self, instance_id: str) -> bool:
        """Say whether an instance's bot answers."""

    def tried(self, instance_id: str, call: str) -> None:
        """Be told of a call, which may have left something behind also when it failed."""

    def acted(self, instance_id: str, call: str) -> None:
        """Be told that a container was changed."""

    def complain(self, what: str) -> None:
        """Remember that a promise was broken."""


class Plan:
    """Which fault comes next; after it has happened it is over.

    ``struck`` counts what has happened, ``interrupted`` how often work was cut short by it, so that it could not give
    back what it held. ``nested``: somebody else does something, in the middle of a call.
    """

    def __init__(self) -> None:
        self.struck = 0
        self.interrupted = 0
        self.tally: Counter[str] = Counter()
        self.nested = False
        self._fault: Fault | None = None
        self._meanwhile: Callable[[str], None] = _nothing
        self._calls = 0

    def arm(self, fault: Fault, meanwhile: Callable[[str], None]) -> None:
        """Let a fault come; ``meanwhile`` is what somebody else does then, with the instance that is worked on."""
        self._fault, self._meanwhile, self._calls = fault, meanwhile, 0

    def disarm(self) -> None:
        """Let nothing more go wrong."""
        self._fault = None

    def strike(self, where: Where, moment: Moment, world: Happenings, process: Process, instance_id: str = "") -> None:
        """Do what goes wrong at this moment of a call, if anything does."""
        fault = self._fault
        if fault is None or fault.where is not where:
            return
        if moment is Moment.BEFORE:
            self._calls += 1
        if fault.moment is not moment or self._calls <= fault.after:
            return
        if self._calls >= fault.after + fault.times or fault.effect not in (Effect.SILENT, Effect.REFUSES):
            self._fault = None
        self.struck += 1
        self.tally[f"{where} {moment} {fault.effect}"] += 1
        self.interrupted += fault.effect is Effect.DIES or where is not Where.ENGINE
        if fault.effect is Effect.DIES:
            process.dead = True
            raise Died
        if fault.effect is Effect.MEANWHILE:
            self._happen_meanwhile(instance_id)
            return
        if where is not Where.ENGINE:
            raise DatabaseUnavailable
        self._fail(fault.effect, world, instance_id)

    def _happen_meanwhile(self, instance_id: str) -> None:
        self.nested = True
        try:
            self._meanwhile(instance_id)
        finally:
            self.nested = False

    @staticmethod
    def _fail(effect: Effect, world: Happenings, instance_id: str) -> None:
        if effect is Effect.ENGINE_ENDS:
            world.engine_ends()
        silent = effect in (Effect.SILENT, Effect.ENGINE_ENDS)
        # An engine that cannot say how a container is counts as one that does not answer.
        world.excuse(instance_id, "runtime_unavailable")
        if not silent:
            world.excuse(instance_id, "runtime_failure")
        if effect is Effect.ODD:
            raise KeyError("against the contract")
        raise RuntimeUnavailable if silent else RuntimeFailure


class FaultyRuntime(WrappedRuntime):
    """The engine as one process sees it."""

    def __init__(self, world: Happenings, plan: Plan, process: Process) -> None:
        super().__init__(world.memory)
        self._world = world
        self._plan = plan
        self._process = process
        self._made_last = ""

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        self._made_last = instance_id
        return self._ask("create", instance_id, lambda: self.inner.create(instance_id, host_port, spec))

    def pull(self, image: str) -> None:
        self._ask("pull", self._made_last, lambda: self.inner.pull(image))

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        self._ask("start", instance_id, lambda: self.inner.start(container_id, instance_id, spec))

    def stop(self, container_id: str, timeout: float) -> None:
        self._ask("stop", self._whose(container_id), lambda: self.inner.stop(container_id, timeout))

    def remove(self, container_id: str) -> None:
        self._ask("remove", self._whose(container_id), lambda: self.inner.remove(container_id))

    def discard(self, instance_id: str) -> None:
        self._ask("discard", instance_id, lambda: self.inner.discard(instance_id))

    def observe(self, instance_id: str) -> Observation:
        return self._ask("observe", instance_id, lambda: self.inner.observe(instance_id))

    def observe_all(self) -> Mapping[str, Observation]:
        return self._ask("observe_all", "", self.inner.observe_all)

    def logs(self, container_id: str, tail: int, since: Any = None) -> str:
        return self._ask("logs", "", lambda: self.inner.logs(container_id, tail, since))

    def probe(self, observation: Observation, probe: Probe) -> bool:
        if self._process.dead:
            raise Died
        return self.inner.probe(observation, probe) and self._world.answers(self._whose(observation.container_id or ""))

    def _whose(self, container_id: str) -> str:
        containers = self._world.memory.engine.containers
        return next((each for each, container in containers.items() if container.id == container_id), "")

    def _ask(self, call: str, instance_id: str, work: Callable[[], T]) -> T:
        if self._process.dead:
            raise Died
        if self._process.database.peewee.in_transaction():
            self._world.complain(f"{call} was asked of the engine inside a transaction")
        try:
            self._plan.strike(Where.ENGINE, Moment.BEFORE, self._world, self._process, instance_id)
            answer = work()
        except EngineError as error:
            self._world.excuse(instance_id, error.code)
            raise
        finally:
            self._world.tried(instance_id, call)
        if call in CHANGES:
            self._world.acted(instance_id, call)
        self._plan.strike(Where.ENGINE, Moment.UNANSWERED, self._world, self._process, instance_id)
        return answer


class FaultyDatabase(Database):
    """The database as one process sees it."""

    def __init__(self, url: str, folder: Path, world: Happenings, plan: Plan, process: Process) -> None:
        super().__init__(url, folder)
        self._world = world
        self._plan = plan
        self._process = process

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self.peewee.in_transaction():
            with super().transaction():
                yield
            return
        self._strike(Where.WRITING, Moment.BEFORE)
        with super().transaction():
            yield
            self._strike(Where.WRITING, Moment.UNCOMMITTED)
        self._strike(Where.WRITING, Moment.UNANSWERED)

    @contextmanager
    def reading(self) -> Iterator[None]:
        if not self.peewee.in_transaction():
            self._strike(Where.READING, Moment.BEFORE)
        with super().reading():
            yield

    def _strike(self, where: Where, moment: Moment) -> None:
        # The keeper of claims works in a thread of its own, whenever it likes: its calls cannot be counted. After the
        # death of its process it must write nothing, but a thread that ends by an exception would end the test.
        main = current_thread() is main_thread()
        if self._process.dead:
            raise Died if main else DatabaseUnavailable
        if self._process.opened and main:
            self._plan.strike(where, moment, self._world, self._process)


def _nothing(_: str) -> None:
    """Do nothing meanwhile."""
