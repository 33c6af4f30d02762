"""A request that is sent twice is carried out once, whatever happens in between, in whatever processes."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clawdeploy.core.errors import IdempotencyInFlight, IdempotencyKeyReused, InvalidInput
from clawdeploy.core.idempotency import ABOUT_TO_ANSWER, IN_FLIGHT, KEPT, FirstAnswer, Idempotency, Once
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import SlowRuntime
from tests.core.surroundings import OWNER, STRANGER, Clock, Surroundings
from tests.platforms import GOOD

CALL = "POST /api/instances"
ANSWER = FirstAnswer(201, '{"instance": {}}', "/api/instances/x")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(surroundings: Surroundings, clock: Clock) -> Platform:
    return surroundings.open(clock=clock)


@pytest.fixture
def keys(opened: Platform) -> Idempotency:
    return opened.idempotency


def begin(keys: Idempotency, body: object = None, *, owner: str = OWNER, call: str = CALL, key: str = "k") -> Once:
    begun = keys.begin(owner, call, key, {"body": body})
    assert isinstance(begun, Once)
    return begun


def test_the_first_answer_is_given_again_for_a_day(keys: Idempotency, clock: Clock) -> None:
    keys.finish(begin(keys), ANSWER)
    clock.advance(seconds=KEPT.total_seconds() - 60)
    assert keys.begin(OWNER, CALL, "k", {"body": None}) == ANSWER
    clock.advance(seconds=61)
    assert begin(keys).made is None


def test_a_key_belongs_to_one_owner_and_one_call(keys: Idempotency) -> None:
    keys.finish(begin(keys), ANSWER)
    begin(keys, owner=STRANGER)
    begin(keys, call="POST /api/instances/x/start")
    begin(keys, key="K")


def test_another_body_is_refused_and_the_order_of_its_fields_is_no_difference(keys: Idempotency) -> None:
    keys.finish(begin(keys, {"a": 1, "b": [2]}), ANSWER)
    assert keys.begin(OWNER, CALL, "k", {"body": {"b": [2], "a": 1}}) == ANSWER
    for other in ({"a": 1, "b": [3]}, {"a": 1}, None):
        with pytest.raises(IdempotencyKeyReused):
            keys.begin(OWNER, CALL, "k", {"body": other})


def test_while_it_is_carried_out_it_waits_and_a_process_that_is_silent_holds_it_for_a_minute(
    keys: Idempotency, clock: Clock
) -> None:
    begin(keys)
    with pytest.raises(IdempotencyInFlight):
        begin(keys)
    clock.advance(seconds=IN_FLIGHT.total_seconds() + 1)
    begin(keys)
    with pytest.raises(IdempotencyInFlight):
        begin(keys)
    clock.advance(hours=-1)
    begin(keys)


def test_a_silent_process_holds_it_hardly_longer_than_the_work_goes_on_that_it_began(
    keys: Idempotency, opened: Platform, surroundings: Surroundings, clock: Clock
) -> None:
    there = opened.instances.create(OWNER, GOOD, once=begin(keys, GOOD))
    surroundings.set_row(there.id, operation="create")
    with pytest.raises(IdempotencyInFlight):
        begin(keys, GOOD)
    surroundings.set_row(there.id, operation=None, updated_at=clock())
    with pytest.raises(IdempotencyInFlight):
        begin(keys, GOOD)  # It is about to answer, and that is the answer.
    clock.advance(seconds=ABOUT_TO_ANSWER.total_seconds())
    again = begin(keys, GOOD)
    assert again.made == there.id
    assert opened.instances.create(OWNER, GOOD, once=again) == opened.instances.get(OWNER, there.id)
    keys.finish(again, ANSWER)
    assert keys.begin(OWNER, CALL, "k", {"body": GOOD}) == ANSWER


def test_what_was_refused_leaves_the_key_free(keys: Idempotency) -> None:
    keys.release(begin(keys, "wrong"))
    keys.finish(begin(keys, "right"), ANSWER)
    assert keys.begin(OWNER, CALL, "k", {"body": "right"}) == ANSWER


def test_of_many_at_once_one_may(keys: Idempotency) -> None:
    def attempt(_: int) -> bool:
        try:
            return isinstance(keys.begin(OWNER, CALL, "k", {}), Once)
        except IdempotencyInFlight:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(24))) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\u00e9", "a\0", "a\n"])
def test_a_key_has_a_form(keys: Idempotency, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        keys.begin(OWNER, CALL, key, {})
    assert list(refused.value.errors) == ["Idempotency-Key"]


def test_nothing_of_the_body_can_be_guessed_from_what_is_stored(keys: Idempotency, surroundings: Surroundings) -> None:
    """Two keys of the same body share nothing that could be compared with a guess."""
    for key in ("k1", "k2"):
        begin(keys, "short secret", key=key)
    with surroundings.looking().reading():
        stored = [row.fingerprint for row in surroundings.rows.idempotency.select()]
    assert len(set(stored)) == 2
    assert "short secret" not in "".join(stored)


class TestForms:
    def test_a_form_that_is_sent_again_leads_to_the_same_bot(self, opened: Platform) -> None:
        first = opened.instances.create_once(OWNER, GOOD, "form-1")
        assert opened.instances.create_once(OWNER, GOOD, "form-1").id == first.id
        with pytest.raises(IdempotencyKeyReused):
            opened.instances.create_once(OWNER, {**GOOD, "name": "changed"}, "form-1")
        assert opened.instances.create_once(OWNER, GOOD, "form-2").id != first.id

    def test_many_clicks_at_once_make_one_bot(self, surroundings: Surroundings) -> None:
        platforms = [surroundings.open() for _ in range(2)]
        with ThreadPoolExecutor(8) as pool:
            made = pool.map(lambda at: platforms[at % 2].instances.create_once(OWNER, GOOD, "form").id, range(8))
            assert len(set(made)) == 1
        assert surroundings.count("instance") == 1

    def test_a_form_with_a_mistake_can_be_mended_and_sent(self, opened: Platform) -> None:
        with pytest.raises(InvalidInput):
            opened.instances.create_once(OWNER, {**GOOD, "name": ""}, "form")
        assert opened.instances.create_once(OWNER, GOOD, "form").name == GOOD["name"]

    def test_a_slow_engine_does_not_hold_the_form(self, surroundings: Surroundings) -> None:
        runtime = SlowRuntime(surroundings.memory, calls=("create",))
        platform = surroundings.open(runtime)
        first = platform.instances.create_once(OWNER, GOOD, "form")
        assert platform.instances.create_once(OWNER, GOOD, "form").id == first.id
        runtime.release()


# Takes a key, makes a bot under it, and is killed before it can say so.
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.platforms import GOOD, memory_platform
from clawdeploy.core.contracts import Instance
platform = memory_platform(Path(sys.argv[1]), DATABASE_URL=sys.argv[2])
once = platform.idempotency.begin("ann", "POST /api/instances", "k", GOOD)
platform.instances.create("ann", GOOD, wait=0, once=once)
print("made", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def after_a_death(surroundings: Surroundings) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", KILLED, str(surroundings.folder), surroundings.url]
    surroundings.open().close()
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("made\n", -signal.SIGKILL), done.stderr


@pytest.mark.usefixtures("after_a_death")
def test_a_request_whose_process_died_is_not_carried_out_again(surroundings: Surroundings) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    (there,) = platform.instances.list(OWNER).instances
    clock.advance(seconds=IN_FLIGHT.total_seconds() + 1)
    again = platform.idempotency.begin(OWNER, CALL, "k", GOOD)
    assert isinstance(again, Once)
    assert again.made == there.id
    assert platform.instances.create(OWNER, GOOD, once=again).id == there.id
    platform.idempotency.release(again)
    once_more = platform.idempotency.begin(OWNER, CALL, "k", GOOD)
    assert isinstance(once_more, Once)
    assert once_more.made == there.id
    assert surroundings.count("instance") == 1
