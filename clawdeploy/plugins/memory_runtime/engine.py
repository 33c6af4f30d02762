"""What the memory runtimes of several installations share: containers, volumes, images and host ports."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import RLock

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Holding, Observation, Room

ALIVE = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)


@dataclass
class MemoryContainer:
    """One container as it is now."""

    id: str
    installation: str
    instance_id: str
    host_port: int
    spec: ContainerSpec
    files: dict[str, bytes]
    state: ContainerState = ContainerState.CREATED
    exit_code: int | None = None
    out_of_memory: bool = False
    restart_count: int = 0
    ended_with_engine: bool = False
    engine_error: str = ""
    started_at: datetime | None = None
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    lines: list[tuple[datetime, str]] = field(default_factory=list)

    def write(self, line: str, at: datetime) -> None:
        """Add a line to the log."""
        self.lines.append((at, line))

    def observation(self) -> Observation:
        """Return everything there is to see of it."""
        return Observation(
            self.state,
            self.id,
            self.host_port,
            exit_code=self.exit_code,
            out_of_memory=self.out_of_memory,
            restart_count=self.restart_count,
            started_at=self.started_at,
            ended_with_engine=self.ended_with_engine,
            engine_error=self.engine_error,
            memory_bytes=self.spec.limits.memory_bytes,
        )


class MemoryEngine:
    """What the runtimes of several installations share, as they would share one Docker Engine.

    ``images`` are the images on the host, ``None`` for every image there is; ``registry`` are
    those that can be pulled; ``foreign_ports`` are host ports that other programs hold. ``containers`` are kept by
    name, which is the instance's id unless somebody made a second one by hand; ``made_at`` holds when volumes and
    secrets were made, by the keys that these have.
    ``room`` is what it says is left, which nothing here uses up. ``clock`` is the engine's.
    """

    def __init__(
        self,
        images: Collection[str] | None = None,
        registry: Collection[str] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.clock = clock
        self.images = None if images is None else set(images)
        self.registry = set(registry)
        self.foreign_ports: set[int] = set()
        self.room = Room()
        self.lock = RLock()
        self.listeners: set[SimpleQueue[tuple[str, str]]] = set()
        self.containers: dict[str, MemoryContainer] = {}
        self.volumes: dict[tuple[str, str, str], dict[str, bytes]] = {}
        self.secrets: dict[tuple[str, str], dict[str, bytes]] = {}
        self.made_at: dict[tuple[str, ...], datetime] = {}

    def has(self, image: str) -> bool:
        """Say whether an image is on the host."""
        return self.images is None or image in self.images

    def tell(self, container: MemoryContainer) -> None:
        """Tell whoever listens that something happened to a container."""
        with self.lock:
            for listener in self.listeners:
                listener.put((container.installation, container.instance_id))

    def copy(self, container: MemoryContainer) -> str:
        """Make a second container with the same labels and return its id."""
        with self.lock:
            second = replace(container, id=uuid.uuid4().hex * 2, made_at=datetime.now(UTC), lines=[])
            self.containers[f"copy of {container.instance_id}"] = second
            self.tell(second)
            return second.id

    def take_away(self, container: MemoryContainer) -> None:
        """Remove a container, and tell of it."""
        with self.lock:
            del self.containers[next(name for name, each in self.containers.items() if each is container)]
            self.tell(container)

    def holdings(self, installation: str) -> list[Holding]:
        """Return everything that there is of an installation."""
        with self.lock:
            found = [
                Holding(each.instance_id, "container", name, each.made_at, each.id)
                for name, each in self.containers.items()
                if each.installation == installation
            ]
            volumes = [key for key in self.volumes if key[0] == installation]
            found += [Holding(key[1], "volume", key[2], self.made_at.get(key)) for key in volumes]
            secrets = [key for key in self.secrets if key[0] == installation]
            return found + [Holding(key[1], "secret files", "", self.made_at.get(key)) for key in secrets]

    def holds(self, host_port: int) -> bool:
        """Say whether somebody listens on a host port."""
        with self.lock:
            listening = (each.host_port for each in self.containers.values() if each.state in ALIVE)
            return host_port in self.foreign_ports or host_port in listening
