"""What a container should be (``ContainerSpec``) and what it was seen to be (``Observation``)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from clawdeploy.core.contracts.secret import Secret


@dataclass(frozen=True)
class Limits:
    """What one container may use: bytes of memory (swap included), CPUs, processes."""

    memory_bytes: int
    cpus: float
    pids: int


@dataclass(frozen=True)
class Volume:
    """A named volume of one instance, mounted at ``path``; it outlives the container.

    ``name`` is short ("data"); the runtime adds what makes it unique.
    """

    name: str
    path: str


@dataclass(frozen=True)
class SeededFile:
    """A file written into the container once, before its first start, and never again.

    ``path`` is absolute inside the container and may lie in a volume.
    """

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class SecretFile:
    """A file that holds a secret: read-only in the container, in memory only on the host.

    ``path`` is absolute inside the container. It is written again before every start.
    """

    path: str
    content: Secret


@dataclass(frozen=True)
class Probe:
    """When a container counts as ready: ``GET path`` on its port answers with ``2xx`` or ``3xx``.

    ``deadline`` is how many seconds after its start it may take, ``timeout`` how many seconds
    one attempt may take.
    """

    path: str = "/"
    deadline: float = 30.0
    timeout: float = 2.0


NOBODY = "65534:65534"
"""The user and group to whom nothing belongs, by their numbers: an image may have no names for them."""


@dataclass(frozen=True)
class ContainerSpec:
    """Everything a runtime needs to make one container, except whose it is and its host port.

    ``images`` are names of images that serve, best first: the first that is on the host is
    used, and when none is, the first one is pulled. ``stop_timeout`` is how many seconds the
    process may take to end after it was asked to. ``capabilities`` are the only ones it keeps.

    Who says nothing gets what is safe: a file system that cannot be written but for volumes and ``tmpfs``, and a
    ``user`` to whom nothing belongs. ``user=None`` is the image's own, often root.
    """

    images: tuple[str, ...]
    container_port: int
    limits: Limits
    probe: Probe = Probe()
    stop_timeout: float = 10.0
    command: tuple[str, ...] | None = None
    working_directory: str | None = None
    user: str | None = NOBODY
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    seeded_files: tuple[SeededFile, ...] = ()
    secret_files: tuple[SecretFile, ...] = ()
    capabilities: tuple[str, ...] = ()
    read_only: bool = True
    tmpfs: tuple[str, ...] = ()

    @property
    def fixed(self) -> str:
        """Identify what an engine fixes when it makes the container, as a hash: two that differ need two containers.

        Not in it is what each start brings anew (the content of secret files), what is written once (seeded files),
        and the images, so that a bot keeps running on its own while a new one has yet to be downloaded.
        """
        paths = tuple(file.path for file in self.secret_files)
        environment = tuple(sorted(self.environment.items()))
        said = replace(self, images=(), probe=Probe(), seeded_files=(), secret_files=(), environment={})
        return hashlib.sha256(repr((said, environment, paths)).encode(errors="backslashreplace")).hexdigest()


class ContainerState(StrEnum):
    """What the engine says about a container, in the engine's own words."""

    MISSING = "missing"
    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


@dataclass(frozen=True)
class Observation:
    """What the runtime saw of one instance's container at one moment.

    A missing container is an observation, not an exception. ``exit_code``, ``out_of_memory``,
    ``restart_count``, ``engine_error`` and what follows it are filled by ``Runtime.observe`` and left at their
    defaults by ``Runtime.observe_all``, which is one engine call for all containers. ``engine_error`` is why the
    engine could not start it when it last tried. ``ended_with_engine``: it has ended because the engine did, or while
    that started, and by nobody's hand. ``ended_by_hand``: it has ended, and the engine was told not
    to start it again, which it would have done. ``memory_bytes`` is its limit.
    ``unhealthy`` is the verdict of a health check that the engine carries out, and ``host_address`` the address that
    ``host_port`` is bound to, empty when it is not known; both calls fill them.
    """

    state: ContainerState
    container_id: str | None = None
    host_port: int | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    restart_count: int = 0
    started_at: datetime | None = None
    engine_error: str = ""
    ended_with_engine: bool = False
    ended_by_hand: bool = False
    memory_bytes: int | None = None
    unhealthy: bool = False
    host_address: str = ""


MISSING = Observation(ContainerState.MISSING)
