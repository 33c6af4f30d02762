"""The contract suite passes on a runtime that keeps the contract, and each of its tests fails on one that does not."""

import inspect
import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from clawdeploy.core.contracts import (
    ContainerSpec,
    ContainerState,
    EngineInfo,
    Holding,
    Limits,
    Observation,
    Room,
    Runtime,
)
from clawdeploy.core.errors import NoContainer, RuntimeFailure
from clawdeploy.core.testing import RuntimeContract, Stage
from clawdeploy.plugins.memory_runtime import MemoryEngine, MemoryRuntime

SPEC = ContainerSpec(images=("bot:1",), container_port=80, limits=Limits(2**20, 0.5, 10))


class Contract(RuntimeContract):
    """The suite, set up for runtimes of one class on one engine."""

    def __init__(self) -> None:
        self.kind: type[MemoryRuntime] = MemoryRuntime
        self.shared = MemoryEngine(images=SPEC.images)

    def make_runtime(self, installation: str) -> Runtime:
        return self.kind(installation, engine=self.shared)

    def spec(self) -> ContainerSpec:
        return SPEC

    def file(self, runtime: Runtime, instance_id: str, path: str) -> bytes | None:
        assert isinstance(runtime, MemoryRuntime)
        return runtime.file(instance_id, path)


PROMISES = sorted(
    name for name, _ in inspect.getmembers(RuntimeContract, inspect.isfunction) if name.startswith("test_")
)


def examine(kind: type[MemoryRuntime], promise: str) -> None:
    """Run one test of the suite on a class of runtimes."""
    contract = Contract()
    contract.kind = kind
    test = getattr(contract, promise)
    stages = {name: Stage(contract.make_runtime(name)) for name in ("stage", "neighbour")}
    test(**{name: stages[name] for name in inspect.signature(test).parameters})


@pytest.mark.parametrize("promise", PROMISES)
def test_a_runtime_that_keeps_the_contract_passes(promise: str) -> None:
    examine(MemoryRuntime, promise)


class Nameless(MemoryRuntime):
    def ping(self) -> EngineInfo:
        return EngineInfo("", "")


class OwesMemory(MemoryRuntime):
    def room(self) -> Room:
        return Room(memory_bytes=-1)


class Restless(MemoryRuntime):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.profile = uuid.uuid4().hex


class HasEverything(MemoryRuntime):
    def has_image(self, images: tuple[str, ...]) -> bool:
        return True


class LooksAtTheFirstImageOnly(MemoryRuntime):
    def has_image(self, images: tuple[str, ...]) -> bool:
        return super().has_image(images[:1])


class StartsWhenCreating(MemoryRuntime):
    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        made = super().create(instance_id, host_port, spec)
        self.start(made, instance_id, spec)
        return made


class MakesAnotherOne(MemoryRuntime):
    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        with self.engine.lock:
            self.engine.containers.pop(instance_id, None)
            return super().create(instance_id, host_port, spec)


class PullsNothing(MemoryRuntime):
    def pull(self, image: str) -> None:
        pass


class AdoptsStrangers(MemoryRuntime):
    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        holder = self.engine.containers.get(instance_id)
        return holder.id if holder else super().create(instance_id, host_port, spec)


class HidesItsPort(MemoryRuntime):
    def observe(self, instance_id: str) -> Observation:
        seen = super().observe(instance_id)
        return Observation(seen.state, seen.container_id, None)


class StartsOnce(MemoryRuntime):
    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        if self.observe(instance_id).state is ContainerState.RUNNING:
            raise RuntimeFailure("It runs already.")
        super().start(container_id, instance_id, spec)


class StartsNothing(MemoryRuntime):
    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        if self._find(container_id):
            super().start(container_id, instance_id, spec)


class SharesPorts(MemoryRuntime):
    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        self.engine.holds = lambda host_port: False  # type: ignore[method-assign]
        super().start(container_id, instance_id, spec)


class RemovesWhenStopping(MemoryRuntime):
    def stop(self, container_id: str, timeout: float) -> None:
        self.remove(container_id)


class StopsOnlyWhatRuns(MemoryRuntime):
    def stop(self, container_id: str, timeout: float) -> None:
        if self._find(container_id) is None:
            raise RuntimeFailure("There is no such container.")
        super().stop(container_id, timeout)


class RemovesOnlyWhatIsThere(MemoryRuntime):
    def remove(self, container_id: str) -> None:
        if self._find(container_id) is None:
            raise RuntimeFailure("There is no such container.")
        super().remove(container_id)


class RaisesForNothing(MemoryRuntime):
    def observe(self, instance_id: str) -> Observation:
        if self._of(instance_id) is None:
            raise RuntimeFailure("There is no such container.")
        return super().observe(instance_id)


class SeesOnlyWhatRuns(MemoryRuntime):
    def observe_all(self) -> Mapping[str, Observation]:
        return {name: seen for name, seen in super().observe_all().items() if seen.state is ContainerState.RUNNING}


class TouchesStrangers(MemoryRuntime):
    def _find(self, container_id: str) -> Any:
        return next((each for each in self.engine.containers.values() if each.id == container_id), None)


class TellsEverything(MemoryRuntime):
    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        return super().logs(container_id, 1000)


class ForgetsLogs(MemoryRuntime):
    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        container = self._find(container_id)
        if container and container.state is ContainerState.EXITED:
            raise NoContainer
        return super().logs(container_id, tail, since)


class LogsOfNothing(MemoryRuntime):
    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        return super().logs(container_id, tail, since) if self._find(container_id) else ""


class TellsOfStrangers(MemoryRuntime):
    def events(self) -> Iterator[str]:
        return (f"not-{each}" if each else each for each in super().events())


class DiscardsOnlyWhatIsThere(MemoryRuntime):
    def discard(self, instance_id: str) -> None:
        del self.engine.secrets[self._installation, instance_id]


class RemovesVolumesToo(MemoryRuntime):
    def remove(self, container_id: str) -> None:
        container = self._find(container_id)
        super().remove(container_id)
        if container:
            self.discard(container.instance_id)


class OverlooksVolumes(MemoryRuntime):
    def holdings(self) -> Collection[Holding]:
        return [each for each in super().holdings() if each.container_id]


class SeedsNothing(MemoryRuntime):
    def _seed(self, instance_id: str, spec: ContainerSpec) -> dict[str, bytes]:
        return {}


class KeepsOldSecrets(MemoryRuntime):
    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        old = self.engine.secrets.get((self._installation, instance_id))
        super().start(container_id, instance_id, spec)
        if old:
            self.engine.secrets[self._installation, instance_id] = old


BROKEN: dict[str, type[MemoryRuntime]] = {
    "test_ping_names_the_engine": Nameless,
    "test_it_says_what_is_left_on_its_computer": OwesMemory,
    "test_its_profile_is_the_same_each_time": Restless,
    "test_it_knows_which_images_are_here": HasEverything,
    "test_create_makes_a_container_that_does_not_run_yet": StartsWhenCreating,
    "test_create_twice_adopts_the_first": MakesAnotherOne,
    "test_create_at_the_same_time_makes_one": MakesAnotherOne,
    "test_create_without_an_image_says_so_and_leaves_nothing": HasEverything,
    "test_create_takes_the_first_image_that_is_here": LooksAtTheFirstImageOnly,
    "test_an_image_that_cannot_be_had_is_unavailable": PullsNothing,
    "test_a_name_that_somebody_else_holds_is_taken": AdoptsStrangers,
    "test_a_started_container_becomes_ready": HidesItsPort,
    "test_start_twice_is_fine": StartsOnce,
    "test_start_of_nothing_is_a_failure": StartsNothing,
    "test_a_port_that_somebody_holds_is_taken": SharesPorts,
    "test_stop_ends_it_and_start_brings_the_same_one_back": RemovesWhenStopping,
    "test_stop_of_what_does_not_run_is_fine": StopsOnlyWhatRuns,
    "test_remove_takes_it_away_running_or_not": RemovesOnlyWhatIsThere,
    "test_nothing_is_seen_of_an_unknown_instance": RaisesForNothing,
    "test_observe_all_sees_ours_and_only_ours": SeesOnlyWhatRuns,
    "test_what_happens_to_a_container_is_told": TellsOfStrangers,
    "test_what_is_not_ours_is_never_touched": TouchesStrangers,
    "test_logs_are_the_last_lines": TellsEverything,
    "test_logs_stay_readable_after_the_end": ForgetsLogs,
    "test_logs_of_nothing_say_so": LogsOfNothing,
    "test_discard_is_always_fine": DiscardsOnlyWhatIsThere,
    "test_a_volume_outlives_its_container_until_it_is_discarded": RemovesVolumesToo,
    "test_what_there_is_of_an_instance_is_told_until_it_is_discarded": OverlooksVolumes,
    "test_a_file_is_seeded_into_the_container_itself": SeedsNothing,
    "test_secret_files_are_written_before_every_start": KeepsOldSecrets,
}


@pytest.mark.parametrize("promise", PROMISES)
def test_a_runtime_that_breaks_a_promise_is_caught(promise: str) -> None:
    assert promise in BROKEN, "a new promise needs a runtime that breaks it"
    with pytest.raises((Exception, pytest.fail.Exception)):
        examine(BROKEN[promise], promise)


def test_an_author_is_told_what_to_implement() -> None:
    for call in (RuntimeContract().spec, lambda: RuntimeContract().make_runtime("home")):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(NotImplementedError):
        RuntimeContract().file(MemoryRuntime(), "one", "/")


class TestAsAnAuthorUsesIt(RuntimeContract):
    """Collected by pytest like any test class; its fixtures clear away what was made."""

    @pytest.fixture(autouse=True)
    def engine(self) -> Iterator[None]:
        self.shared = MemoryEngine(images=SPEC.images)
        yield
        assert not self.shared.containers
        assert not self.shared.volumes

    def make_runtime(self, installation: str) -> Runtime:
        return MemoryRuntime(installation, engine=self.shared)

    def spec(self) -> ContainerSpec:
        return SPEC

    def file(self, runtime: Runtime, instance_id: str, path: str) -> bytes | None:
        assert isinstance(runtime, MemoryRuntime)
        return runtime.file(instance_id, path)
