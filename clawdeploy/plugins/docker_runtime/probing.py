"""Asking a container itself whether it is ready."""

import re
import socket
import time

from clawdeploy.core.settings import reachable


def is_ready(host: str, port: int, path: str, timeout: float) -> bool:
    """Say whether ``GET path`` is answered with 2xx or 3xx within ``timeout`` seconds in all.

    Only the status line is read, by hand: what answers is the bot's program, and an HTTP library would let one that
    sends a byte a second hold the caller for hours.
    """
    deadline = time.monotonic() + timeout
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: clawdeploy\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.sendall(request.encode())
            answer = b""
            while len(answer) < len("HTTP/1.1 200 "):
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                received = connection.recv(64)
                if not received or time.monotonic() > deadline:
                    return False
                answer += received
    except OSError:
        return False
    return re.match(rb"HTTP/1\.[01] [23]\d\d\s", answer) is not None


def probed_address(bind_address: str, engine_host: str | None) -> str:
    """Return the address at which a port that the engine bound can be reached from here."""
    return reachable(bind_address) if engine_host is None else engine_host
