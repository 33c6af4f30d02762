"""Four programs use a server that is killed at random, again and again, and nothing that they were promised is lost."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from tests.faults.counting import Faults
from tests.faults.killer import Killer
from tests.faults.load import Load
from tests.faults.scene import Scene

PORTS = (28000, 28999)
SETTLED_WITHIN = 60.0
SOME_OF_EACH = ("kill a worker", "docker rm -f", "reload", "end the server")
KILLS = 100

pytestmark = pytest.mark.engine


def survives(scene: Scene, faults: Faults, seed: int, kinds: Sequence[str] | None = None) -> Killer:
    """Kill under load, let everything come to rest, and fail if anything is broken then."""
    load = Load(scene, seed)
    killer = Killer(scene, load, seed)
    with closing(killer):
        try:
            for kind in kinds or killer.choose(KILLS - 1):
                killer.strike(kind)
                faults.injected()
                faults.tell(killer.done[-1])
                assert not load.failures, "\n".join(load.failures)
            # What is going on now no program will touch again: it is for the next server to finish.
            load.begin_nothing_new()
            killer.strike_now("kill the server")
            faults.injected()
        finally:
            load.finish()
    told = [f"with --seed {seed}", *killer.done, f"{dict(load.done())}", f"{dict(load.answers())}"]
    broken = [*load.failures, *(one for owner in load.owners for one in owner.broken(SETTLED_WITHIN))]
    # It looks at the bystander and the decoys, too, and tries whether everything works.
    broken += scene.oracle.check(0.0)
    log = scene.served.log.read_text()
    if (at := log.find("Traceback (most recent call last)")) >= 0:
        broken.append(f"A defect is in the log: {log[max(0, at - 500) : at + 4000]}")
    faults.broken(broken)
    assert not broken, "\n".join([*broken, *told, log[-20_000:]])
    return killer


@pytest.fixture
def scene() -> Iterator[Scene]:
    with closing(Scene(ports=PORTS, WORKERS="2")) as made:
        yield made


@pytest.mark.timeout(120)
def test_a_kill_of_each_kind_under_four_programs_loses_nothing(scene: Scene, faults: Faults, seed: int) -> None:
    survives(scene, faults, seed, SOME_OF_EACH)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_a_hundred_kills_under_four_programs_lose_nothing(database_url: str, faults: Faults, seed: int) -> None:
    with closing(Scene(database_url, ports=PORTS, WORKERS="2")) as scene:
        assert len(survives(scene, faults, seed).done) == KILLS
