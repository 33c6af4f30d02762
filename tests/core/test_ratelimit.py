"""How often somebody may do something: exact, sliding, and the same whoever counts, on both databases."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from clawdeploy.core.clock import utc_now
from clawdeploy.core.errors import DatabaseUnavailable, RateLimited
from clawdeploy.core.platform import Platform
from clawdeploy.core.ratelimit import FORGOTTEN_AT_ONCE, RateLimit, Standing
from tests.core.surroundings import Clock, Surroundings


class StillClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def limit_of(surroundings: Surroundings, clock: StillClock | Clock, rate: str) -> RateLimit:
    return surroundings.open(clock=clock, RATE_LIMIT=rate).change_limit


def admitted(limit: RateLimit, who: str = "ann") -> bool:
    try:
        limit.take(who)
    except RateLimited:
        return False
    return True


def refusal(limit: RateLimit, who: str = "ann") -> RateLimited:
    with pytest.raises(RateLimited) as refused:
        limit.take(who)
    return refused.value


def told(standings: Sequence[Standing]) -> list[tuple[int, int, int]]:
    return [(one.rate.amount, one.remaining, one.seconds) for one in standings]


def test_the_usual_limit_is_sixty_a_minute(surroundings: Surroundings, clock: StillClock) -> None:
    limit = surroundings.open(clock=clock).change_limit
    assert [admitted(limit) for _ in range(62)] == [True] * 60 + [False] * 2


def test_how_somebody_stands(surroundings: Surroundings, clock: StillClock) -> None:
    limit = limit_of(surroundings, clock, "2/minute")
    assert told(limit.take("ann")) == [(2, 1, 60)]
    clock.advance(10.5)
    assert told(limit.take("ann")) == [(2, 0, 50)]
    clock.advance(1)
    refused = refusal(limit)
    assert told(refused.standings) == [(2, 0, 49)]
    assert refused.retry_after == 49
    assert refused.detail == (
        "You have asked for changes 2 times within a minute, which is the most. Try again in 49 seconds."
    )


def test_after_the_time_that_is_told_there_is_room_for_one(surroundings: Surroundings, clock: StillClock) -> None:
    """And not a second earlier."""
    limit = limit_of(surroundings, clock, "3/minute")
    for _ in range(3):
        limit.take("ann")
        clock.advance(7)
    told_after = refusal(limit).retry_after
    clock.advance(told_after - 1)
    assert not admitted(limit)
    clock.advance(1)
    assert [admitted(limit), admitted(limit)] == [True, False]


def test_what_was_refused_does_not_count(surroundings: Surroundings, clock: StillClock) -> None:
    limit = limit_of(surroundings, clock, "2/minute")
    assert [admitted(limit) for _ in range(2)] == [True, True]
    for _ in range(59):
        clock.advance(1)
        assert not admitted(limit)
    clock.advance(1)
    assert [admitted(limit) for _ in range(3)] == [True, True, False]


def test_the_window_slides(surroundings: Surroundings, clock: StillClock, request: pytest.FixtureRequest) -> None:
    """Whatever the moments, what is admitted is what a plain count of the last minute admits, to the microsecond."""
    chance = random.Random(request.config.getoption("seed"))
    limit = limit_of(surroundings, clock, "5/minute")
    counted: list[datetime] = []
    outcomes = set()
    for _ in range(200):
        # Often exactly a minute after something that counted, or a microsecond before that.
        if counted and chance.random() < 0.3:
            moment = counted[0] + timedelta(seconds=60, microseconds=-chance.randrange(2))
            clock.now = max(clock.now, moment)
        else:
            clock.advance(chance.choice([0, 0.000001, 1, 9.7, 25]))
        counted = [at for at in counted if clock.now - at < timedelta(minutes=1)]
        room = len(counted) < 5
        assert admitted(limit) == room
        outcomes.add(room)
        if room:
            counted.append(clock.now)
    assert outcomes == {True, False}


def test_several_rates_hold_at_once(surroundings: Surroundings, clock: StillClock) -> None:
    """What one rate refuses uses up nothing of the others."""
    limit = limit_of(surroundings, clock, "2/minute;3/hour")
    limit.take("ann")
    assert told(limit.take("ann")) == [(2, 0, 60), (3, 1, 3600)]
    assert [refusal(limit).retry_after for _ in range(5)] == [60] * 5
    clock.advance(60)
    assert told(limit.take("ann")) == [(2, 1, 60), (3, 0, 3540)]
    refused = refusal(limit)
    assert (refused.retry_after, told(refused.standings)) == (3540, [(2, 1, 60), (3, 0, 3540)])
    assert refused.detail.endswith("3 times within an hour, which is the most. Try again in 59 minutes.")
    clock.advance(3540)
    assert [admitted(limit) for _ in range(3)] == [True, True, False]


def test_when_all_rates_refuse_the_longest_wait_is_told(surroundings: Surroundings, clock: StillClock) -> None:
    limit = limit_of(surroundings, clock, "2/minute;2/hour")
    assert [admitted(limit), admitted(limit)] == [True, True]
    assert refusal(limit).retry_after == 3600


def test_everybody_has_a_limit_of_their_own(surroundings: Surroundings, clock: StillClock) -> None:
    platform = surroundings.open(clock=clock, RATE_LIMIT="1/minute", SIGN_IN_LIMIT="1/minute")
    for who in ("ann", "bob", "", "ann/1", "\0", "\ud800", "\U0001f980" * 5000, "a" * 5000):
        for limit in (platform.change_limit, platform.sign_in_limit):
            assert [admitted(limit, who), admitted(limit, who)] == [True, False]


def test_without_a_rate_everything_is_admitted_and_nothing_stored(surroundings: Surroundings) -> None:
    limit = surroundings.open(RATE_LIMIT="0").change_limit
    assert [limit.take("ann") for _ in range(100)] == [()] * 100
    assert surroundings.count("rate_limit") == 0


def test_of_many_at_the_same_instant_as_many_as_there_is_room_for(surroundings: Surroundings) -> None:
    limits = [surroundings.open(RATE_LIMIT="20/hour").change_limit for _ in range(2)]
    for who in ("ann", "bob", "cat"):
        together = threading.Barrier(16)

        def attempt(at: int, who: str = who, together: threading.Barrier = together) -> list[bool]:
            together.wait(30)
            return [admitted(limits[at % 2], who) for _ in range(4)]

        with ThreadPoolExecutor(16) as pool:
            outcomes = [outcome for each in pool.map(attempt, range(16)) for outcome in each]
        assert outcomes.count(True) == 20


def test_windows_begin_and_vanish_under_everybody_s_hands(surroundings: Surroundings) -> None:
    """With windows as short as can be, in which rows are forgotten while others make them and wait for them."""
    limits = [surroundings.open(RATE_LIMIT="1/second;2/2seconds").change_limit for _ in range(2)]
    ends = utc_now() + timedelta(seconds=2.2)
    mistakes: list[BaseException] = []

    def work(at: int) -> list[tuple[str, datetime, datetime]]:
        chance = random.Random(at)
        done = []
        while utc_now() < ends and not mistakes:
            who, before = chance.choice("abc"), utc_now()
            try:
                if admitted(limits[at % 2], who):
                    done.append((who, before, utc_now()))
            except BaseException as error:
                mistakes.append(error)
        return done

    with ThreadPoolExecutor(8) as pool:
        done = [each for one in pool.map(work, range(8)) for each in one]
    assert mistakes == []
    assert done
    for who in "abc":
        mine = sorted(each[1:] for each in done if each[0] == who)
        for (before, _), (_, after) in pairwise(mine):
            assert after - before >= timedelta(seconds=1)


def test_windows_that_are_empty_vanish(surroundings: Surroundings, clock: StillClock) -> None:
    limit = limit_of(surroundings, clock, "3/minute;9/hour")
    for number in range(FORGOTTEN_AT_ONCE):
        limit.take(f"user {number}")
    assert surroundings.count("rate_limit") == 2 * FORGOTTEN_AT_ONCE
    clock.advance(60)
    limit.take("ann")
    assert surroundings.count("rate_limit") == FORGOTTEN_AT_ONCE + 2
    clock.advance(3600)
    for _ in range(3):
        limit.take("bob")
        clock.advance(60)
    assert surroundings.count("rate_limit") == 2


def test_a_window_holds_no_more_than_its_rate(surroundings: Surroundings, clock: StillClock) -> None:
    limit = limit_of(surroundings, clock, "3/minute")
    for _ in range(50):
        admitted(limit)
        clock.advance(11)
    with surroundings.looking().reading():
        (row,) = surroundings.rows.rate_limit.select()
        assert len(row.hits) <= 3


@pytest.mark.parametrize("seconds", [30, 60])
def test_when_the_clock_was_put_back_a_little_everything_still_counts(
    surroundings: Surroundings, clock: StillClock, seconds: int
) -> None:
    limit = limit_of(surroundings, clock, "2/minute")
    limit.take("ann")
    clock.advance(-seconds)
    limit.take("ann")
    # What was done after the clock was put back is the first to leave the window.
    assert refusal(limit).retry_after == 60
    clock.advance(60)
    assert [admitted(limit), admitted(limit)] == [True, False]


def test_when_the_clock_was_put_back_a_lot_nobody_is_shut_out(surroundings: Surroundings, clock: StillClock) -> None:
    limit = limit_of(surroundings, clock, "2/minute")
    assert [admitted(limit), admitted(limit)] == [True, True]
    clock.advance(-24 * 3600)
    assert [admitted(limit) for _ in range(3)] == [True, True, False]
    assert refusal(limit).retry_after == 60


def test_what_had_to_wait_counts_from_when_it_was_admitted(surroundings: Surroundings) -> None:
    """Noted with the time before its turn came, it would leave the window too early."""
    clock = Clock()
    limit = limit_of(surroundings, clock, "5/minute")
    limit.take("ann")
    row = surroundings.rows.rate_limit
    with ThreadPoolExecutor(1) as pool:
        with surroundings.looking().transaction():
            row.update(empty_at=utc_now()).execute()
            waiting = pool.submit(limit.take, "ann")
            blocked(surroundings, waiting.done)
            clock.advance(seconds=50)
        waiting.result(20)
    with surroundings.looking().reading():
        first, second = row.get().hits
    assert second - first >= 50_000_000


def blocked(surroundings: Surroundings, done: object) -> None:
    """Return when somebody waits for a lock; SQLite does not tell, so there a moment has to do."""
    if surroundings.looking().path is not None:
        threading.Event().wait(0.3)
        return
    other = surroundings.open().database
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _ in range(1000):
        with other.reading():
            if other.peewee.execute_sql(waiting).fetchone() != (0,):
                return
    pytest.fail("nobody waits")


def test_nobody_waits_for_the_window_of_somebody_else(surroundings: Surroundings, clock: StillClock) -> None:
    """Not even to forget it. (On SQLite everybody waits for everybody, by its nature.)"""
    limit = limit_of(surroundings, clock, "5/minute")
    if surroundings.looking().path is not None:
        return
    limit.take("ann")
    clock.advance(61)
    row = surroundings.rows.rate_limit
    with surroundings.looking().transaction():
        row.update(hits=[]).execute()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(limit.take, "bob").result(5)
    assert surroundings.count("rate_limit") == 2


def test_while_the_database_fails_nothing_counts(surroundings: Surroundings) -> None:
    clock = Clock()
    limit = limit_of(surroundings, clock, "1/minute")
    clock.error = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        limit.take("ann")
    clock.error = None
    assert [admitted(limit), admitted(limit)] == [True, False]


def of_the_database(platform: Platform) -> datetime:
    with platform.database.reading():
        return platform.database.now()


@pytest.mark.postgres
def test_hosts_whose_clocks_differ_share_the_time_of_the_database(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The server's clock is put an hour ahead of this host's: what is noted is its time."""
    surroundings = Surroundings(tmp_path_factory.mktemp("host"), postgres_url)
    with surroundings.looking().transaction():
        for statement in AN_HOUR_AHEAD:
            surroundings.looking().peewee.execute_sql(statement.format(name=postgres_url.rpartition("/")[2]))
    platform = surroundings.open(RATE_LIMIT="1/minute")
    assert of_the_database(platform) - utc_now() > timedelta(minutes=59)
    assert [admitted(platform.change_limit), admitted(platform.change_limit)] == [True, False]
    with surroundings.looking().reading():
        assert surroundings.rows.rate_limit.get().empty_at - utc_now() > timedelta(minutes=59)
    surroundings.close()


AN_HOUR_AHEAD = (
    "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
    "AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 hour'''",
    'ALTER DATABASE "{name}" SET search_path = public, pg_catalog',
)


def test_a_database_has_a_time_near_ours(platform: Platform) -> None:
    before = utc_now()
    assert abs(of_the_database(platform) - before) < timedelta(seconds=30)
