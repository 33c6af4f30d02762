"""The checks of ``clawdeploy doctor`` that look at network ports."""

import errno
import json
import os
import socket
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from typing import Any

from clawdeploy.core.doctor.ground import Ground, Unmet
from clawdeploy.core.settings import BIND_ADDRESS, HOST, PORT, PORT_RANGE

PATIENCE = 5.0


def for_bots(ground: Ground) -> str:
    """At least one port of the range is free for a bot."""
    low, high = ground.config[PORT_RANGE]
    address = ground.config[BIND_ADDRESS]
    if _listener_error(address, 0) == errno.EADDRNOTAVAIL:
        raise Unmet(
            f"{BIND_ADDRESS.name}={address} is not an address of this machine",
            f"Set {BIND_ADDRESS.name} to an address that `ip address` shows, such as 127.0.0.1.",
        )
    free = sum(_listener_error(address, port) == 0 for port in range(low, high + 1))
    if not free:
        raise Unmet(f"No port from {low} to {high} on {address} is free")
    return f"{free} of {high - low + 1} ports from {low} to {high} on {address} are free"


def for_web(ground: Ground) -> str:
    """The server can listen on its port, or does already."""
    address, port = ground.config[HOST], ground.config[PORT]
    failed = _listener_error(address, port)
    if failed == 0:
        return f"{address} port {port} is free for the server"
    if failed != errno.EADDRINUSE:
        raise Unmet(
            f"The server cannot listen on {address} port {port} ({os.strerror(failed)})",
            f"Set {HOST.name} to an address of this machine and {PORT.name} to a port from 1024 up.",
        )
    health = _health(address, port)
    if health is None:
        raise Unmet(f"Another program listens on {address} port {port}")
    if health.get("database") == "disconnected":
        raise Unmet(
            f"ClawDeploy answers on {address} port {port}, but cannot use its database",
            "Its log says why. If the database was removed or another one put in its place, start ClawDeploy again.",
        )
    return f"ClawDeploy answers on {address} port {port}"


def _listener_error(address: str, port: int) -> int:
    """Return 0 when a program could listen there, else the ``errno`` that it would get."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def _health(address: str, port: int) -> dict[str, Any] | None:
    """Ask whoever listens for its health; ``None`` when it is not ClawDeploy, which tells of its engine in it."""
    connection = HTTPConnection(address, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/api/health")
        health = json.loads(connection.getresponse().read(10_000))
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return health if isinstance(health, dict) and "docker" in health else None
