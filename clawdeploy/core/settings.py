"""The core's own settings. Plugins register theirs beside them."""

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import clawdeploy
from clawdeploy.core.config import Config, Setting
from clawdeploy.core.rates import rates
from clawdeploy.core.setting_values import (
    address,
    database_url,
    flag,
    megabytes,
    names,
    networks,
    one_of,
    origin,
    port_range,
    text,
    whole_number,
)


def default_data_folder() -> Path:
    """Say where data lives when nobody says.

    A checkout keeps its data beside itself, so that two checkouts never share bots; an
    installed package has no folder of its own and uses the user's data folder (XDG Base
    Directory Specification).
    """
    checkout = Path(clawdeploy.__file__).resolve().parent.parent
    if (checkout / "setup.cfg").is_file():
        return checkout / "data"
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "clawdeploy"


HOST = Setting("CLAWDEPLOY_HOST", address, "127.0.0.1", "Address the web server listens on.")
PORT = Setting("CLAWDEPLOY_PORT", whole_number(1, 65535), 8080, "Port the web server listens on.")
DATA_DIR = Setting(
    "CLAWDEPLOY_DATA_DIR",
    Path,
    default_data_folder(),
    "Folder for the SQLite database and the key file. `data` in a checkout, "
    "`~/.local/share/clawdeploy` for an installed package.",
)
DATABASE_URL = Setting(
    "CLAWDEPLOY_DATABASE_URL",
    database_url,
    "",
    "Database, `postgresql://user:password@host/name` or `sqlite:////path/file.db`. Without it a SQLite file in the "
    "data folder is used. `DATABASE_URL` is read when this is not set. A PostgreSQL server on "
    "another machine is asked encrypted, and recognized, for sure only with `?sslmode=verify-full` at the end.",
    secret=True,
    fallback="DATABASE_URL",
)
PUBLIC_ORIGIN = Setting(
    "CLAWDEPLOY_PUBLIC_ORIGIN",
    origin,
    "",
    "Address under which browsers reach this server, such as `https://bots.example.org`. Links are made from it, "
    "and with https cookies are Secure.",
)
WORKERS = Setting("CLAWDEPLOY_WORKERS", whole_number(1, 64), 2, "Number of server processes.")
RUNTIME = Setting("CLAWDEPLOY_RUNTIME", text, "docker", "Name of the runtime that containers run on.")
BLUEPRINT = Setting("CLAWDEPLOY_BLUEPRINT", text, "standin", "Name of the blueprint that is deployed by default.")
PORT_RANGE = Setting(
    "CLAWDEPLOY_PORT_RANGE", port_range, (10000, 20000), "Host ports that bots get, both ends included."
)
BIND_ADDRESS = Setting(
    "CLAWDEPLOY_BIND_ADDRESS",
    address,
    "127.0.0.1",
    "Host address that bots' ports are bound to. Anything but 127.0.0.1 makes bots reachable from outside and from "
    "each other: Docker's port mapping passes by the host's firewall.",
)
WAIT_SECONDS = Setting(
    "CLAWDEPLOY_WAIT_SECONDS",
    whole_number(0, 300),
    20,
    "Seconds that a request waits for the outcome of its change before it answers while the work goes on.",
)
SYNC_SECONDS = Setting(
    "CLAWDEPLOY_SYNC_SECONDS", whole_number(1, 3600), 30, "Seconds between two periodic state syncs."
)
CLEANUP_GRACE_SECONDS = Setting(
    "CLAWDEPLOY_CLEANUP_GRACE_SECONDS",
    whole_number(1, 30 * 86400),
    600,
    "Seconds after which what carries our labels and belongs to no bot is removed.",
)
SYNC_SECRET = Setting(
    "CLAWDEPLOY_SYNC_SECRET",
    text,
    "",
    "Value of the `X-Sync-Secret` header that `POST /api/admin/sync` asks for. Without it the call does not exist.",
    secret=True,
)
AUDIT_DAYS = Setting(
    "CLAWDEPLOY_AUDIT_DAYS",
    whole_number(1, 3650),
    90,
    "Days for which the audit trail keeps its entries, which hold network addresses.",
)
LOG_FORMAT = Setting(
    "CLAWDEPLOY_LOG_FORMAT",
    one_of("text", "json"),
    "text",
    "How server and commands write their log to standard error: `text` for people, or `json`, one object a line.",
)
METRICS_SECRET = Setting(
    "CLAWDEPLOY_METRICS_SECRET",
    text,
    "",
    "Bearer token that `GET /metrics` asks for. Without it the address does not exist, and nothing is measured.",
    secret=True,
)
RATE_LIMIT = Setting(
    "CLAWDEPLOY_RATE_LIMIT",
    rates,
    rates("60/minute"),
    "How many changes (POST, PATCH, DELETE) each user may make: `60/minute`, or several as in `60/minute;1000/hour`. "
    "`0` means no limit.",
)
SIGN_IN_LIMIT = Setting(
    "CLAWDEPLOY_SIGN_IN_LIMIT",
    rates,
    rates("20/minute"),
    "How often signing in may fail from each network address before further failures are answered with 429. Good "
    "credentials are let in all the same. `0` means no limit.",
)
VISITOR_LIMIT = Setting(
    "CLAWDEPLOY_VISITOR_LIMIT",
    rates,
    rates("1000/minute"),
    "How many requests each server process takes from each network address of whoever is not signed in. `0` means no "
    "limit.",
)
MAX_INSTANCES_PER_USER = Setting(
    "CLAWDEPLOY_MAX_INSTANCES_PER_USER",
    whole_number(0, 1_000_000),
    25,
    "How many bots each user may have, those included that are still being deleted. `0` means no limit.",
)
MEMORY_RESERVE_MB: Setting[int | None] = Setting(
    "CLAWDEPLOY_MEMORY_RESERVE_MB",
    megabytes,
    256,
    "Megabytes of memory that have to stay free beside what a new bot may use, or creating one is refused. `off` looks "
    "at no memory.",
)
DISK_RESERVE_MB: Setting[int | None] = Setting(
    "CLAWDEPLOY_DISK_RESERVE_MB",
    megabytes,
    1024,
    "Megabytes that have to be free where Docker keeps its data, or creating a bot is refused. `off` looks at no disk.",
)
TRUSTED_PROXIES: Setting[tuple[IPv4Network | IPv6Network, ...]] = Setting(
    "CLAWDEPLOY_TRUSTED_PROXIES",
    networks,
    (),
    "Addresses or networks of your own web servers in front of this one, comma-separated. What `X-Forwarded-For` says "
    "of where a request came from is believed from these alone.",
)
SECRET_KEYS: Setting[tuple[str, ...]] = Setting(
    "CLAWDEPLOY_SECRET_KEYS",
    names,
    (),
    "Keys of bots' secrets, comma-separated: all decrypt, and `clawdeploy rotate-keys` encrypts everything with the "
    "first. Without it a key file is made in the data folder on first start.",
    secret=True,
)
DISABLED_PLUGINS: Setting[tuple[str, ...]] = Setting(
    "CLAWDEPLOY_DISABLED_PLUGINS", names, (), "Names of plugins that are not loaded, comma-separated."
)
STRICT_PLUGINS = Setting(
    "CLAWDEPLOY_STRICT_PLUGINS", flag, False, "Whether a failing third-party plugin stops start-up."
)

CORE_SETTINGS: tuple[Setting[Any], ...] = (
    HOST,
    PORT,
    DATA_DIR,
    DATABASE_URL,
    PUBLIC_ORIGIN,
    WORKERS,
    RUNTIME,
    BLUEPRINT,
    PORT_RANGE,
    BIND_ADDRESS,
    WAIT_SECONDS,
    SYNC_SECONDS,
    CLEANUP_GRACE_SECONDS,
    LOG_FORMAT,
    AUDIT_DAYS,
    SYNC_SECRET,
    METRICS_SECRET,
    RATE_LIMIT,
    SIGN_IN_LIMIT,
    VISITOR_LIMIT,
    MAX_INSTANCES_PER_USER,
    MEMORY_RESERVE_MB,
    DISK_RESERVE_MB,
    TRUSTED_PROXIES,
    SECRET_KEYS,
    DISABLED_PLUGINS,
    STRICT_PLUGINS,
)


def reachable(address: str) -> str:
    """Return the address at which what is bound to ``address`` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 -- nothing is bound here


def in_url(address: str) -> str:
    """Return an IP address as it is written in a URL."""
    return f"[{address}]" if ":" in address else address


def browser_origin(config: Config) -> str:
    """Return the origin under which a browser reaches this server: the public one, else host and port.

    A server that listens on all addresses is reached on the loopback address of this machine.
    """
    if config[PUBLIC_ORIGIN]:
        return config[PUBLIC_ORIGIN]
    return origin(f"http://{in_url(reachable(config[HOST]))}:{config[PORT]}")
