"""What can happen to containers in memory: what a container, an engine or an operator would do. For tests."""

from clawdeploy.core.contracts import ContainerState
from clawdeploy.plugins.memory_runtime.engine import ALIVE, MemoryContainer, MemoryEngine


class Happenings:
    """Lets things happen to the containers of one installation."""

    def __init__(self, engine: MemoryEngine, installation: str) -> None:
        self.engine = engine
        self._installation = installation

    def crash(self, instance_id: str, exit_code: int = 1, out_of_memory: bool = False) -> None:
        """End the instance's container as if its process had failed, for good."""
        with self.engine.lock:
            container = self._must_have(instance_id)
            container.state, container.exit_code = ContainerState.EXITED, exit_code
            container.out_of_memory = out_of_memory
            self.engine.tell(container)

    def loop(self, instance_id: str, restart_count: int, exit_code: int = 1, out_of_memory: bool = False) -> None:
        """Show the instance's container as restarted by the engine so many times, and about to be once more."""
        with self.engine.lock:
            container = self._must_have(instance_id)
            container.state, container.exit_code = ContainerState.RESTARTING, exit_code
            container.restart_count, container.out_of_memory = restart_count, out_of_memory
            # However long it had run before, none of these restarts is long ago.
            container.started_at = None
            self.engine.tell(container)

    def mend(self, instance_id: str) -> None:
        """Let the engine have started the instance's container again, and show no more of how that had ended."""
        with self.engine.lock:
            container = self._must_have(instance_id)
            container.state, container.started_at = ContainerState.RUNNING, self.engine.clock()
            container.exit_code, container.out_of_memory = None, False
            self.engine.tell(container)

    def end_with_engine(self, error: str = "") -> None:
        """Do what an engine does that was killed: when it starts again, it ends all that still runs.

        With an ``error`` it ended in good order long before, and could not bring back what ran.
        """
        with self.engine.lock:
            for container in self.engine.containers.values():
                if container.state in ALIVE:
                    container.state, container.exit_code = ContainerState.EXITED, 127 if error else 0
                    container.ended_with_engine, container.engine_error = not error, error
                    self.engine.tell(container)

    def vanish(self, instance_id: str) -> None:
        """Remove the instance's container behind our back."""
        with self.engine.lock:
            self.engine.take_away(self._must_have(instance_id))

    def copy(self, instance_id: str) -> str:
        """Make a second container of the instance, as somebody might by hand, and return its id."""
        with self.engine.lock:
            return self.engine.copy(self._must_have(instance_id))

    def write(self, instance_id: str, line: str) -> None:
        """Let the instance's container write a line to its log."""
        with self.engine.lock:
            self._must_have(instance_id).write(line, self.engine.clock())

    def file(self, instance_id: str, path: str) -> bytes | None:
        """Return what the instance's container finds at a path."""
        with self.engine.lock:
            places = [self.engine.secrets.get((self._installation, instance_id), {})]
            places += [files for key, files in self.engine.volumes.items() if key[1] == instance_id]
            places.append(self._must_have(instance_id).files)
            return next((files[path] for files in places if path in files), None)

    def _of(self, instance_id: str) -> MemoryContainer | None:
        container = self.engine.containers.get(instance_id)
        return container if container and container.installation == self._installation else None

    def _must_have(self, instance_id: str) -> MemoryContainer:
        container = self._of(instance_id)
        if container is None:
            raise KeyError(instance_id)
        return container
