"""At most four creations are at the engine at once, through however many workers, and the others wait in line."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

from clawdeploy.core.contracts import ContainerSpec, Status
from clawdeploy.core.line import MOST_AT_ONCE
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import SlowRuntime, eventually
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from tests.core.surroundings import OWNER, Clock, Surroundings
from tests.platforms import GOOD


class Crowded(WrappedRuntime):
    """Counts how many are inside ``create`` and ``start`` together, each of which takes a moment."""

    def __init__(self, inner: object) -> None:
        super().__init__(inner)  # type: ignore[arg-type]  # any runtime will do
        self.most = 0
        self.order: list[str] = []
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        with self._lock:
            self.order.append(instance_id)
        return self._counted(instance_id, lambda: self.inner.create(instance_id, host_port, spec))

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        self._counted(instance_id, lambda: self.inner.start(container_id, instance_id, spec))

    def _counted(self, instance_id: str, work: object) -> str:
        with self._lock:
            self._inside[instance_id] += 1
            self.most = max(self.most, sum(self._inside.values()))
        threading.Event().wait(0.05)
        done = work()  # type: ignore[operator]  # it is called as it comes
        with self._lock:
            self._inside[instance_id] -= 1
        return str(done)


def begin(platform: Platform, number: int = 1) -> list[str]:
    return [platform.instances.create(OWNER, GOOD, wait=0).id for _ in range(number)]


def reasons(surroundings: Surroundings, bots: list[str]) -> list[tuple[str, str]]:
    return [(row.status, row.reason) for row in map(surroundings.row, bots)]


def held(surroundings: Surroundings, **settings: Any) -> tuple[SlowRuntime, Platform, list[str]]:
    """Return a platform on which four creations hang in the engine, and two wait."""
    runtime = SlowRuntime(surroundings.memory, calls=("create",))
    platform = surroundings.open(runtime, **settings)
    bots = begin(platform, 6)
    making, waiting = [("creating", "creating_container")] * 4, [("pending", "waiting_in_line")] * 2
    assert eventually(lambda: sorted(reasons(surroundings, bots)) == making + waiting, 20), reasons(surroundings, bots)
    return runtime, platform, bots


def all_run(surroundings: Surroundings, bots: list[str], within: float = 30.0) -> bool:
    return eventually(lambda: reasons(surroundings, bots) == [("running", "")] * len(bots), within)


def test_four_are_at_the_engine_through_several_workers(surroundings: Surroundings) -> None:
    runtime = Crowded(surroundings.memory)
    workers = [surroundings.open(runtime) for _ in range(3)]
    bots = [begin(worker)[0] for _ in range(4) for worker in workers]
    assert all_run(surroundings, bots), reasons(surroundings, bots)
    assert 1 < runtime.most <= MOST_AT_ONCE == 4
    assert sorted(runtime.order) == sorted(bots)


def test_those_who_wait_say_so(surroundings: Surroundings) -> None:
    runtime, platform, bots = held(surroundings)
    waiting = next(each for each in bots if surroundings.row(each).reason == "waiting_in_line")
    shown = platform.instances.get(OWNER, waiting)
    assert (shown.status, shown.reason) == (Status.PENDING, "waiting_in_line")
    assert shown.detail == "It waits in line until others have been made."
    steps = platform.instances.progress(OWNER, waiting)
    assert steps is not None
    assert steps.outcome == "running"
    runtime.release()
    assert all_run(surroundings, bots), reasons(surroundings, bots)


def test_the_oldest_of_those_who_wait_is_next(surroundings: Surroundings) -> None:
    runtime, platform, bots = held(surroundings)
    waiting = [each for each in bots if surroundings.row(each).reason == "waiting_in_line"]
    made = next(each for each in bots if each not in waiting)
    # Whose claim is not renewed any more is as good as gone: its place is free.
    surroundings.set_row(made, claim="another", claim_until=platform.clock() - timedelta(seconds=1))
    surroundings.reaches(waiting[0], reason="creating_container")
    assert surroundings.row(waiting[1]).reason == "waiting_in_line"
    runtime.release()


def test_one_that_waits_can_be_deleted(surroundings: Surroundings) -> None:
    runtime, platform, bots = held(surroundings)
    waiting = next(each for each in bots if surroundings.row(each).reason == "waiting_in_line")
    platform.instances.delete(OWNER, waiting)
    assert surroundings.count("instance") == 5
    runtime.release()
    bots.remove(waiting)
    assert all_run(surroundings, bots)
    assert len(surroundings.memory.engine.containers) == 5


def test_a_download_holds_no_place(surroundings: Surroundings) -> None:
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {"nginx:alpine"}
    runtime = SlowRuntime(surroundings.memory, calls=("pull",))
    platform = surroundings.open(runtime)
    bots = begin(platform, 6)
    downloading = [("creating", "pulling_image")] * 6
    assert eventually(lambda: reasons(surroundings, bots) == downloading, 20), reasons(surroundings, bots)
    runtime.release()
    assert all_run(surroundings, bots)


def test_a_bot_that_does_not_answer_yet_holds_none_either(surroundings: Surroundings) -> None:
    surroundings.memory.ready = False
    platform = surroundings.open()
    bots = begin(platform, 6)
    starting = [("creating", "waiting_until_ready")] * 6
    assert eventually(lambda: reasons(surroundings, bots) == starting, 20), reasons(surroundings, bots)
    surroundings.memory.ready = True
    assert all_run(surroundings, bots)


def test_what_a_process_left_waits_anew(surroundings: Surroundings) -> None:
    clock = Clock()
    runtime = SlowRuntime(surroundings.memory, calls=("create",))
    platform = surroundings.open(runtime, clock=clock)
    bots = begin(platform, 6)
    assert eventually(lambda: surroundings.memory.engine.containers == {} and runtime.entered.is_set(), 20)
    platform.close()
    for bot in bots:
        surroundings.set_row(bot, claim=None, claim_until=None, status="creating", reason="creating_container")
    crowded = Crowded(surroundings.memory)
    another = surroundings.open(crowded)
    another.reconciler.sync(patience=30)
    assert all_run(surroundings, bots), reasons(surroundings, bots)
    assert crowded.most <= MOST_AT_ONCE
    runtime.release()
