"""The memory runtime itself."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from queue import Empty, SimpleQueue

from clawdeploy.core.contracts import (
    MISSING,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    Holding,
    Observation,
    Probe,
    Room,
)
from clawdeploy.core.errors import ImageMissing, ImageUnavailable, NameTaken, NoContainer, PortTaken, RuntimeFailure
from clawdeploy.plugins.memory_runtime.engine import ALIVE, MemoryContainer, MemoryEngine
from clawdeploy.plugins.memory_runtime.happenings import Happenings

SILENCE_SECONDS = 5.0


class MemoryRuntime(Happenings):
    """A runtime without an engine. Nothing runs, but every promise of the contract is kept.

    ``ready`` says whether running containers pass their probe.
    """

    name = "memory"
    profile = ""

    def __init__(
        self,
        installation: str = "test",
        images: Collection[str] | None = None,
        registry: Collection[str] = (),
        engine: MemoryEngine | None = None,
    ) -> None:
        super().__init__(engine or MemoryEngine(images, registry), installation)
        self.ready = True

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        """See ``Runtime.create``."""
        with self.engine.lock:
            holder = self.engine.containers.get(instance_id)
            if holder and holder.installation != self._installation:
                raise NameTaken(f"A container that is not ours is called clawdeploy-{instance_id}.")
            if spec.secret_files:
                # As for Docker, which wants to see the files that it will mount.
                self._give_secrets(instance_id, spec)
            if holder:
                return holder.id
            if not self.has_image(spec.images):
                raise ImageMissing(f"The image {spec.images[0]} is not on this server yet.")
            files = self._seed(instance_id, spec)
            made = MemoryContainer(uuid.uuid4().hex * 2, self._installation, instance_id, host_port, spec, files)
            self.engine.containers[instance_id] = made
            self.engine.tell(made)
            return made.id

    def _give_secrets(self, instance_id: str, spec: ContainerSpec) -> None:
        files = {file.path: file.content.reveal().encode() for file in spec.secret_files}
        self.engine.secrets[self._installation, instance_id] = files
        self.engine.made_at[self._installation, instance_id] = self.engine.clock()

    def _seed(self, instance_id: str, spec: ContainerSpec) -> dict[str, bytes]:
        """Put seeded files into new volumes and into the container's own files, which are returned."""
        own = {file.path: file.content for file in spec.seeded_files}
        for volume in spec.volumes:
            inside = {path: own.pop(path) for path in list(own) if path.startswith(f"{volume.path}/")}
            key = (self._installation, instance_id, volume.path)
            self.engine.volumes.setdefault(key, inside)
            self.engine.made_at.setdefault(key, self.engine.clock())
        return own

    def pull(self, image: str) -> None:
        """See ``Runtime.pull``."""
        with self.engine.lock:
            if self.engine.has(image):
                return
            if self.engine.images is None or image not in self.engine.registry:
                raise ImageUnavailable(f"There is no image {image} that could be downloaded.")
            self.engine.images.add(image)

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        """See ``Runtime.start``."""
        with self.engine.lock:
            container = self._find(container_id)
            if container is None:
                raise RuntimeFailure("The container to start is not there any more.")
            self._give_secrets(instance_id, spec)
            if container.state not in ALIVE:
                if self.engine.holds(container.host_port):
                    raise PortTaken(f"Port {container.host_port} was in use by another program.")
                container.exit_code, container.out_of_memory, container.restart_count = None, False, 0
                container.started_at = self.engine.clock()
                container.write("started", container.started_at)
            container.state = ContainerState.RUNNING
            container.ended_with_engine, container.engine_error = False, ""
            self.engine.tell(container)

    def stop(self, container_id: str, timeout: float) -> None:  # noqa: ARG002 -- nothing here takes time to end
        """See ``Runtime.stop``."""
        with self.engine.lock:
            container = self._find(container_id)
            if container and container.state in ALIVE:
                container.state, container.exit_code = ContainerState.EXITED, 0
                container.write("stopped", self.engine.clock())
                self.engine.tell(container)

    def remove(self, container_id: str) -> None:
        """See ``Runtime.remove``."""
        with self.engine.lock:
            container = self._find(container_id)
            if container:
                self.engine.take_away(container)

    def discard(self, instance_id: str) -> None:
        """See ``Runtime.discard``."""
        with self.engine.lock:
            self.engine.secrets.pop((self._installation, instance_id), None)
            self.engine.made_at.pop((self._installation, instance_id), None)
            for key in [key for key in self.engine.volumes if key[:2] == (self._installation, instance_id)]:
                del self.engine.volumes[key]
                del self.engine.made_at[key]

    def observe(self, instance_id: str) -> Observation:
        """See ``Runtime.observe``."""
        with self.engine.lock:
            container = self._of(instance_id)
            return container.observation() if container else MISSING

    def observe_all(self) -> Mapping[str, Observation]:
        """See ``Runtime.observe_all``."""
        with self.engine.lock:
            ours = [each for each in self.engine.containers.items() if each[1].installation == self._installation]
            # The one that bears the instance's name comes last, and wins.
            ours.sort(key=lambda each: each[0] == each[1].instance_id)
            return {each.instance_id: Observation(each.state, each.id, each.host_port) for _, each in ours}

    def holdings(self) -> Collection[Holding]:
        """See ``Runtime.holdings``."""
        return self.engine.holdings(self._installation)

    def events(self) -> Iterator[str]:
        """See ``Runtime.events``."""
        heard: SimpleQueue[tuple[str, str]] = SimpleQueue()
        with self.engine.lock:
            self.engine.listeners.add(heard)
        try:
            yield ""
            while True:
                installation, instance_id = heard.get(timeout=SILENCE_SECONDS)
                if installation == self._installation:
                    yield instance_id
        except Empty:
            return
        finally:
            with self.engine.lock:
                self.engine.listeners.discard(heard)

    def probe(self, observation: Observation, probe: Probe) -> bool:  # noqa: ARG002 -- there is nothing to ask
        """See ``Runtime.probe``."""
        with self.engine.lock:
            # It may have ended since it was observed.
            container = self._find(observation.container_id or "")
            runs = container is not None and container.state is observation.state is ContainerState.RUNNING
        return self.ready and runs

    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        """See ``Runtime.logs``."""
        with self.engine.lock:
            container = self._find(container_id)
            if container is None:
                raise NoContainer()
            lines = [line for at, line in container.lines if since is None or at >= since]
            return "".join(f"{line}\n" for line in lines[-max(1, tail) :])

    def ping(self) -> EngineInfo:
        """See ``Runtime.ping``."""
        return EngineInfo("Memory", "this process")

    def room(self) -> Room:
        """See ``Runtime.room``."""
        return self.engine.room

    def has_image(self, images: tuple[str, ...]) -> bool:
        """See ``Runtime.has_image``."""
        return any(self.engine.has(image) for image in images)

    def close(self) -> None:
        """See ``Runtime.close``."""

    def _find(self, container_id: str) -> MemoryContainer | None:
        ours = (each for each in self.engine.containers.values() if each.installation == self._installation)
        return next((each for each in ours if each.id == container_id), None)
