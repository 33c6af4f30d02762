"""Rates in settings and in words."""

import pytest
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute, RateLimitItemPerSecond

from clawdeploy.core.rates import duration, period, rates, within


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        ("60/minute", [RateLimitItemPerMinute(60)]),
        ("60 per minute", [RateLimitItemPerMinute(60)]),
        ("1/Second", [RateLimitItemPerSecond(1)]),
        ("5/10minutes", [RateLimitItemPerMinute(5, 10)]),
        ("1000/hour;60/minute", [RateLimitItemPerMinute(60), RateLimitItemPerHour(1000)]),
        ("60/minute, 1000/hour", [RateLimitItemPerMinute(60), RateLimitItemPerHour(1000)]),
        ("1000/day", None),
        ("0", []),
    ],
)
def test_what_can_be_said(value: str, read_as: list[RateLimitItem] | None) -> None:
    found = rates(value)
    assert list(found) == read_as if read_as is not None else len(found) == 1


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("60", "must look like 60/minute"),
        ("sixty/minute", "must look like 60/minute"),
        ("60/fortnight", "must look like 60/minute"),
        ("-1/minute", "must look like 60/minute"),
        ("60/minute;", "must look like 60/minute"),
        ("6²/minute", "must look like 60/minute"),
        ("9" * 5000 + "/minute", "must look like 60/minute"),
        ("no", "must look like 60/minute"),
        ("0/minute", "0 alone means no limit"),
        ("1001/minute", "1 to 1000"),
        ("1/2days", "within a day"),
        ("1/year", "within a day"),
        ("60/minute;50/minute", "one rate for each length"),
        ("60/minute;50/60seconds", "one rate for each length"),
    ],
)
def test_what_cannot_gets_a_sentence(value: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        rates(value)


@pytest.mark.parametrize(
    ("value", "length", "words"),
    [
        ("60/minute", "minute", "60 times within a minute"),
        ("1/2seconds", "2 seconds", "once within 2 seconds"),
        ("9/hour", "hour", "9 times within an hour"),
        ("5/10minutes", "10 minutes", "5 times within 10 minutes"),
    ],
)
def test_rates_in_words(value: str, length: str, words: str) -> None:
    (rate,) = rates(value)
    assert (period(rate), within(rate)) == (length, words)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (60, "60 seconds"),
        (120, "120 seconds"),
        (121, "3 minutes"),
        (180, "3 minutes"),
        (7200, "120 minutes"),
        (7201, "3 hours"),
        (86400, "24 hours"),
    ],
)
def test_times_in_words_are_never_too_short(seconds: int, words: str) -> None:
    assert duration(seconds) == words
