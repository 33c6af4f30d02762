"""An outage is told once, and a failure that takes long is waited for by one thread at a time."""

import logging
import threading
from contextlib import suppress

import pytest

from clawdeploy.core.errors import DatabaseUnavailable, InstanceNotFound
from clawdeploy.core.outage import PAUSE_SECONDS, SLOW_SECONDS, TOLD_EVERY, Outage

GONE = "It is gone."


class Time:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def outage(time: Time) -> Outage:
    made = Outage("read", clock=time)
    made.tells = True
    return made


def fails(outage: Outage, time: Time, after: float, why: str = GONE) -> None:
    with suppress(DatabaseUnavailable), outage.noted():
        time.now += after
        raise DatabaseUnavailable(why)


def works(outage: Outage) -> bool:
    """Say whether a use was let through; it works."""
    try:
        with outage.noted():
            return True
    except DatabaseUnavailable:
        return False


def test_what_fails_at_once_is_tried_by_everybody(outage: Outage, time: Time) -> None:
    for _ in range(3):
        fails(outage, time, SLOW_SECONDS / 2)
        assert works(outage)


def test_after_a_slow_failure_nobody_tries_for_a_moment(outage: Outage, time: Time) -> None:
    fails(outage, time, SLOW_SECONDS * 2)
    time.now += PAUSE_SECONDS * 0.9
    with pytest.raises(DatabaseUnavailable, match=GONE), outage.noted():
        pytest.fail("nobody is to try")
    time.now += PAUSE_SECONDS * 0.2
    assert works(outage)
    assert works(outage), "it is over"


def test_while_one_tries_the_others_are_refused_at_once(outage: Outage, time: Time) -> None:
    fails(outage, time, SLOW_SECONDS * 2)
    for _ in range(2):
        time.now += PAUSE_SECONDS * 1.1
        with suppress(DatabaseUnavailable), outage.noted():
            refused: list[bool] = []
            other = threading.Thread(target=lambda: refused.append(not works(outage)))  # noqa: B023 - it ends here.
            other.start()
            other.join(10)
            assert refused == [True]
            raise DatabaseUnavailable(GONE)
    time.now += PAUSE_SECONDS * 1.1
    assert works(outage), "whoever tries in vain does not keep others from trying later"


def test_other_errors_say_that_it_answers(outage: Outage, time: Time) -> None:
    fails(outage, time, SLOW_SECONDS * 2)
    time.now += PAUSE_SECONDS * 1.1
    with pytest.raises(InstanceNotFound), outage.noted():
        raise InstanceNotFound
    assert works(outage)
    assert works(outage)


def test_what_began_before_a_failure_and_worked_does_not_end_the_outage(outage: Outage, time: Time) -> None:
    with outage.noted():
        fails(outage, time, SLOW_SECONDS * 2)
    assert not works(outage)


def test_what_cannot_be_read_cannot_be_written(outage: Outage, time: Time) -> None:
    writing = Outage("written", outage, clock=time)
    fails(writing, time, SLOW_SECONDS * 2)
    assert works(outage), "what cannot be written may be read"
    time.now += PAUSE_SECONDS * 1.1
    assert works(writing)
    fails(outage, time, SLOW_SECONDS * 2)
    time.now += PAUSE_SECONDS * 1.1
    assert not works(writing), "that is for those to try who read"
    assert works(outage)
    assert works(writing)


def test_its_beginning_and_its_end_are_told_once(outage: Outage, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(100):
        fails(outage, time, 5.0)
        time.now += PAUSE_SECONDS
    for _ in range(3):
        works(outage)
    assert caplog.messages == [
        f"The database cannot be read: {GONE}",
        "The database can be read again, after 600 s.",
    ]


def test_one_that_seems_to_end_again_and_again_is_not_told_each_time(
    outage: Outage, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(10):
        fails(outage, time, 0.1)
        time.now += 1
        works(outage)
    assert len(caplog.messages) == 2
    fails(outage, time, 0.1)
    time.now += TOLD_EVERY
    fails(outage, time, 0.1)
    assert len(caplog.messages) == 3, "one that lasts is"


def test_whoever_opens_a_database_is_told_by_the_error(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    fails(Outage("read", clock=time), time, 5.0)
    assert caplog.messages == []
