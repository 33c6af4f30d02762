"""How the text of a setting becomes its value; each raises ``ValueError`` with a sentence when it cannot."""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

HOST_NAME = re.compile(r"[a-z0-9._-]+")


def text(value: str) -> str:
    """Take the text as it is."""
    return value


def one_of(*choices: str) -> Any:
    """Make a parser for one of a few words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"it must be {' or '.join(choices)}")
        return value

    return parse


def names(value: str) -> tuple[str, ...]:
    """Split a comma-separated list, dropping empty parts."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def flag(value: str) -> bool:
    """Read yes or no."""
    lowered = value.lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError("say yes or no")


def whole_number(low: int, high: int) -> Any:
    """Make a parser for a whole number from ``low`` to ``high``."""

    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 12 or not low <= int(value) <= high:
            raise ValueError(f"it must be a whole number from {low} to {high}")
        return int(value)

    return parse


def megabytes(value: str) -> int | None:
    """Read an amount of megabytes to keep free, ``None`` for ``off``."""
    if value.lower() == "off":
        return None
    try:
        return int(whole_number(0, 10**8)(value))
    except ValueError:
        raise ValueError("it must be a whole number of megabytes, or off") from None


def span(longest: timedelta) -> Callable[[str], timedelta]:
    """Make a parser for a length of time such as ``12h`` or ``30d``, up to the longest."""

    def parse(value: str) -> timedelta:
        found = re.fullmatch(r"([1-9][0-9]{0,5})([hd])", value)
        if found:
            length = timedelta(hours=int(found[1])) if found[2] == "h" else timedelta(days=int(found[1]))
            if length <= longest:
                return length
        raise ValueError(f"it must be a time such as 12h or 30d, at most {longest.days}d")

    return parse


def port_range(value: str) -> tuple[int, int]:
    """Read ``10000-20000`` as an inclusive range of host ports."""
    first, dash, last = value.partition("-")
    if not (dash and value.isascii() and first.strip().isdigit() and last.strip().isdigit()):
        raise ValueError("it must look like 10000-20000")
    low, high = int(first), int(last)
    if not 1024 <= low <= high <= 65535:
        raise ValueError("both ends must be from 1024 to 65535, the smaller one first")
    return low, high


def address(value: str) -> str:
    """Read an IP address to bind to."""
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("it must be an IP address such as 127.0.0.1") from None


def origin(value: str) -> str:
    """Read a web origin: scheme and host, and a port if it is not the usual one."""
    parts = urlsplit(value.rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise ValueError("it must look like https://bots.example.org, without a path")
    if parts.username or parts.password:
        raise ValueError("it must not hold a user name or a password")
    if ":" not in parts.hostname and not HOST_NAME.fullmatch(parts.hostname):
        raise ValueError("the host must consist of letters, digits, dots and hyphens, as browsers write it (xn--...)")
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


def database_url(value: str) -> str:
    """Read a database URL; only SQLite and PostgreSQL are known."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 -- looking at it checks it
    except ValueError:
        # Python's own words would show a part of the password when that holds a slash.
        raise ValueError("host or port are malformed; a /, @ or : in a password is written %2F, %40, %3A") from None
    if parts.scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError("it must start with sqlite:/// or postgresql://")
    if not parts.path.strip("/"):
        raise ValueError("it must end with the name of a database: sqlite:////path/file.db or postgresql://host/name")
    return value


def networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read comma-separated IP addresses and networks."""
    try:
        found = tuple(ip_network(name) for name in names(value))
    except ValueError as error:
        raise ValueError(f"it must be addresses or networks such as 127.0.0.1, 10.0.0.0/8: {error}") from None
    if not all(network.prefixlen for network in found):
        raise ValueError("a network of all addresses would let anybody say who they are")
    return found
