"""The database knows when a server used it, and a state of it that was restored does not believe that it did since."""

from datetime import datetime, timedelta

import pytest

from clawdeploy.core import spans as spans_module
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.spans import CLOCKS_DIFFER, EXTENDED_EVERY, LONGEST_SILENCE, Spans, covered
from tests.core.surroundings import Clock, Surroundings

pytestmark = pytest.mark.usefixtures("platform")
STEP = EXTENDED_EVERY.total_seconds()
SILENCE = LONGEST_SILENCE.total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spans(surroundings: Surroundings, clock: Clock) -> Spans:
    return of_a_process(surroundings, clock)


def of_a_process(surroundings: Surroundings, clock: Clock) -> Spans:
    return Spans(surroundings.looking(), surroundings.rows.span, clock)


def use(spans: Spans, clock: Clock, seconds: float) -> None:
    """Let time pass while a server uses the database."""
    spans.extend()
    for _ in range(int(seconds / STEP)):
        clock.advance(seconds=STEP)
        spans.extend()


def seconds_after(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)


def test_what_is_made_while_a_server_uses_the_database_is_covered(spans: Spans, clock: Clock) -> None:
    begun = clock()
    use(spans, clock, 60)
    assert covered([seconds_after(begun, 1), seconds_after(begun, 54)], spans.all())
    assert not covered([seconds_after(begun, -1)], spans.all())
    assert not covered([seconds_after(begun, 1), seconds_after(begun, -1)], spans.all()), "each of them has to be"


def test_it_is_one_span_as_long_as_there_is_no_silence(surroundings: Surroundings, spans: Spans, clock: Clock) -> None:
    use(spans, clock, 60)
    clock.advance(seconds=SILENCE - 1)
    spans.extend()
    assert surroundings.count("span") == 1
    clock.advance(seconds=SILENCE + 1)
    silent_at = clock() - timedelta(seconds=3)
    use(spans, clock, 60)
    assert surroundings.count("span") == 2
    assert not covered([silent_at], spans.all())
    assert covered([clock() - timedelta(seconds=30)], spans.all())


def test_it_is_not_written_at_each_look(surroundings: Surroundings, spans: Spans, clock: Clock) -> None:
    spans.extend()
    with surroundings.looking().reading():
        before = surroundings.rows.span.select().get().until
    clock.advance(seconds=STEP - 1)
    spans.extend()
    with surroundings.looking().reading():
        assert surroundings.rows.span.select().get().until == before


def test_the_end_of_a_span_is_not_sure_to_the_second(spans: Spans, clock: Clock) -> None:
    use(spans, clock, 60)
    ended = clock()
    assert not covered([ended], spans.all())
    assert not covered([ended - CLOCKS_DIFFER + timedelta(seconds=1)], spans.all())
    assert covered([ended - CLOCKS_DIFFER - timedelta(seconds=1)], spans.all())


def test_another_process_has_a_span_of_its_own(surroundings: Surroundings, spans: Spans, clock: Clock) -> None:
    use(spans, clock, 30)
    other = of_a_process(surroundings, clock)
    use(other, clock, 30)
    assert surroundings.count("span") == 2


def test_whoever_takes_over_has_been_here_since_its_start(
    surroundings: Surroundings, spans: Spans, clock: Clock
) -> None:
    spans.begin()
    begun = clock()
    for _ in range(3):
        clock.advance(seconds=2)
        spans.begin()
    with surroundings.looking().reading():
        assert surroundings.rows.span.select().get().until < clock() - timedelta(seconds=5), (
            "only who has it extends it"
        )
    use(spans, clock, 30)
    assert surroundings.count("span") == 1
    assert covered([seconds_after(begun, 1)], spans.all())


def test_a_clock_that_is_put_back_begins_anew(surroundings: Surroundings, spans: Spans, clock: Clock) -> None:
    use(spans, clock, 30)
    clock.advance(hours=-1)
    now = clock()
    use(spans, clock, 30)
    assert surroundings.count("span") == 2
    assert covered([seconds_after(now, 10)], spans.all())


def test_after_a_failure_of_the_database_a_new_one_begins(
    surroundings: Surroundings, spans: Spans, clock: Clock
) -> None:
    """What answers then may be another server, with an older state. It does not matter who noticed the failure."""
    use(spans, clock, 30)
    database = surroundings.looking()
    clock.advance(seconds=2)
    fails = "SELECT * FROM nowhere" if database.path else "SET statement_timeout = 1; SELECT pg_sleep(1)"
    with pytest.raises(DatabaseUnavailable), database.reading():
        database.peewee.execute_sql(fails)
    made_then = clock()
    clock.advance(seconds=1)
    use(spans, clock, 60)
    assert surroundings.count("span") == 2
    assert not covered([made_then], spans.all())


def test_their_number_is_bounded(surroundings: Surroundings, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "MOST_SPANS", 3)
    for _ in range(5):
        of_a_process(surroundings, clock).extend()
        clock.advance(minutes=1)
    assert surroundings.count("span") == 3
    newest = of_a_process(surroundings, clock)
    use(newest, clock, 30)
    assert covered([clock() - timedelta(seconds=20)], newest.all())


class Saved:
    """A state of the database that can be put back, as from a backup."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._table = surroundings.rows.span
        self._database = surroundings.looking()
        with self._database.reading():
            self._rows = [row.__data__ for row in self._table.select()]

    def restore(self) -> None:
        with self._database.transaction():
            self._table.delete().execute()
            self._table.insert_many(self._rows).execute()


def test_a_state_that_is_put_back_under_a_running_server_is_noticed(
    surroundings: Surroundings, spans: Spans, clock: Clock
) -> None:
    use(spans, clock, 30)
    saved = Saved(surroundings)
    use(spans, clock, 10)
    unknown_since_then = clock() - timedelta(seconds=2)
    saved.restore()
    use(spans, clock, 60)
    assert surroundings.count("span") == 2
    assert not covered([unknown_since_then], spans.all())


def test_a_process_that_starts_on_a_state_of_a_moment_ago_does_not_go_on_with_its_span(
    surroundings: Surroundings, spans: Spans, clock: Clock
) -> None:
    """However fast somebody restores a backup: a new process never extends the span of another one."""
    use(spans, clock, 30)
    saved = Saved(surroundings)
    clock.advance(seconds=2)
    made_then = clock()
    spans.extend()
    saved.restore()
    clock.advance(seconds=1)
    started_anew = of_a_process(surroundings, clock)
    use(started_anew, clock, 60)
    assert not covered([made_then], started_anew.all())
