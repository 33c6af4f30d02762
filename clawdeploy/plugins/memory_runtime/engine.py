"""What the memory runtimes of several installations share: containers, volumes, images and host ports."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import RLock

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Observation

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
    started_at: datetime | None = None
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
            memory_bytes=self.spec.limits.memory_bytes,
        )


class MemoryEngine:
    """What the runtimes of several installations share, as they would share one Docker Engine.

    ``images`` are the images on the host, ``None`` for every image there is; ``registry`` are
    those that can be pulled; ``foreign_ports`` are host ports that other programs hold. ``clock`` is the engine's.
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
        self.lock = RLock()
        self.listeners: set[SimpleQueue[tuple[str, str]]] = set()
        self.containers: dict[str, MemoryContainer] = {}
        self.volumes: dict[tuple[str, str, str], dict[str, bytes]] = {}
        self.secrets: dict[tuple[str, str], dict[str, bytes]] = {}

    def has(self, image: str) -> bool:
        """Say whether an image is on the host."""
        return self.images is None or image in self.images

    def tell(self, container: MemoryContainer) -> None:
        """Tell whoever listens that something happened to a container."""
        with self.lock:
            for listener in self.listeners:
                listener.put((container.installation, container.instance_id))

    def holds(self, host_port: int) -> bool:
        """Say whether somebody listens on a host port."""
        with self.lock:
            listening = (each.host_port for each in self.containers.values() if each.state in ALIVE)
            return host_port in self.foreign_ports or host_port in listening
