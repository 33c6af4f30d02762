"""Where a runtime test plays: unique ids, free ports, and everything cleared away afterwards."""

import socket
import time
import uuid
from collections.abc import Callable

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Observation, Runtime


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def eventually(condition: Callable[[], bool], within: float) -> bool:
    """Say whether the condition comes true within so many seconds.

    For what an engine gives no event about, such as a probe that passes.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Stage:
    """Makes containers on a runtime and removes all of them in :meth:`clear`."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._instance_ids: list[str] = []

    def instance_id(self) -> str:
        """Return a new unique instance id and remember it for the clearing."""
        made = f"test-{uuid.uuid4().hex[:16]}"
        self._instance_ids.append(made)
        return made

    def started(self, spec: ContainerSpec, host_port: int | None = None) -> tuple[str, str]:
        """Create and start a container; returns its instance id and the container's id."""
        instance_id = self.instance_id()
        container_id = self.runtime.create(instance_id, host_port or free_port(), spec)
        self.runtime.start(container_id, instance_id, spec)
        return instance_id, container_id

    def ready(self, spec: ContainerSpec, host_port: int | None = None) -> tuple[str, str]:
        """Like :meth:`started`, and its probe has passed."""
        instance_id, container_id = self.started(spec, host_port)
        assert eventually(lambda: self.probes(instance_id, spec), spec.probe.deadline), "never ready"
        return instance_id, container_id

    def probes(self, instance_id: str, spec: ContainerSpec) -> bool:
        """Say whether the instance's container passes its probe now."""
        return self.runtime.probe(self.runtime.observe(instance_id), spec.probe)

    def reaches(self, instance_id: str, state: ContainerState, within: float = 15.0) -> Observation:
        """Wait until the container is in a state and return what was seen then."""
        seen: list[Observation] = []

        def arrived() -> bool:
            seen.append(self.runtime.observe(instance_id))
            return seen[-1].state is state

        assert eventually(arrived, within), f"never {state}, but {seen[-1]}"
        return seen[-1]

    def clear(self) -> None:
        """Remove every container, volume and secret file that was made here."""
        for instance_id in self._instance_ids:
            seen = self.runtime.observe(instance_id)
            if seen.container_id:
                self.runtime.remove(seen.container_id)
            self.runtime.discard(instance_id)
