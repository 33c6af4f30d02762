"""A computer beyond this one: a network namespace at the other end of a cable, with a page to fetch."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

METADATA = "169.254.77.77"
"""In place of 169.254.169.254, where a cloud has its metadata service: of the same network, and nobody's."""
PAGE = "hello from outside"
PORT = 8099
SERVER = f"""
import socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", {PORT}))
listener.listen()
print("listening", flush=True)
while True:
    caller, _ = listener.accept()
    caller.recv(4096)
    caller.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n{PAGE}")
    caller.close()
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def outside() -> Iterator[str]:
    """Give the address of that computer; needs root."""
    mark = os.getpid() % 4096
    name, near, far = f"cdout{mark}", f"cdn{mark}", f"cdf{mark}"
    # Of 198.18.0.0/15, which is for tests of networks, four addresses for each test run.
    here, there = (f"198.18.{mark // 64}.{mark % 64 * 4 + last}" for last in (1, 2))
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        run("ip", "address", "add", f"{here}/30", "dev", near)
        run("ip", "link", "set", near, "up")
        run("ip", "-n", name, "address", "add", f"{there}/30", "dev", far)
        run("ip", "-n", name, "link", "set", far, "up")
        run("ip", "-n", name, "address", "add", f"{METADATA}/32", "dev", far)
        run("ip", "route", "add", f"{METADATA}/32", "via", there)
        command = ["ip", "netns", "exec", name, sys.executable, "-c", SERVER]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            assert server.stdout.readline() == "listening\n"
            try:
                yield there
            finally:
                server.kill()
    finally:
        run("ip", "netns", "delete", name)
