"""One question to the database, however many ask, and nobody waits for one that hangs."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from clawdeploy.core.database_health import KEEP_SECONDS, Condition, DatabaseHealth
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.testing import eventually
from tests.core.test_engine_health import FOR_EVER, Hours

SYNCED = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Reading:
    """A database that can be read, that fails, or that hangs until it is released."""

    def __init__(self) -> None:
        self.begun = 0
        self.fails = False
        self.synced_at: datetime | None = SYNCED
        self._answers = threading.Event()
        self._answers.set()

    def __call__(self) -> datetime | None:
        self.begun += 1
        assert self._answers.wait(60)
        if self.fails:
            raise DatabaseUnavailable
        return self.synced_at

    def hang(self) -> None:
        self._answers.clear()

    def release(self) -> None:
        self._answers.set()


@pytest.fixture
def reading() -> Iterator[Reading]:
    made = Reading()
    yield made
    made.release()


def test_what_was_found_is_good_for_a_moment(reading: Reading) -> None:
    clock = Hours()
    health = DatabaseHealth(reading, clock=clock)
    assert health.condition(FOR_EVER) == Condition(True, SYNCED)
    reading.fails = True
    clock.now += KEEP_SECONDS - 0.1
    assert health.condition(FOR_EVER).connected
    assert reading.begun == 1
    clock.now += 0.1
    assert health.condition(FOR_EVER) == Condition(False, SYNCED), "what was known has an age"
    reading.fails = False
    clock.now += KEEP_SECONDS
    assert health.condition(FOR_EVER).connected
    assert reading.begun == 3


def test_all_who_ask_at_once_share_one_question_and_nobody_waits_for_one_that_hangs(reading: Reading) -> None:
    clock = Hours()
    health = DatabaseHealth(reading, clock=clock)
    assert health.condition(FOR_EVER).connected
    reading.hang()
    clock.now += 10
    with ThreadPoolExecutor(20) as threads:
        said = list(threads.map(lambda _: health.condition(0.1), range(20)))
    assert said == [Condition(False, SYNCED)] * 20
    clock.now += 60
    assert not health.condition(60).connected, "the wait is counted from the beginning of the question"
    assert reading.begun == 2
    reading.release()
    assert eventually(lambda: health.condition(0).connected, 10)


def test_a_defect_is_no_answer_that_lasts(reading: Reading) -> None:
    defects = [KeyError("a defect")]

    def defect() -> datetime | None:
        if defects:
            raise defects.pop()
        return reading()

    clock = Hours()
    health = DatabaseHealth(defect, clock=clock)
    assert not health.condition(FOR_EVER).connected
    clock.now += KEEP_SECONDS
    assert health.condition(FOR_EVER) == Condition(True, SYNCED)


def test_before_the_first_sync_nothing_is_known(reading: Reading) -> None:
    reading.synced_at = None
    assert DatabaseHealth(reading).condition(FOR_EVER) == Condition(True, None)
