"""Old keys go, without anybody waiting for it, and those of before an update stay."""

import pytest

from clawdeploy.core.errors import IdempotencyInFlight
from clawdeploy.core.idempotency import FORGOTTEN_AT_ONCE, IN_FLIGHT, KEPT, FirstAnswer, Once
from tests.core.surroundings import OWNER, STRANGER, Clock, Surroundings

CALL = "POST /api/instances"
ANSWER = FirstAnswer(201, "{}", "/api/instances/x", "application/json")


def test_old_keys_are_forgotten_some_at_a_time(surroundings: Surroundings) -> None:
    clock = Clock()
    keys = surroundings.open(clock=clock).idempotency
    row = surroundings.rows.idempotency
    old = {"owner": STRANGER, "call": CALL, "fingerprint": "", "created_at": clock(), "until": clock()}
    with surroundings.looking().transaction():
        row.insert_many([{**old, "key": f"{number}"} for number in range(FORGOTTEN_AT_ONCE + 10)]).execute()
    clock.advance(seconds=KEPT.total_seconds() + 1)
    keys.begin(OWNER, CALL, "a", {})
    assert surroundings.count("idempotency") == 11
    keys.begin(OWNER, CALL, "b", {})
    assert surroundings.count("idempotency") == 2


def test_an_old_key_is_a_new_one_even_before_it_is_forgotten(surroundings: Surroundings) -> None:
    clock = Clock()
    keys = surroundings.open(clock=clock).idempotency
    row = surroundings.rows.idempotency
    old = {"owner": OWNER, "call": CALL, "fingerprint": "", "until": clock(), "made": "x"}
    with surroundings.looking().transaction():
        older = [{**old, "key": f"{at}", "created_at": clock() - KEPT} for at in range(FORGOTTEN_AT_ONCE)]
        row.insert_many([*older, {**old, "key": "k", "created_at": clock()}]).execute()
    clock.advance(seconds=KEPT.total_seconds() + 1)
    again = keys.begin(OWNER, CALL, "k", {"other": 1})
    assert isinstance(again, Once)
    assert again.made is None
    assert surroundings.count("idempotency") == 1


def test_deleting_old_keys_waits_for_nobody(surroundings: Surroundings) -> None:
    if surroundings.looking().path is not None:
        # There a transaction locks the whole database: nobody else is in the middle of one.
        return
    clock = Clock()
    keys = surroundings.open(clock=clock).idempotency
    for key in ("held", "free"):
        assert isinstance(keys.begin(STRANGER, CALL, key, {}), Once)
    clock.advance(seconds=KEPT.total_seconds() + 1)
    row = surroundings.rows.idempotency
    with surroundings.looking().transaction():
        row.update(made="x").where(row.key == "held").execute()
        assert isinstance(keys.begin(OWNER, CALL, "k", {}), Once)
    with surroundings.looking().reading():
        assert {one.key for one in row.select()} == {"held", "k"}


def test_an_answer_of_before_the_update_is_given_again(surroundings: Surroundings) -> None:
    """The key was answered by the version before, whose rows know no media type."""
    platform = surroundings.open()
    once = platform.idempotency.begin(OWNER, CALL, "k", {"a": 1})
    assert isinstance(once, Once)
    platform.idempotency.finish(once, ANSWER)
    platform.close()
    looking = surroundings.looking()
    with looking.transaction():
        looking.peewee.execute_sql("ALTER TABLE idempotency DROP COLUMN media_type")
        looking.peewee.execute_sql("DELETE FROM schema_migration WHERE name = '0004_answer_media_type'")
    assert looking.pending() == ["0004_answer_media_type"]
    before = FirstAnswer(201, "{}", "/api/instances/x")
    assert surroundings.open().idempotency.begin(OWNER, CALL, "k", {"a": 1}) == before


def test_a_key_that_the_version_before_took_lapses_by_itself(surroundings: Surroundings) -> None:
    """Its row does not know who holds it."""
    clock = Clock()
    platform = surroundings.open(clock=clock)
    platform.idempotency.begin(OWNER, CALL, "k", {"a": 1})
    platform.close()
    looking = surroundings.looking()
    with looking.transaction():
        looking.peewee.execute_sql("ALTER TABLE idempotency DROP COLUMN holder")
        looking.peewee.execute_sql("DELETE FROM schema_migration WHERE name = '0011_key_holder'")
    assert looking.pending() == ["0011_key_holder"]
    keys = surroundings.open(clock=clock).idempotency
    with pytest.raises(IdempotencyInFlight):
        keys.begin(OWNER, CALL, "k", {"a": 1})
    clock.advance(seconds=IN_FLIGHT.total_seconds() + 1)
    assert isinstance(keys.begin(OWNER, CALL, "k", {"a": 1}), Once)
