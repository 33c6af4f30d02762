"""What containers do by themselves, and what an operator does to them on the server."""

from collections.abc import Callable
from dataclasses import replace

from clawdeploy.core.contracts import ContainerState, Secret, SecretFile
from clawdeploy.core.errors import PortTaken
from clawdeploy.core.steps import FAILED_OPERATIONS
from clawdeploy.plugins.memory_runtime.engine import ALIVE
from tests.core.machine.world import World

Happening = Callable[[World, str], None]

EXITED, RUNNING = ContainerState.EXITED, ContainerState.RUNNING
PAUSED, RESTARTING = ContainerState.PAUSED, ContainerState.RESTARTING


def happen(world: World, instance_id: str, name: str) -> None:
    """Let something happen to an instance's container, if there is one that it can happen to."""
    container = world.memory.engine.containers.get(instance_id)
    states, happening = HAPPENINGS[name]
    if container is None or container.state not in states:
        return
    happening(world, instance_id)
    facts = world.facts[instance_id]
    row = world.rows().get(instance_id)
    settled = row is not None and row.operation is None and row.retry_at is None and row.reason not in FAILED_OPERATIONS
    # In an operation, after one that failed, and of a bot that fails, the product rightly does what it thinks best.
    facts.left_alone = settled and name in FINAL and not (world.plan.nested or facts.mute or facts.sick)


def _ends(by: str, exit_code: int, out_of_memory: bool = False) -> Happening:
    def happening(world: World, instance_id: str) -> None:
        world.memory.crash(instance_id, exit_code, out_of_memory)
        world.facts[instance_id].ended_by = by

    return happening


def _restarts(times: int, out_of_memory: bool = False) -> Happening:
    def happening(world: World, instance_id: str) -> None:
        count = world.memory.engine.containers[instance_id].restart_count
        world.memory.loop(instance_id, count + times, 137 if out_of_memory else 1, out_of_memory)
        world.begins_anew(instance_id)

    return happening


def _comes_up(world: World, instance_id: str) -> None:
    if not world.facts[instance_id].sick:
        container = world.memory.engine.containers[instance_id]
        container.state, container.started_at = RUNNING, world.clock()


def _start(world: World, instance_id: str) -> None:
    container = world.memory.engine.containers[instance_id]
    # Who starts it on the server writes no secrets: it has those that are there, and not those that it was made with.
    there = [(file.path, world.memory.file(instance_id, file.path) or b"") for file in container.spec.secret_files]
    as_it_is = replace(container.spec, secret_files=tuple(SecretFile(path, Secret(it.decode())) for path, it in there))
    try:
        world.memory.start(container.id, instance_id, as_it_is)
    except PortTaken:
        return
    world.started(instance_id, "hand")


def _becomes(state: ContainerState) -> Happening:
    def happening(world: World, instance_id: str) -> None:
        world.memory.engine.containers[instance_id].state = state

    return happening


def _vanish(world: World, instance_id: str) -> None:
    row, facts = world.rows().get(instance_id), world.facts[instance_id]
    world.memory.vanish(instance_id)
    facts.vanished, facts.unheard_of = True, row is None or row.container_id is None


def _sickens(world: World, instance_id: str) -> None:
    world.facts[instance_id].sick = True
    _restarts(3)(world, instance_id)


def _becomes_mute(world: World, instance_id: str) -> None:
    world.facts[instance_id].mute = True


def _speaks(world: World, instance_id: str) -> None:
    world.facts[instance_id].mute = False


def _heals(world: World, instance_id: str) -> None:
    world.facts[instance_id].sick = False


ANY = tuple(ContainerState)
HAPPENINGS: dict[str, tuple[tuple[ContainerState, ...], Happening]] = {
    "ends with 3": (ALIVE, _ends("crash", 3)),
    "ends with 137": (ALIVE, _ends("hand", 137)),
    "ends with 0": (ALIVE, _ends("hand", 0)),
    "runs out of memory": (ALIVE, _ends("memory", 137, True)),
    "restarts": (ALIVE, _restarts(1)),
    "restarts again and again": (ALIVE, _restarts(3)),
    "runs out of memory again and again": (ALIVE, _restarts(4, True)),
    "comes up": ((RESTARTING,), _comes_up),
    "is started": ((EXITED, ContainerState.CREATED), _start),
    "is paused": ((RUNNING,), _becomes(PAUSED)),
    "is resumed": ((PAUSED,), _becomes(RUNNING)),
    "is removed": (ANY, _vanish),
    "becomes mute": (ANY, _becomes_mute),
    "speaks": (ANY, _speaks),
    "sickens": (ALIVE, _sickens),
    "heals": (ANY, _heals),
}

FINAL = ("ends with 3", "ends with 137", "ends with 0", "runs out of memory", "is started", "is paused", "is removed")
"""After these the product leaves the container as it is, unless its owner asks for something."""
