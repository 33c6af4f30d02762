"""Probes: the container's own answer decides, in bounded time, whatever it sends."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clawdeploy.plugins.docker_runtime.probing import is_ready, probed_address


@contextmanager
def answering(*pieces: bytes, pause: float = 0.0) -> Iterator[int]:
    """A server that sends these pieces to one caller, with pauses between them; gives its port."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        return
                    if ended.wait(pause):
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 503 Later\r\n\r\n", False),
        (b"HTTP/1.1 2000 Odd\r\n\r\n", False),
        (b"HTTP/1.1 2", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (b"\x00" * 100, False),
        (b"", False),
    ],
)
def test_the_status_line_decides(answer: bytes, ready: bool) -> None:
    with answering(answer) as port:
        assert is_ready("127.0.0.1", port, "/", 1.0) is ready


def test_a_slow_answer_counts_while_there_is_time() -> None:
    with answering(b"HTTP/1.1", b" 200 OK\r\n", pause=0.1) as port:
        assert is_ready("127.0.0.1", port, "/", 2.0)


def test_a_dripping_answer_is_given_up_in_time() -> None:
    with answering(*[b"H"] * 100, pause=0.1) as port:
        begun = time.monotonic()
        assert not is_ready("127.0.0.1", port, "/", 0.5)
        assert time.monotonic() - begun < 0.9


def test_silence_is_given_up_in_time() -> None:
    with answering(b"", pause=5) as port:
        begun = time.monotonic()
        assert not is_ready("127.0.0.1", port, "/", 0.3)
        assert time.monotonic() - begun < 0.6


def test_nobody_there() -> None:
    assert not is_ready("127.0.0.1", 1, "/", 0.5)
    assert not is_ready("host.invalid", 80, "/", 0.5)


def test_the_path_is_asked_for() -> None:
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert is_ready("127.0.0.1", listener.getsockname()[1], "/healthz", 2.0)
        thread.join()
    assert heard[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("bind_address", "engine_host", "host"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("0.0.0.0", None, "127.0.0.1"),
        ("::", None, "::1"),
        ("192.0.2.7", None, "192.0.2.7"),
        ("0.0.0.0", "docker.example.org", "docker.example.org"),
    ],
)
def test_where_a_bound_port_is_reached(bind_address: str, engine_host: str | None, host: str) -> None:
    assert probed_address(bind_address, engine_host) == host
