"""Clients that are slow, stand still or send far too much, hundreds at once: a good one does not notice."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.web.serving import HOST, Served

pytestmark = pytest.mark.system

MANY = 400
PROMISED_SECONDS = 0.5
GATE_SECONDS = 1.5
"""What is asked for here: a machine that runs other tests at the same time is slower than a server of its own."""
MOST_GROWN = 20 * 1024
"""Kilobytes of memory of a worker."""
ASKED = 40

logger = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of one worker, which everybody has to share."""
    server = Served(tmp_path_factory.mktemp("slow"), WORKERS="1", SIGN_IN_LIMIT="0")
    yield server
    server.close()


def post(bearer: str, *lines: str) -> bytes:
    head = ["POST /api/instances HTTP/1.1", "Host: x", "Content-Type: application/json", f"Authorization: {bearer}"]
    return "\r\n".join([*head, *lines, "", ""]).encode()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


# For each attack: what each client sends at first (with the bearer of somebody who is signed in), what it goes on to
# send, and after how many seconds each time.
ATTACKS: dict[str, tuple[Callable[[str], bytes], bytes, float]] = {
    "nothing": (lambda _: b"", b"", 1),
    "half a head": (lambda _: b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"", 1),
    "a head without end": (lambda _: b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"y", 1),
    "no body": (lambda bearer: post(bearer, "Content-Length: 60"), b"", 1),
    "a body of a byte a second": (lambda bearer: post(bearer, "Content-Length: 60"), b" ", 1),
    "chunks of a byte a second": (lambda bearer: post(bearer, "Transfer-Encoding: chunked"), b"1\r\n \r\n", 1),
    "a body that has to be asked for": (
        lambda bearer: post(bearer, "Content-Length: 60", "Expect: 100-continue"), b" ", 1,
    ),
    "a big body of strangers": (lambda _: post("Bearer cd_x", "Content-Length: 20000000"), b" " * 100, 0.2),
    "a body nobody asked for": (lambda _: get("/api/health")[:-2] + b"Content-Length: 900000\r\n\r\n", b" ", 0.2),
    "a body of two thirds": (lambda bearer: post(bearer, "Content-Length: 60000") + b" " * 40_000, b" ", 1),
    "garbage": (lambda _: b"FOO\r\n\r\n", b"", 1),
    "half of a second request": (lambda _: get("/api/health") + b"GET / HTTP/1.1\r\n", b"X", 1),
    "a file that is not read": (lambda _: get("/static/preview.png") * 3, b"", 1),
    "a document that is not read": (lambda _: get("/api/openapi.json") * 3, b"", 1),
}  # fmt: skip


class Crowd:
    """Many clients that do the same, until the end of the ``with`` block."""

    def __init__(self, served: Served, first: bytes, more: bytes, every: float) -> None:
        self._served = served
        self._first = first
        self._more = more
        self._every = every
        self._over = threading.Event()
        self._open = ExitStack()

    def __enter__(self) -> "Crowd":
        self._clients = [self._join() for _ in range(MANY)]
        self._sender = threading.Thread(target=self._go_on)
        self._sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._sender.join()
        self._open.close()

    def _join(self) -> socket.socket:
        client = self._open.enter_context(socket.socket())
        # So little that what is sent to it stands in the server's buffers, and not in its own.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.settimeout(30)
        client.connect((HOST, self._served.port))
        client.sendall(self._first)
        client.setblocking(False)
        return client

    def _go_on(self) -> None:
        """Send the next bytes, again and again; whoever was sent away comes back."""
        while not self._over.wait(self._every):
            for at, client in enumerate(self._clients):
                try:
                    if self._more:
                        client.send(self._more)
                    elif client.recv(1, socket.MSG_PEEK) == b"":
                        raise ConnectionResetError
                except BlockingIOError:
                    pass
                except OSError:
                    client.close()
                    with contextlib.suppress(OSError):
                        self._clients[at] = self._join()
                if self._over.is_set():
                    return


def resident(pid: int) -> int:
    """Return how many kilobytes of memory a process uses."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def timed(served: Served, times: int = ASKED) -> float:
    """Ask for somebody's list on new connections, for some seconds, and return the 95th percentile of the times."""
    took = []
    for _ in range(times):
        begun = time.monotonic()
        assert served.call("GET", "/api/instances").status == 200
        took.append(time.monotonic() - begun)
        # What matters is how long each one takes, over the time in which slow clients are given up and come again.
        time.sleep(0.02)
    return sorted(took)[int(len(took) * 0.95)]


QUICK = ("no body", "chunks of a byte a second", "a body nobody asked for", "a file that is not read")
"""What runs always; the others differ from them in where a client stops."""


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=() if what in QUICK else pytest.mark.prove) for what in ATTACKS]
)
def test_a_crowd_that_is_slow_delays_nobody(shared: Served, what: str) -> None:
    first, more, every = ATTACKS[what]
    (worker,) = shared.workers()
    timed(shared, 5)
    before = resident(worker)
    with Crowd(shared, first(shared.bearer), more, every):
        slowest = timed(shared)
        grown = resident(worker) - before
    logger.info("%s: p95 %.0f ms of %.0f, %s KB more", what, slowest * 1000, PROMISED_SECONDS * 1000, grown)
    assert slowest < GATE_SECONDS
    assert grown < MOST_GROWN
    assert shared.call("GET", "/api/instances").body == b'{"instances": []}'


@pytest.mark.prove
def test_bodies_of_100_mb_cost_neither_time_nor_memory(shared: Served) -> None:
    (worker,) = shared.workers()
    timed(shared, 5)
    before = resident(worker)
    over = threading.Event()
    answers: list[int] = []
    much = b" " * 100_000_000

    def send_much() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                answers.append(shared.call("POST", "/api/instances", much, Content_Type="application/json").status)

    senders = [threading.Thread(target=send_much) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        slowest = timed(shared)
        grown = resident(worker) - before
    finally:
        over.set()
        for sender in senders:
            sender.join()
    logger.info("100 MB: p95 %.0f ms, %s KB more", slowest * 1000, grown)
    assert slowest < GATE_SECONDS
    assert grown < MOST_GROWN
    assert set(answers) <= {413}
