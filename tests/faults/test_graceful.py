"""Ending and reloading a server under load: whatever was accepted is answered, and whatever was begun is finished."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from clawdeploy.core.testing import eventually
from tests.faults.ledger import STOPPED
from tests.faults.load import Load
from tests.faults.scene import ENGINE, Scene
from tests.web.serving import HOST, Served

PORTS = (28000, 28999)
FINISHED_WITHIN = 10.0
"""Seconds from the start of a server in which it finishes what another one left."""
TAKEN_OVER_WITHIN = 15.0
"""Seconds in which another server has taken over from one that died."""
BOTS = 3
TRIES = 4
MADE_WITHIN = 60.0
RELOADED_WITHIN = 40.0

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def patient() -> Iterator[Scene]:
    """Requests wait for what they asked for."""
    with closing(Scene(ports=PORTS, WORKERS="2")) as made:
        yield made


@pytest.fixture(scope="module")
def hasty() -> Iterator[Scene]:
    """Requests are answered at once, and what they asked for goes on."""
    with closing(Scene(ports=PORTS, WORKERS="2", WAIT_SECONDS="0")) as made:
        yield made


def is_well(scene: Scene, load: Load | None = None) -> None:
    """Fail with what is broken, if anything is."""
    broken = [one for owner in load.owners for one in owner.broken(FINISHED_WITHIN)] if load else []
    assert not [*broken, *scene.oracle.check(FINISHED_WITHIN)], (broken, scene.served.log.read_text()[-10_000:])


def reload(served: Served) -> None:
    """Replace every worker and return when the old ones are gone."""
    old = set(served.workers())
    served.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: not old & set(served.workers()), RELOADED_WITHIN), served.log.read_text()[-3000:]


def reload_under_load(scene: Scene, seed: int, times: int) -> None:
    load = Load(scene, seed)
    try:
        for _ in range(times):
            reload(scene.served)
    finally:
        load.finish()
    assert not load.failures, load.failures
    assert not load.failed_requests(), f"with --seed {seed}: {load.failed_requests()}"
    assert load.done().total() > times
    is_well(scene, load)


def test_no_request_fails_while_the_server_is_reloaded(patient: Scene, seed: int) -> None:
    reload_under_load(patient, seed, 2)


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_no_request_fails_while_the_server_is_reloaded_ten_times(patient: Scene, seed: int) -> None:
    reload_under_load(patient, seed, 10)


def end_under_load(scene: Scene, seed: int) -> None:
    """End the server while four programs use it, start it again, and fail if an accepted request was not answered."""
    load = Load(scene, seed)
    try:
        enough = eventually(lambda: load.done().total() > 20, 30.0)
        assert enough, load.done()
        assert scene.served.stop(signal.SIGTERM) == 0
        scene.served.close()
        cut = [one for one in load.failed_requests() if "ConnectionRefused" not in one]
        scene.served.start()
        began = time.monotonic()
    finally:
        load.finish()
    assert not cut, f"with --seed {seed}: {cut}"
    assert not load.failures, load.failures
    assert time.monotonic() - began < 3 * FINISHED_WITHIN
    is_well(scene, load)


def test_a_server_that_ends_answers_what_it_has_accepted(patient: Scene, seed: int) -> None:
    end_under_load(patient, seed)


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_ten_servers_that_end_answer_what_they_have_accepted(patient: Scene, seed: int) -> None:
    for number in range(10):
        end_under_load(patient, seed + number)


class Slow:
    """Bots whose processes stand still, so that each takes all the time it has until it is ended by force."""

    def __init__(self, *bots: str) -> None:
        self._pids: list[int] = []
        with docker.APIClient(f"unix://{ENGINE}", version="1.41", timeout=60) as client:
            for bot in bots:
                top: Any = client.top(f"clawdeploy-{bot}")
                self._pids += [int(process[top["Titles"].index("PID")]) for process in top["Processes"]]
        for pid in self._pids:
            os.kill(pid, signal.SIGSTOP)

    @property
    def alive(self) -> bool:
        """Whether any of them has not been ended yet."""
        return any(Path(f"/proc/{pid}").exists() for pid in self._pids)


def outlive(scene: Scene, way: str) -> bool:
    """Let a server be reloaded or ended while bots are made and stopped; says whether it was faster than they."""
    stopping = scene.create()
    assert eventually(lambda: scene.shown(stopping)["status"] == "running", MADE_WITHIN)
    creating = [scene.create() for _ in range(BOTS)]
    slow = Slow(stopping)
    scene.client.change(stopping, "stop")
    if way == "reload":
        reload(scene.served)
        outlived = slow.alive
    else:
        assert scene.served.stop(signal.SIGTERM) == 0
        outlived = slow.alive
        scene.served.close()
        scene.served.start()
    began = time.monotonic()
    settled = eventually(lambda: not scene.oracle.passing(), FINISHED_WITHIN)
    assert settled, (scene.oracle.passing(), scene.served.log.read_text()[-5000:])
    assert time.monotonic() - began < FINISHED_WITHIN
    assert scene.shown(stopping)["status"] == "stopped"
    assert {scene.shown(bot)["status"] for bot in creating} == {"running"}
    for bot in (stopping, *creating):
        scene.client.change(bot, "delete")
    is_well(scene)
    return outlived


@pytest.mark.parametrize("way", ["reload", pytest.param("end", marks=pytest.mark.prove)])
def test_changes_that_nobody_waits_for_survive_the_process_that_carries_them_out(hasty: Scene, way: str) -> None:
    """On a busy machine the processes may live for longer than the changes take; then it is tried again."""
    assert any(outlive(hasty, way) for _ in range(TRIES))


def test_a_create_whose_worker_was_killed_is_finished_and_its_key_leads_to_it(patient: Scene) -> None:
    name = "killed in the middle"
    fields, key = patient.bot(name), "killed-in-the-middle"
    first = threading.Thread(target=lambda: outcomes.append(patient.client.create(key, fields)))
    outcomes: list[str | None] = []
    first.start()

    def rows() -> list[dict[str, Any]]:
        return [row for row in patient.oracle.stored.rows("instance") if row["name"] == name]

    assert eventually(lambda: bool(rows()), 10.0)
    for worker in patient.served.workers():
        os.kill(worker, signal.SIGKILL)
    killed = time.monotonic()
    first.join(20)
    assert outcomes == [None], "it was answered before the worker died"

    while outcomes[-1] is None and time.monotonic() < killed + FINISHED_WITHIN:
        time.sleep(0.2)
        outcomes.append(patient.client.create(key, fields))
    (row,) = rows()
    assert outcomes[-1] == row["id"], patient.served.log.read_text()[-5000:]
    assert eventually(lambda: patient.shown(row["id"])["status"] == "running", FINISHED_WITHIN)
    assert time.monotonic() - killed < FINISHED_WITHIN
    is_well(patient)


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_of_two_servers_one_goes_on_when_the_other_dies(database_url: str, seed: int) -> None:
    """They share the work: programs of the one notice nothing, and what the other had begun is finished."""
    with closing(Scene(database_url, ports=PORTS, WORKERS="1")) as scene, closing(scene.another_server()) as other:
        load = Load(scene, seed, [scene.base_url, f"http://{HOST}:{other.port}"])
        try:
            for _ in range(5):
                assert eventually(lambda: len(other.workers()) == 1, 10.0)
                time.sleep(2)
                other.kill()
                # Whoever of them looked after all bots: one that ends is noticed soon.
                notices(scene)
                other.start()
        finally:
            load.finish()
        failed = [one for one in load.failed_requests() if not one.startswith(str(other.port))]
        assert not failed, f"with --seed {seed}: {failed}"
        assert not load.failures, load.failures
        is_well(scene, load)


def notices(scene: Scene) -> None:
    """Fail if nobody looks after the bots."""
    bot = scene.create()
    with docker.APIClient(f"unix://{ENGINE}", version="1.41", timeout=60) as client:
        client.kill(f"clawdeploy-{bot}")
    scene.ledger.acknowledged(bot, STOPPED)
    noticed = eventually(lambda: scene.shown(bot)["status"] == "stopped", TAKEN_OVER_WITHIN)
    assert noticed, scene.shown(bot)
    scene.client.change(bot, "delete")
