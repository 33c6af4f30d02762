"""Runtimes that fail in a known way, named by the failure; each wraps one that works."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from threading import Event, Lock

from clawdeploy.core.contracts import ContainerSpec, EngineInfo, Holding, Observation, Probe, Room, Runtime
from clawdeploy.core.errors import EngineError, RuntimeUnavailable


class WrappedRuntime:
    """Passes every call on; a subclass says what goes wrong before or after a call."""

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner
        self.name = inner.name
        self.profile = inner.profile

    def before(self, call: str) -> None:
        """Be told the name of the method that is about to be called."""

    def after(self, call: str) -> None:
        """Be told the name of the method that has just succeeded."""

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        """See ``Runtime.create``."""
        self.before("create")
        container_id = self.inner.create(instance_id, host_port, spec)
        self.after("create")
        return container_id

    def pull(self, image: str) -> None:
        """See ``Runtime.pull``."""
        self.before("pull")
        self.inner.pull(image)
        self.after("pull")

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        """See ``Runtime.start``."""
        self.before("start")
        self.inner.start(container_id, instance_id, spec)
        self.after("start")

    def stop(self, container_id: str, timeout: float) -> None:
        """See ``Runtime.stop``."""
        self.before("stop")
        self.inner.stop(container_id, timeout)
        self.after("stop")

    def remove(self, container_id: str) -> None:
        """See ``Runtime.remove``."""
        self.before("remove")
        self.inner.remove(container_id)
        self.after("remove")

    def discard(self, instance_id: str) -> None:
        """See ``Runtime.discard``."""
        self.before("discard")
        self.inner.discard(instance_id)
        self.after("discard")

    def observe(self, instance_id: str) -> Observation:
        """See ``Runtime.observe``."""
        self.before("observe")
        seen = self.inner.observe(instance_id)
        self.after("observe")
        return seen

    def observe_all(self) -> Mapping[str, Observation]:
        """See ``Runtime.observe_all``."""
        self.before("observe_all")
        seen = self.inner.observe_all()
        self.after("observe_all")
        return seen

    def holdings(self) -> Collection[Holding]:
        """See ``Runtime.holdings``."""
        self.before("holdings")
        found = self.inner.holdings()
        self.after("holdings")
        return found

    def events(self) -> Iterator[str]:
        """See ``Runtime.events``."""
        self.before("events")
        return self.inner.events()

    def probe(self, observation: Observation, probe: Probe) -> bool:
        """See ``Runtime.probe``."""
        try:
            self.before("probe")
        except EngineError:
            return False
        return self.inner.probe(observation, probe)

    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        """See ``Runtime.logs``."""
        self.before("logs")
        text = self.inner.logs(container_id, tail, since)
        self.after("logs")
        return text

    def ping(self) -> EngineInfo:
        """See ``Runtime.ping``."""
        self.before("ping")
        info = self.inner.ping()
        self.after("ping")
        return info

    def room(self) -> Room:
        """See ``Runtime.room``."""
        self.before("room")
        left = self.inner.room()
        self.after("room")
        return left

    def has_image(self, images: tuple[str, ...]) -> bool:
        """See ``Runtime.has_image``."""
        self.before("has_image")
        found = self.inner.has_image(images)
        self.after("has_image")
        return found

    def close(self) -> None:
        """See ``Runtime.close``."""
        self.inner.close()


class BrokenRuntime(WrappedRuntime):
    """Raises instead of doing anything, until :meth:`mend` is called.

    ``error`` is what it raises, ``calls`` the methods that are broken (all when not given).
    """

    def __init__(self, inner: Runtime, error: EngineError | None = None, calls: Collection[str] | None = None) -> None:
        super().__init__(inner)
        self.error = error or RuntimeUnavailable()
        self.calls = calls
        self.broken = True

    def mend(self) -> None:
        """Work from now on."""
        self.broken = False

    def before(self, call: str) -> None:
        """Fail, unless this call works."""
        if self.broken and (self.calls is None or call in self.calls):
            raise self.error


class LostAnswerRuntime(WrappedRuntime):
    """Does the work and loses the answer: the caller gets ``RuntimeUnavailable`` all the same.

    ``calls`` are the methods whose answers get lost, ``times`` how many answers in all.
    """

    def __init__(self, inner: Runtime, calls: Collection[str], times: int = 1) -> None:
        super().__init__(inner)
        self.calls = calls
        self._left = times
        self._lock = Lock()

    def after(self, call: str) -> None:
        """Lose the answer."""
        with self._lock:
            lost = call in self.calls and self._left > 0
            self._left -= lost
        if lost:
            raise RuntimeUnavailable()


class SlowRuntime(WrappedRuntime):
    """Blocks in the given calls until :meth:`release`, at most ``patience`` seconds each.

    ``entered`` is set when a call arrived, so that a test can wait for that moment.
    """

    def __init__(self, inner: Runtime, calls: Collection[str], patience: float = 30.0) -> None:
        super().__init__(inner)
        self.calls = calls
        self.patience = patience
        self.entered = Event()
        self._released = Event()

    def release(self) -> None:
        """Let blocked and later calls go on."""
        self._released.set()

    def before(self, call: str) -> None:
        """Wait."""
        if call in self.calls:
            self.entered.set()
            self._released.wait(self.patience)


class VanishingRuntime(WrappedRuntime):
    """Containers vanish, as if somebody removed them by hand, right ``after`` a call on them."""

    def __init__(self, inner: Runtime, vanish_after: str = "start") -> None:
        super().__init__(inner)
        self.vanish_after = vanish_after

    def after(self, call: str) -> None:
        """Remove all containers of the installation."""
        if call == self.vanish_after:
            for seen in self.inner.observe_all().values():
                if seen.container_id:
                    self.inner.remove(seen.container_id)
