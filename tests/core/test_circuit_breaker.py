"""An engine that does not answer is not asked again and again, is in use again at once, and holds few threads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from clawdeploy.core import circuit_breaker
from clawdeploy.core.circuit_breaker import MOST_INSIDE, CircuitBreaker
from clawdeploy.core.contracts import MISSING, ContainerSpec, Limits, Observation, Runtime
from clawdeploy.core.engine_health import EngineHealth
from clawdeploy.core.errors import NoContainer, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from clawdeploy.plugins.docker_runtime.engine import LOOK_SECONDS
from clawdeploy.plugins.memory_runtime import MemoryRuntime

SPEC = ContainerSpec(images=("nginx:alpine",), container_port=80, limits=Limits(2**20, 0.5, 10))
CALLS: dict[str, Callable[[Runtime], object]] = {
    "create": lambda runtime: runtime.create("one", 10000, SPEC),
    "pull": lambda runtime: runtime.pull("nginx:alpine"),
    "start": lambda runtime: runtime.start("c", "one", SPEC),
    "stop": lambda runtime: runtime.stop("c", 1),
    "remove": lambda runtime: runtime.remove("c"),
    "discard": lambda runtime: runtime.discard("one"),
    "observe": lambda runtime: runtime.observe("one"),
    "observe_all": lambda runtime: runtime.observe_all(),
    "events": lambda runtime: next(iter(runtime.events())),
    "logs": lambda runtime: runtime.logs("c", 1),
    "has_image": lambda runtime: runtime.has_image(("nginx:alpine",)),
}


class Counting(WrappedRuntime):
    """Remembers which calls arrived."""

    def __init__(self, inner: Runtime) -> None:
        super().__init__(inner)
        self.calls: list[str] = []

    def before(self, call: str) -> None:
        self.calls.append(call)


class Stage:
    """A breaker before an engine that counts and that can be broken."""

    def __init__(self, *calls: str, error: RuntimeUnavailable | RuntimeFailure | None = None) -> None:
        self.memory = MemoryRuntime()
        self.broken = BrokenRuntime(self.memory, error=error, calls=calls or None)
        self.counting = Counting(self.broken)
        self.health = EngineHealth(self.counting.ping)
        self.breaker = CircuitBreaker(self.counting, self.health)


def test_what_goes_well_is_passed_on_and_costs_no_ping() -> None:
    stage = Stage()
    stage.broken.mend()
    container = stage.breaker.create("one", 10000, SPEC)
    stage.breaker.start(container, "one", SPEC)
    assert "started" in stage.breaker.logs(container, 10)
    assert set(stage.breaker.observe_all()) == {"one"}
    assert stage.breaker.probe(stage.breaker.observe("one"), SPEC.probe)
    assert next(stage.breaker.events()) == ""
    assert stage.breaker.has_image(SPEC.images)
    stage.breaker.stop(container, 1)
    stage.breaker.remove(container)
    stage.breaker.discard("one")
    stage.breaker.pull("nginx:alpine")
    assert stage.breaker.observe("one") == MISSING
    assert stage.breaker.name == "memory"
    assert "ping" not in stage.counting.calls
    assert stage.breaker.ping().name == "Memory"
    stage.breaker.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_after_a_failure_no_call_gets_through_until_the_engine_answers(call: Callable[[Runtime], object]) -> None:
    stage = Stage(error=RuntimeUnavailable("Nothing answers at /engine."))
    with pytest.raises(RuntimeUnavailable):
        stage.breaker.observe_all()
    for _ in range(3):
        with pytest.raises(RuntimeUnavailable, match="Nothing answers at /engine"):
            call(stage.breaker)
    assert stage.counting.calls == ["observe_all", "ping", "ping", "ping"]
    stage.broken.mend()
    assert stage.breaker.observe_all() == {}
    assert stage.breaker.observe("one") == MISSING
    assert stage.counting.calls[4:] == ["ping", "observe_all", "observe"], "nobody waits for a time to pass"


def test_an_engine_that_fails_in_one_thing_is_used_for_the_others() -> None:
    stage = Stage("stop")
    with pytest.raises(RuntimeUnavailable):
        stage.breaker.stop("c", 1)
    assert stage.breaker.observe("one") == MISSING
    assert stage.breaker.observe("one") == MISSING
    assert stage.counting.calls == ["stop", "ping", "observe", "observe"]


@pytest.mark.parametrize("error", [RuntimeFailure("The engine refused.")])
def test_a_refusal_is_an_answer(error: RuntimeFailure) -> None:
    stage = Stage(error=error)
    for _ in range(2):
        with pytest.raises(RuntimeFailure):
            stage.breaker.observe("one")
    stage.broken.mend()
    with pytest.raises(NoContainer):
        stage.breaker.logs("c", 1)
    stage.breaker.observe("one")
    assert stage.counting.calls == ["observe", "observe", "logs", "observe"]


def test_a_ping_that_fails_is_reason_enough() -> None:
    stage = Stage()
    assert not stage.health.connected()
    with pytest.raises(RuntimeUnavailable):
        stage.breaker.observe("one")
    assert "observe" not in stage.counting.calls


def test_events_that_end_with_the_engine_make_it_suspect() -> None:
    class EndsWithEngine(WrappedRuntime):
        """Tells of its beginning and ends."""

        def events(self) -> Iterator[str]:
            yield ""
            raise RuntimeUnavailable

    counting = Counting(EndsWithEngine(MemoryRuntime()))
    breaker = CircuitBreaker(counting, EngineHealth(counting.ping))
    with pytest.raises(RuntimeUnavailable):
        list(breaker.events())
    breaker.observe("one")
    assert counting.calls == ["events", "ping", "observe"]


def test_an_engine_that_hangs_holds_a_few_threads_and_not_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "PLACE_SECONDS", 0.05)
    slow = SlowRuntime(MemoryRuntime(), ["observe"])
    counting = Counting(slow)
    breaker = CircuitBreaker(counting, EngineHealth(counting.ping))
    with ThreadPoolExecutor(MOST_INSIDE + 8) as threads:
        asked = [threads.submit(breaker.observe, "one") for _ in range(MOST_INSIDE)]
        assert eventually(lambda: counting.calls.count("observe") == MOST_INSIDE, 10)
        for _ in range(8):
            with pytest.raises(RuntimeUnavailable, match="too many things at once"):
                threads.submit(breaker.observe, "two").result(10)
        assert counting.calls.count("observe") == MOST_INSIDE
        breaker.pull("nginx:alpine")
        slow.release()
        assert {each.result(10) for each in asked} == {MISSING}
    assert breaker.observe("one") == MISSING, "the places are free again"


def test_whoever_waits_for_a_place_and_then_for_the_engine_is_answered_within_five_seconds() -> None:
    """An engine that answers pings and nothing else lets each look fail after its time; then another has its place."""

    class GivenUp(WrappedRuntime):
        def observe(self, instance_id: str) -> Observation:
            time.sleep(LOOK_SECONDS)
            raise RuntimeUnavailable

    engine = GivenUp(MemoryRuntime())
    breaker = CircuitBreaker(engine, EngineHealth(engine.ping))

    def takes() -> float:
        begun = time.monotonic()
        with pytest.raises(RuntimeUnavailable):
            breaker.observe("one")
        return time.monotonic() - begun

    with ThreadPoolExecutor(MOST_INSIDE + 1) as threads:
        before = [threads.submit(takes) for _ in range(MOST_INSIDE)]
        time.sleep(LOOK_SECONDS - circuit_breaker.PLACE_SECONDS + 0.1)
        later = threads.submit(takes)
        assert max(each.result(20) for each in [*before, later]) < 5.0


def test_a_hung_engine_costs_those_who_come_later_half_a_second_at_most() -> None:
    slow = SlowRuntime(MemoryRuntime(), ["observe", "ping"])
    breaker = CircuitBreaker(slow, EngineHealth(slow.ping))
    failed = CircuitBreaker(BrokenRuntime(slow, calls=["observe"]), EngineHealth(slow.ping))
    with pytest.raises(RuntimeUnavailable):
        failed.observe("one")
    done = threading.Event()

    def refused() -> None:
        with pytest.raises(RuntimeUnavailable):
            failed.observe("one")
        done.set()

    thread = threading.Thread(target=refused)
    thread.start()
    assert done.wait(5)
    thread.join()
    slow.release()
    assert breaker.observe("one") == MISSING
