"""Things that carry our labels and have no row, and when the database says that a server used it."""

from dataclasses import replace
from datetime import datetime, timedelta

from clawdeploy.core.contracts import ContainerSpec, Limits, Secret, SecretFile, Volume
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.surroundings import Surroundings

SPEC = ContainerSpec(images=("bot:1",), container_port=80, limits=Limits(2**20, 0.5, 10))
FURNISHED = replace(
    SPEC, volumes=(Volume("data", "/data"),), secret_files=(SecretFile("/run/secrets/key", Secret("sk-1")),)
)


def plant(memory: MemoryRuntime, instance_id: str, made_at: datetime, spec: ContainerSpec = FURNISHED) -> None:
    """Make a running container, and all that belongs to it, that no row speaks for."""
    container_id = memory.create(instance_id, 1024 + len(memory.engine.containers), spec)
    memory.start(container_id, instance_id, spec)
    memory.engine.containers[instance_id].made_at = made_at
    for key in memory.engine.made_at:
        if key[1] == instance_id:
            memory.engine.made_at[key] = made_at


def used(surroundings: Surroundings, begun: datetime, until: datetime) -> None:
    """Let the database say that a server used it."""
    with surroundings.looking().transaction():
        surroundings.rows.span.create(begun=begun, until=until)


def used_lately(surroundings: Surroundings, now: datetime) -> None:
    """Let the database say that a server has used it for an hour, until now."""
    used(surroundings, now - timedelta(hours=1), now)
