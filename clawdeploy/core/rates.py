"""Rates, such as 60 a minute: how they are written in a setting, and how they and times are said in words."""

import math

from limits import RateLimitItem, parse_many

MOST_AT_A_RATE = 1_000
"""Each window is a row that holds the moment of everything in it."""
LONGEST_WINDOW = 24 * 60 * 60


def rates(value: str) -> tuple[RateLimitItem, ...]:
    """Read ``60/minute`` or ``60/minute;1000/hour``, the shortest window first; ``0`` means none.

    Raises ``ValueError`` with a sentence that helps.
    """
    if value == "0":
        return ()
    try:
        found = sorted(parse_many(value), key=RateLimitItem.get_expiry)
    except ValueError:
        raise ValueError("it must look like 60/minute or 60/minute;1000/hour, or be 0 for no limit") from None
    if not all(1 <= rate.amount <= MOST_AT_A_RATE and rate.get_expiry() <= LONGEST_WINDOW for rate in found):
        raise ValueError(f"each rate must allow 1 to {MOST_AT_A_RATE} within a day at most; 0 alone means no limit")
    if len({rate.get_expiry() for rate in found}) < len(found):
        raise ValueError("give one rate for each length of time")
    return tuple(found)


def period(rate: RateLimitItem) -> str:
    """Return the length of a rate's window: ``minute``, ``10 minutes``."""
    name = rate.GRANULARITY.name
    return name if rate.multiples == 1 else f"{rate.multiples} {name}s"


def within(rate: RateLimitItem) -> str:
    """Say how many that are in which time: ``60 times within a minute``."""
    article = "" if rate.multiples > 1 else "an " if rate.GRANULARITY.name == "hour" else "a "
    times = "once" if rate.amount == 1 else f"{rate.amount} times"
    return f"{times} within {article}{period(rate)}"


def duration(seconds: int) -> str:
    """Say how long that is, never shorter than it is."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds > 2 * length:
            return f"{math.ceil(seconds / length)} {unit}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
