"""What stands between everything and a runtime: an engine in trouble is not asked again and again, nor by everybody."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from clawdeploy.core.contracts import ContainerSpec, EngineInfo, Holding, Observation, Probe, Room, Runtime
from clawdeploy.core.engine_health import EngineHealth
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.measurements import EngineCalled, EngineOutcome, Measurement, unmeasured

P = ParamSpec("P")
T = TypeVar("T")

MOST_INSIDE = 32
"""How many calls of one process may be inside the engine at once; each holds a thread."""
PLACE_SECONDS = 0.75
"""How long a call waits until another one has left; with a look that fails after that, less than five seconds."""
PING_PATIENCE = 0.5


class CircuitBreaker:
    """A runtime whose calls are refused at once while its engine does not answer.

    A call that raised ``RuntimeUnavailable`` makes the engine suspect, and so does a ping that failed or hangs. From
    then on no call gets through before a ping has succeeded, which all who come share; so the engine is in use again
    from the moment it answers. An engine that answers pings and hangs in everything else fills ``MOST_INSIDE`` places,
    and no more threads.
    """

    def __init__(
        self, inner: Runtime, health: EngineHealth, measure: Callable[[Measurement], None] = unmeasured
    ) -> None:
        self.name = inner.name
        self.profile = inner.profile
        self._inner = inner
        self._health = health
        self._measure = measure
        self._places = BoundedSemaphore(MOST_INSIDE)
        self._suspicion = ""

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        """See ``Runtime.create``."""
        return self._call("create", self._inner.create, instance_id, host_port, spec)

    def pull(self, image: str) -> None:
        """See ``Runtime.pull``. It may take minutes, and keeps nobody else from the engine."""
        with self._watched("pull"):
            self._inner.pull(image)

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        """See ``Runtime.start``."""
        self._call("start", self._inner.start, container_id, instance_id, spec)

    def stop(self, container_id: str, timeout: float) -> None:
        """See ``Runtime.stop``."""
        self._call("stop", self._inner.stop, container_id, timeout)

    def remove(self, container_id: str) -> None:
        """See ``Runtime.remove``."""
        self._call("remove", self._inner.remove, container_id)

    def discard(self, instance_id: str) -> None:
        """See ``Runtime.discard``."""
        self._call("discard", self._inner.discard, instance_id)

    def observe(self, instance_id: str) -> Observation:
        """See ``Runtime.observe``."""
        return self._call("observe", self._inner.observe, instance_id)

    def observe_all(self) -> Mapping[str, Observation]:
        """See ``Runtime.observe_all``."""
        return self._call("observe_all", self._inner.observe_all)

    def holdings(self) -> Collection[Holding]:
        """See ``Runtime.holdings``."""
        return self._call("holdings", self._inner.holdings)

    def events(self) -> Iterator[str]:
        """See ``Runtime.events``."""
        with self._watched():
            yield from self._inner.events()

    def probe(self, observation: Observation, probe: Probe) -> bool:
        """See ``Runtime.probe``. It asks the container and not the engine."""
        return self._inner.probe(observation, probe)

    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        """See ``Runtime.logs``."""
        return self._call("logs", self._inner.logs, container_id, tail, since)

    def ping(self) -> EngineInfo:
        """See ``Runtime.ping``; always asked."""
        return self._inner.ping()

    def room(self) -> Room:
        """See ``Runtime.room``."""
        return self._call("room", self._inner.room)

    def has_image(self, images: tuple[str, ...]) -> bool:
        """See ``Runtime.has_image``."""
        return self._call("has_image", self._inner.has_image, images)

    def close(self) -> None:
        """See ``Runtime.close``."""
        self._inner.close()

    @property
    def is_open(self) -> bool:
        """Whether the next call has to wait for a ping to succeed."""
        return bool(self._suspicion) or self._health.is_silent()

    def _call(self, name: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._watched(name):
            if not self._places.acquire(timeout=PLACE_SECONDS):
                raise RuntimeUnavailable("Docker is busy with too many things at once.")
            try:
                return call(*args, **kwargs)
            finally:
                self._places.release()

    @contextmanager
    def _watched(self, name: str = "") -> Iterator[None]:
        """Let the block ask the engine, if that makes sense; what has a ``name`` is measured."""
        began = time.monotonic()
        outcome: EngineOutcome = "refused"
        try:
            self._admit()
            outcome = "failed"
            yield
            outcome = "done"
        except RuntimeUnavailable as error:
            if outcome != "refused":
                self._suspicion, outcome = error.detail, "unavailable"
            raise
        finally:
            if name:
                self._measure(EngineCalled(name, outcome, time.monotonic() - began))

    def _admit(self) -> None:
        if self.is_open:
            if not self._health.answers(PING_PATIENCE):
                raise RuntimeUnavailable(self._suspicion or self._health.complaint)
            self._suspicion = ""
