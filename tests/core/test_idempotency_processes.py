"""A key is taken once: whoever froze, was overtaken or comes at the same instant makes nothing of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from clawdeploy.core.errors import IdempotencyInFlight
from clawdeploy.core.idempotency import IN_FLIGHT, KEPT, FirstAnswer, Once
from clawdeploy.core.platform import Platform
from tests.core.surroundings import OWNER, Clock, Surroundings, made
from tests.platforms import GOOD

ROOT = Path(__file__).resolve().parents[2]
CREATE = "POST /api/instances"

# Takes a key, freezes, and goes on where it was when it is woken.
FROZEN = """
import os, signal, sys
from pathlib import Path
from tests.platforms import GOOD, memory_platform
from clawdeploy.core.errors import ClawDeployError
folder, url, action, instance_id = sys.argv[1:]
platform = memory_platform(Path(folder), DATABASE_URL=url)
call = "POST /api/instances" + (f"/{instance_id}/{action}" if instance_id else "")
once = platform.idempotency.begin("ann", call, "k", GOOD)
os.kill(os.getpid(), signal.SIGSTOP)
try:
    if instance_id:
        platform.instances.restart("ann", instance_id, wait=0, once=once)
    else:
        platform.instances.create("ann", GOOD, wait=0, once=once)
except ClawDeployError as error:
    print(error.code, flush=True)
    platform.idempotency.release(once)
else:
    print("done", flush=True)
os._exit(0)
"""


def frozen(surroundings: Surroundings, action: str = "create", instance_id: str = "") -> "subprocess.Popen[str]":
    """Start a process that has taken the key and was stopped by the kernel."""
    command = [sys.executable, "-c", FROZEN, str(surroundings.folder), surroundings.url, action, instance_id]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status
    return process


def woken(process: "subprocess.Popen[str]") -> str:
    """Let it go on, and return what it said."""
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=60)
    return said.strip()


def taken_over(platform: Platform, clock: Clock, call: str = CREATE) -> Once:
    clock.advance(seconds=IN_FLIGHT.total_seconds() + 1)
    again = platform.idempotency.begin(OWNER, call, "k", GOOD)
    assert isinstance(again, Once)
    assert again.made is None
    return again


def test_a_process_that_froze_makes_no_second_bot(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    process = frozen(surroundings)
    again = taken_over(platform, clock)
    there = platform.instances.create(OWNER, GOOD, once=again)
    platform.idempotency.finish(again, FirstAnswer(201, "{}", there.id))
    assert woken(process) == "idempotency_in_flight"
    assert [one.id for one in platform.instances.list(OWNER).instances] == [there.id]
    assert surroundings.count("activity") == len(platform.instances.activity(OWNER, there.id))
    assert platform.idempotency.begin(OWNER, CREATE, "k", GOOD) == FirstAnswer(201, "{}", there.id)


def test_a_process_that_was_killed_before_it_made_anything_holds_the_key_no_longer(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    process = frozen(surroundings)
    with pytest.raises(IdempotencyInFlight):
        platform.idempotency.begin(OWNER, CREATE, "k", GOOD)
    process.kill()
    process.communicate()
    again = platform.idempotency.begin(OWNER, CREATE, "k", GOOD)
    assert isinstance(again, Once)
    assert again.made is None
    with pytest.raises(IdempotencyInFlight):
        platform.idempotency.begin(OWNER, CREATE, "k", GOOD)


def test_a_process_that_froze_leaves_the_bot_to_the_one_that_took_over(surroundings: Surroundings) -> None:
    """Woken before the other one made it, it makes none and frees nothing."""
    clock = Clock()
    platform = surroundings.open(clock=clock)
    process = frozen(surroundings)
    again = taken_over(platform, clock)
    assert woken(process) == "idempotency_in_flight"
    assert surroundings.count("instance") == 0
    there = platform.instances.create(OWNER, GOOD, once=again)
    assert [one.id for one in platform.instances.list(OWNER).instances] == [there.id]


def test_a_process_that_froze_makes_nothing_under_a_key_that_is_forgotten(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    process = frozen(surroundings)
    clock.advance(seconds=KEPT.total_seconds() + 1)
    platform.idempotency.begin(OWNER, CREATE, "another", GOOD)
    assert woken(process) == "idempotency_in_flight"
    assert surroundings.count("instance") == 0


def test_a_restart_that_froze_does_not_restart_again(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    there = made(platform)
    process = frozen(surroundings, "restart", there)
    again = taken_over(platform, clock, f"{CREATE}/{there}/restart")
    assert platform.instances.restart(OWNER, there, once=again).status == "running"
    before = platform.instances.activity(OWNER, there)
    assert woken(process) == "idempotency_in_flight"
    assert platform.instances.activity(OWNER, there) == before


@pytest.mark.parametrize("action", ["start", "stop", "restart"])
def test_what_was_asked_of_a_bot_is_not_asked_again(surroundings: Surroundings, action: str) -> None:
    """Its answer was lost; what somebody asked for in between is not undone by the repetition."""
    clock = Clock()
    platform = surroundings.open(clock=clock)
    there = made(platform)
    call = f"{CREATE}/{there}/{action}"
    first = platform.idempotency.begin(OWNER, call, "k", GOOD)
    getattr(platform.instances, action)(OWNER, there, once=first)
    opposite = platform.instances.start if action == "stop" else platform.instances.stop
    settled = opposite(OWNER, there)
    clock.advance(seconds=IN_FLIGHT.total_seconds() + 1)
    again = platform.idempotency.begin(OWNER, call, "k", GOOD)
    assert isinstance(again, Once)
    assert getattr(platform.instances, action)(OWNER, there, once=again) == settled


def test_whoever_takes_a_key_over_sees_what_was_noted_a_moment_before(surroundings: Surroundings) -> None:
    """The one that was slow notes and has not committed yet when its key is taken over."""
    clock = Clock()
    slow, other = surroundings.open(), surroundings.open(clock=clock)
    once = slow.idempotency.begin(OWNER, CREATE, "k", GOOD)
    assert isinstance(once, Once)
    clock.advance(seconds=IN_FLIGHT.total_seconds() + 1)
    with ThreadPoolExecutor(1) as pool:
        with transaction_of(slow):
            slow.idempotency.noting(once)("abcdefgh")
            begun = pool.submit(other.idempotency.begin, OWNER, CREATE, "k", GOOD)
            blocked(surroundings, begun.done)
        again = begun.result(20)
    assert isinstance(again, Once)
    assert again.made == "abcdefgh"


def transaction_of(platform: Platform) -> AbstractContextManager[None]:
    return platform.instances._store.database.transaction()


def blocked(surroundings: Surroundings, done: Callable[[], bool]) -> None:
    """Return when somebody waits for a lock; SQLite does not tell, so there a moment has to do."""
    if surroundings.looking().path is not None:
        threading.Event().wait(0.3)
        return
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while not done():
        with surroundings.looking().reading():
            if surroundings.looking().peewee.execute_sql(waiting).fetchone() != (0,):
                return


def test_a_key_that_is_freed_at_the_same_time_is_taken_or_in_flight(surroundings: Surroundings) -> None:
    """Rows appear and vanish under every step of those that begin; nothing but these two outcomes is possible."""
    platforms = [surroundings.open() for _ in range(2)]
    mistakes: list[Exception] = []
    holding = threading.Semaphore(1)

    def attempt(at: int) -> None:
        keys = platforms[at % 2].idempotency
        try:
            once = keys.begin(OWNER, CREATE, "k", {})
        except IdempotencyInFlight:
            return
        except Exception as error:
            mistakes.append(error)
            return
        assert isinstance(once, Once)
        assert holding.acquire(blocking=False), "two hold one key"
        holding.release()
        keys.release(once)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(attempt, range(300)))
    assert mistakes == []
