"""Each call to the engine goes wrong once, in each way, while a bot is brought up or held back: it ends up the same."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Status
from clawdeploy.core.errors import EngineError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.surroundings import OWNER, Clock, Surroundings, made

pytestmark = pytest.mark.exhaustive

PATIENCE = 20
MOST_CALLS = 40
LONGEST_PAUSE = 301


@dataclass(frozen=True)
class Effect:
    """How a call goes wrong: with which error, and whether the engine has done what it was asked for."""

    error: type[EngineError]
    done: bool


EFFECTS = {
    "not heard": Effect(RuntimeUnavailable, done=False),
    "answer lost": Effect(RuntimeUnavailable, done=True),
    "refused": Effect(RuntimeFailure, done=False),
    "done and called a failure": Effect(RuntimeFailure, done=True),
}


class GoesWrong(WrappedRuntime):
    """An engine that does one call wrong, counted from 1, and whose bot ends again and again while it is ``sick``."""

    def __init__(self, memory: MemoryRuntime, effect: Effect) -> None:
        super().__init__(memory)
        self.memory = memory
        self.effect = effect
        self.sick = False
        self.at = 0
        self.calls = 0

    def arm(self, at: int) -> None:
        """Let the call that has this number from now on go wrong; none has the number 0."""
        self.at, self.calls = at, 0

    def before(self, call: str) -> None:
        self.calls += 1
        if self.calls == self.at and not self.effect.done:
            raise self.effect.error

    def after(self, call: str) -> None:
        if self.calls == self.at and self.effect.done:
            raise self.effect.error

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        self.before("start")
        self.memory.start(container_id, instance_id, spec)
        if self.sick:
            self.memory.loop(instance_id, 3)
        self.after("start")


@dataclass(frozen=True)
class Scene:
    """A platform on such an engine."""

    engine: GoesWrong
    platform: Platform
    clock: Clock

    def sync(self) -> None:
        self.platform.reconciler.sync(patience=PATIENCE)

    def sickens(self, instance_id: str) -> None:
        self.engine.sick = True
        self.engine.memory.loop(instance_id, 3)

    def is_held_back(self, instance_id: str) -> None:
        self.sickens(instance_id)
        self.sync()
        self.clock.advance(seconds=10)


def _runs(scene: Scene, instance_id: str) -> None:
    pass


def _stopped(scene: Scene, instance_id: str) -> None:
    scene.platform.instances.stop(OWNER, instance_id)


def _stopped_and_sick(scene: Scene, instance_id: str) -> None:
    _stopped(scene, instance_id)
    scene.engine.sick = True


def _held_back_and_well(scene: Scene, instance_id: str) -> None:
    scene.is_held_back(instance_id)
    scene.engine.sick = False


def _ended_with_engine(scene: Scene, instance_id: str) -> None:
    scene.engine.memory.end_with_engine()


def _start(scene: Scene, instance_id: str) -> None:
    scene.platform.instances.start(OWNER, instance_id)


def _replaced(scene: Scene, instance_id: str) -> None:
    scene.platform.instances.patch(OWNER, instance_id, {"apiKey": "sk-2"})


def _sync(scene: Scene, instance_id: str) -> None:
    scene.sync()


Do = Callable[[Scene, str], None]
STORIES: dict[str, tuple[Do, Do]] = {
    "a start": (_stopped, _start),
    "a start that ends in a loop": (_stopped_and_sick, _start),
    "a loop is found": (Scene.sickens, _sync),
    "it is brought back": (_held_back_and_well, _sync),
    "it is brought back in vain": (Scene.is_held_back, _sync),
    "it ended with its engine": (_ended_with_engine, _sync),
    "a secret is replaced": (_runs, _replaced),
    "a secret is replaced in a loop": (_held_back_and_well, _replaced),
}
"""How a bot that ran comes to be as it is, and what happens then while a call goes wrong."""


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("story", STORIES)
def test_whichever_call_goes_wrong(surroundings: Surroundings, story: str, effect: str) -> None:
    comes_about, happens = STORIES[story]
    for number in range(1, MOST_CALLS):
        clock, engine = Clock(), GoesWrong(surroundings.memory, EFFECTS[effect])
        scene = Scene(engine, surroundings.open(engine, clock=clock), clock)
        instance_id = made(scene.platform)
        comes_about(scene, instance_id)
        engine.arm(number)
        with suppress(EngineError):
            happens(scene, instance_id)
        made_fewer_calls = engine.calls < number
        engine.arm(0)
        _is_well(scene, instance_id, refused=EFFECTS[effect].error is RuntimeFailure, at=f"{story}, call {number}")
        if scene.engine.memory.observe(instance_id).state is ContainerState.RUNNING:
            assert not surroundings.row(instance_id).secrets_unread, f"{story}, call {number}"
        scene.platform.instances.delete(OWNER, instance_id)
        scene.platform.close()
        if made_fewer_calls:
            return
    pytest.fail(f"It takes more than {MOST_CALLS} calls.")


def _is_well(scene: Scene, instance_id: str, *, refused: bool, at: str) -> None:
    """Look whether it runs, or is held back while it is sick and runs when it is well; or what was refused is told."""
    scene.sync()
    scene.sync()
    shown = scene.platform.instances.get(OWNER, instance_id)
    said = (shown.status, shown.reason, shown.operation)
    if refused and said == (Status.ERROR, "runtime_failure", None):
        if scene.engine.memory.observe(instance_id).state is not ContainerState.RUNNING:
            return
        # Still with the secrets that it had: that was not all.
        scene.clock.advance(seconds=LONGEST_PAUSE)
        scene.sync()
        shown = scene.platform.instances.get(OWNER, instance_id)
    if scene.engine.sick:
        assert said == (Status.ERROR, "crash_loop", None), at
        assert scene.engine.memory.observe(instance_id).state is ContainerState.EXITED, at
        scene.engine.sick = False
        scene.clock.advance(seconds=LONGEST_PAUSE)
        scene.sync()
        shown = scene.platform.instances.get(OWNER, instance_id)
    assert shown.status == Status.RUNNING, (at, said, shown)
    assert scene.engine.memory.observe(instance_id).state is ContainerState.RUNNING, at
