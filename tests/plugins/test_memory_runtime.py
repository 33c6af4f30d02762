"""The memory runtime keeps the contract, and does for tests what containers and operators do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Limits, Runtime
from clawdeploy.core.errors import ImageMissing, ImageUnavailable, PortTaken, RuntimeUnavailable
from clawdeploy.core.testing import (
    BrokenRuntime,
    LostAnswerRuntime,
    RuntimeContract,
    SlowRuntime,
    VanishingRuntime,
)
from clawdeploy.plugins import memory_runtime
from clawdeploy.plugins.memory_runtime import MemoryEngine, MemoryRuntime

SPEC = ContainerSpec(images=("bot:1",), container_port=80, limits=Limits(2**20, 0.5, 10))


class TestMemoryRuntime(RuntimeContract):
    @pytest.fixture(autouse=True)
    def engine(self) -> None:
        self.shared = MemoryEngine(images=SPEC.images)

    def make_runtime(self, installation: str) -> Runtime:
        return MemoryRuntime(installation, engine=self.shared)

    def spec(self) -> ContainerSpec:
        return SPEC

    def file(self, runtime: Runtime, instance_id: str, path: str) -> bytes | None:
        assert isinstance(runtime, MemoryRuntime)
        return runtime.file(instance_id, path)


def up(runtime: MemoryRuntime, instance_id: str = "one", port: int = 10000) -> str:
    container_id = runtime.create(instance_id, port, SPEC)
    runtime.start(container_id, instance_id, SPEC)
    return container_id


def test_it_is_always_registered() -> None:
    (runtime,) = memory_runtime.register_runtimes("home")
    assert runtime.name == "memory"


def test_an_image_is_pulled_once_the_registry_has_it() -> None:
    runtime = MemoryRuntime(images=(), registry=("bot:1",))
    with pytest.raises(ImageMissing):
        runtime.create("one", 10000, SPEC)
    runtime.pull("bot:1")
    runtime.pull("bot:1")
    assert runtime.create("one", 10000, SPEC)
    with pytest.raises(ImageUnavailable):
        runtime.pull("other:1")


def test_a_crash_and_a_loop_can_be_seen() -> None:
    runtime = MemoryRuntime()
    up(runtime)
    runtime.loop("one", restart_count=4, exit_code=3)
    seen = runtime.observe("one")
    assert (seen.state, seen.restart_count, seen.exit_code) == (ContainerState.RESTARTING, 4, 3)
    runtime.crash("one", exit_code=137, out_of_memory=True)
    seen = runtime.observe("one")
    assert (seen.state, seen.exit_code, seen.out_of_memory) == (ContainerState.EXITED, 137, True)


def test_a_container_can_vanish_and_write() -> None:
    runtime = MemoryRuntime()
    container_id = up(runtime)
    runtime.write("one", "hello")
    assert runtime.logs(container_id, 1) == "hello\n"
    runtime.vanish("one")
    assert runtime.observe("one").state is ContainerState.MISSING
    with pytest.raises(KeyError):
        runtime.write("one", "nobody there")


def test_a_foreign_listener_takes_a_port() -> None:
    runtime = MemoryRuntime()
    runtime.engine.foreign_ports.add(10000)
    with pytest.raises(PortTaken):
        up(runtime)


def test_it_may_never_get_ready() -> None:
    runtime = MemoryRuntime()
    runtime.ready = False
    up(runtime)
    assert not runtime.probe(runtime.observe("one"), SPEC.probe)


def test_a_broken_runtime_raises_until_it_is_mended() -> None:
    runtime = BrokenRuntime(MemoryRuntime())
    for call in (runtime.ping, runtime.observe_all, lambda: runtime.observe("one"), lambda: runtime.logs("x", 1)):
        with pytest.raises(RuntimeUnavailable):
            call()
    runtime.mend()
    assert runtime.ping().name == "Memory"


def test_a_broken_runtime_may_fail_in_one_way_only() -> None:
    runtime = BrokenRuntime(MemoryRuntime(), error=PortTaken(), calls=("start",))
    container_id = runtime.create("one", 10000, SPEC)
    with pytest.raises(PortTaken):
        runtime.start(container_id, "one", SPEC)
    assert runtime.observe("one").state is ContainerState.CREATED


def test_a_broken_probe_is_a_probe_that_does_not_pass() -> None:
    inner = MemoryRuntime()
    up(inner)
    runtime = BrokenRuntime(inner)
    assert not runtime.probe(inner.observe("one"), SPEC.probe)
    runtime.mend()
    assert runtime.probe(inner.observe("one"), SPEC.probe)


def test_a_lost_answer_leaves_the_work_done() -> None:
    runtime = LostAnswerRuntime(MemoryRuntime(), calls=("create",))
    with pytest.raises(RuntimeUnavailable):
        runtime.create("one", 10000, SPEC)
    assert runtime.create("one", 10000, SPEC) == runtime.observe("one").container_id


def test_a_slow_runtime_waits_to_be_released() -> None:
    runtime = SlowRuntime(MemoryRuntime(), calls=("create",))
    with ThreadPoolExecutor(1) as threads:
        creating = threads.submit(runtime.create, "one", 10000, SPEC)
        assert runtime.entered.wait(5)
        assert runtime.observe("one").state is ContainerState.MISSING
        runtime.release()
        assert creating.result(5)


def test_containers_of_a_vanishing_runtime_vanish() -> None:
    runtime = VanishingRuntime(MemoryRuntime())
    container_id = runtime.create("one", 10000, SPEC)
    assert runtime.observe("one").state is ContainerState.CREATED
    runtime.start(container_id, "one", SPEC)
    assert runtime.observe("one").state is ContainerState.MISSING


def test_a_wrapped_runtime_passes_every_call_on() -> None:
    runtime = SlowRuntime(MemoryRuntime(images=(), registry=SPEC.images), calls=())
    runtime.pull("bot:1")
    assert runtime.has_image(("bot:1",))
    container_id = runtime.create("one", 10000, SPEC)
    runtime.start(container_id, "one", SPEC)
    assert runtime.logs(container_id, 10) == "started\n"
    assert list(runtime.observe_all()) == ["one"]
    runtime.stop(container_id, 1)
    runtime.remove(container_id)
    runtime.discard("one")
    runtime.close()
