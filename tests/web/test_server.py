"""The server itself: real processes, real sockets, real signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from clawdeploy.core.testing import eventually
from clawdeploy.web.server import GRACE_SECONDS
from tests.browser.sites import STAGED
from tests.browser.staged_server import RUNTIME, StagedEngine
from tests.web.serving import HOST, Answer, Served, environment, free_port, run_serve

pytestmark = pytest.mark.system

GOOD = b'{"name": "test", "model": "gpt-5.2", "channel": "telegram"}'
JSON = {"content_type": "application/json"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path, WORKERS="1")
    yield server
    server.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give a server to those who leave it as it is."""
    server = Served(tmp_path_factory.mktemp("shared"), WORKERS="1")
    yield server
    server.close()


def head(served: Served, length: int, **extra: str) -> bytes:
    """Return the head of a create whose body has ``length`` bytes."""
    lines = [
        "POST /api/instances HTTP/1.1",
        "Host: localhost",
        f"Authorization: {served.bearer}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in extra.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_it_serves_and_says_so_once(served: Served) -> None:
    assert f"http://127.0.0.1:{served.port}" in served.announced
    answer = served.call("POST", "/api/instances", GOOD, **JSON)
    assert answer.status == 201
    assert answer.headers["Server"] == "gunicorn", "no version"
    (worker,) = served.workers()
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while served.workers() in ([worker], []) and time.monotonic() < deadline:
        os.sched_yield()
    assert served.call("GET", "/api/health").status == 200
    assert served.stop() == 0
    assert served.process.stdout is not None
    assert "ready" not in served.process.stdout.read()


def test_it_leaves_nothing_in_the_home_folder(served: Served) -> None:
    assert list((served.folder / "home").iterdir()) == []


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_and_in_good_order(served: Served, by: signal.Signals) -> None:
    """Neither a browser that keeps its connection nor one that stopped half-way keeps the server from ending."""
    with (
        served.connect(),
        served.connect(b"GET / HT"),
        served.connect(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n") as kept,
    ):
        assert kept.recv(12) == b"HTTP/1.1 200"
        begun = time.monotonic()
        assert served.stop(by) == 0
        assert time.monotonic() - begun < 6
    said = served.log.read_text()
    assert "Traceback" not in said
    assert "ERROR" not in said


def test_a_request_that_is_under_way_is_finished_first(served: Served) -> None:
    with served.connect(head(served, len(GOOD)) + GOOD[:10]) as slow, ThreadPoolExecutor() as others:
        assert served.call("GET", "/api/health").status == 200
        stopping = others.submit(served.stop)
        while True:
            try:
                served.connect().close()
            except ConnectionResetError:
                # The listener was closed while this connection was waiting in it; the next one is refused.
                continue
            except ConnectionRefusedError:
                break
        slow.sendall(GOOD[10:])
        assert slow.recv(12) == b"HTTP/1.1 201"
        slow.close()
        assert stopping.result() == 0


@pytest.mark.prove
def test_a_request_may_wait_for_longer_than_a_server_usually_takes_to_end(tmp_path: Path) -> None:
    staged = Served(tmp_path, STAGED, RUNTIME=RUNTIME, WORKERS="1", WAIT_SECONDS=str(GRACE_SECONDS + 15))
    with closing(staged), ThreadPoolExecutor() as others:
        engine = StagedEngine(staged.port)
        engine.order("hold", "create")
        asked = others.submit(staged.call, "POST", "/api/instances", GOOD, **JSON)
        assert eventually(lambda: b'"create"' in staged.call("GET", "/api/instances").body, 10)
        ending = others.submit(staged.stop)
        # That it is still there after its usual time is what no event tells of.
        time.sleep(GRACE_SECONDS + 3)
        engine.order("release", "create")
        assert json.loads(asked.result().body)["instance"]["status"] == "running"
        assert ending.result() == 0


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_still_ends_well(tmp_path: Path) -> None:
    served = Served(tmp_path, WORKERS="2")
    for pid in served.workers():
        os.kill(pid, signal.SIGINT)
    assert served.stop(signal.SIGINT) == 0
    assert "Traceback" not in served.log.read_text()
    served.close()


def test_a_reload_that_is_sent_to_all_processes_cuts_no_worker_off(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="2")) as served:
        before = served.workers()
        for pid in before:
            os.kill(pid, signal.SIGHUP)
        for _ in range(10):
            assert served.call("GET", "/api/health").status == 200
        assert served.workers() == before


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        begun = time.monotonic()
        ended = run_serve(tmp_path, PORT=str(port))
    assert time.monotonic() - begun < 10
    assert ended.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in ended.stderr
    assert "CLAWDEPLOY_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_foreign_address_is_one_sentence(tmp_path: Path) -> None:
    ended = run_serve(tmp_path, HOST="192.0.2.1", PORT="18080")
    assert ended.returncode == 1
    assert "192.0.2.1 is not an address of this machine" in ended.stderr
    assert "Traceback" not in ended.stderr


FAILING = """
import sys
from clawdeploy.core.errors import WrongKey
from clawdeploy.core.plugins import PluginHost
from clawdeploy.web.server import serve
import os
host = PluginHost.discover(os.environ)
def fail():
    raise {error}
serve(host.config(os.environ), fail, lambda: print("ready"))
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [("WrongKey('The key does not fit.')", "The key does not fit."), ("ValueError('boom')", "ValueError: boom")],
)
def test_workers_that_cannot_start_end_the_server(tmp_path: Path, error: str, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FAILING.format(error=error)],
        env=environment(tmp_path, PORT=str(free_port()), WORKERS="2"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.count(said) == 1
    assert "ready" not in ended.stdout


class TestSlowClients:
    """Lesson: four half-open connections stopped a server."""

    @pytest.mark.parametrize("begin", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
    def test_two_hundred_half_open_connections_cost_nothing(self, shared: Served, begin: bytes) -> None:
        with ExitStack() as held:
            for _ in range(200):
                held.enter_context(shared.connect(begin))
            for _ in range(5):
                begun = time.monotonic()
                assert shared.call("GET", "/api/health").status == 200
                assert time.monotonic() - begun < 1

    def test_clients_that_never_close_cost_nothing(self, shared: Served) -> None:
        with ExitStack() as held:
            for _ in range(100):
                held.enter_context(shared.connect(b"GET /api/health HTTP/1.0\r\n\r\n"))
            begun = time.monotonic()
            assert shared.call("GET", "/api/health").status == 200
            assert time.monotonic() - begun < 2

    def test_bodies_that_never_come_do_not_wait_for_strangers(self, shared: Served) -> None:
        stranger = (
            b"POST /api/instances HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        )
        with ExitStack() as held:
            for _ in range(40):
                held.enter_context(shared.connect(stranger))
            begun = time.monotonic()
            assert shared.call("GET", "/api/health").status == 200
            assert time.monotonic() - begun < 3

    def test_a_head_that_does_not_end_is_given_up(self, shared: Served) -> None:
        with shared.connect(b"GET / HTTP/1.1\r\n") as slow:
            begun = time.monotonic()
            with suppress(ConnectionResetError):
                assert slow.recv(1) == b""
            assert 5 < time.monotonic() - begun < 15

    @pytest.mark.parametrize("begin", [b"", b"GET / HT"])
    def test_a_client_that_closes_its_side_too_early_is_let_go_at_once(self, shared: Served, begin: bytes) -> None:
        with shared.connect(begin) as gone:
            begun = time.monotonic()
            gone.shutdown(socket.SHUT_WR)
            assert gone.recv(1) == b""
            assert time.monotonic() - begun < 3

    def test_a_body_that_does_not_end_is_given_up_and_changes_nothing(self, shared: Served) -> None:
        before = shared.call("GET", "/api/instances").body
        answer = shared.answer(head(shared, len(GOOD) + 1) + GOOD)
        assert (answer.status, answer.problem()["code"]) == (400, "body_incomplete")
        assert shared.call("GET", "/api/instances").body == before

    def test_a_request_that_comes_byte_by_byte_is_served(self, shared: Served) -> None:
        with shared.connect() as slow:
            slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in head(shared, len(GOOD)) + GOOD:
                slow.send(bytes([byte]))
            assert slow.recv(12) == b"HTTP/1.1 201"

    def test_a_kept_connection_serves_one_request_after_another(self, shared: Served) -> None:
        request = b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"
        with shared.connect() as kept:
            for piece in (request, request[:20], request[20:], request * 3):
                kept.sendall(piece)
            kept.sendall(request.replace(b"Host", b"Connection: close\r\nHost"))
            seen = b""
            while more := kept.recv(65536):
                seen += more
        assert seen.count(b"HTTP/1.1 200") == 6


def test_an_engine_that_accepts_and_never_answers_delays_nobody(tmp_path: Path) -> None:
    """Anybody may ask for the health, so that asking often must not use up the threads that serve all others."""
    with socket.socket() as engine, ThreadPoolExecutor(76) as others:
        engine.bind((HOST, 0))
        engine.listen(128)
        hanging = f"tcp://{HOST}:{engine.getsockname()[1]}"
        with closing(Served(tmp_path, WORKERS="1", RUNTIME="docker", DOCKER_HOST=hanging)) as served:

            def timed(path: str) -> tuple[float, Answer]:
                begun = time.monotonic()
                answer = served.call("GET", path)
                return time.monotonic() - begun, answer

            lists = ["/api/channels", "/api/instances", "/dashboard"] * 4
            answers = list(others.map(timed, ["/api/health"] * 64 + lists))
            assert {answer.status for _, answer in answers} == {200}
            assert b'"docker": "disconnected"' in answers[0][1].body
            assert max(took for took, _ in answers) < 2
            assert served.stop() == 0


class TestHostileRequests:
    @pytest.mark.parametrize("size", [70_000, 10_000_000])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_big_body_is_refused_and_not_kept(self, shared: Served, size: int, chunked: bool) -> None:
        body = b" " * size
        if chunked:
            start = head(shared, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            answer = shared.answer(start + b"%x\r\n%b\r\n0\r\n\r\n" % (size, body))
        else:
            answer = shared.answer(head(shared, size) + body)
        assert (answer.status, answer.problem()["code"]) == (413, "body_too_large")

    def test_big_bodies_cost_no_memory(self, served: Served) -> None:
        (worker,) = served.workers()

        def peak() -> int:
            status = Path(f"/proc/{worker}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0])

        served.call("GET", "/api/instances")
        before = peak()
        with ThreadPoolExecutor(8) as others:
            answers = others.map(lambda _: served.call("POST", "/api/instances", b" " * 20_000_000, **JSON), range(16))
        assert {answer.status for answer in answers} == {413}
        assert peak() - before < 40_000, "kilobytes"

    @pytest.mark.parametrize(
        ("request_", "status", "code"),
        [
            (b"FOO\r\n\r\n", 400, "malformed_request"),
            (b"GET / HTTP/1.1\nHost: x\n\n", 400, "malformed_request"),
            (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n", 400, "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n\r\n", 400, "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "malformed_request"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed_request"),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
            (b"GET /" + b"a" * 90_000, 414, "uri_too_long"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 17000 + b"\r\n\r\n", 431, "headers_too_large"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "headers_too_large"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", 417, "expectation_failed"),
        ],
    )
    def test_what_is_not_http_gets_the_same_shape(
        self, shared: Served, request_: bytes, status: int, code: str
    ) -> None:
        answer = shared.answer(request_)
        assert (answer.status, answer.problem()["code"]) == (status, code)

    def test_a_malformed_chunk_is_the_senders_fault(self, shared: Served) -> None:
        start = head(shared, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        answer = shared.answer(start + b"zz\r\n")
        assert (answer.status, answer.problem()["code"]) == (400, "body_incomplete")

    def test_what_a_proxy_would_say_is_not_believed(self, shared: Served) -> None:
        odd = {"script_name": "/x", "x_forwarded_proto": "https", "x_forwarded_for": "1.2.3.4", "x_script_name": "/y"}
        assert shared.call("GET", "/api/health", None, **odd).status == 200
        assert shared.answer(b"GET /api/health HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /x\r\n\r\n").status == 200

    def test_a_sign_in_link_in_a_malformed_request_is_not_logged(self, served: Served) -> None:
        served.answer(b"GET /sign-in/very-secret HTTP/9.9\r\nHost: x\r\n\r\n")
        served.call("GET", "/sign-in/very-secret?very-secret")
        assert served.stop() == 0
        assert "very-secret" not in served.log.read_text()


def test_two_workers_share_one_database(tmp_path: Path) -> None:
    served = Served(tmp_path, WORKERS="2")
    with ThreadPoolExecutor(16) as others:
        answers = list(others.map(lambda _: served.call("POST", "/api/instances", GOOD, **JSON), range(40)))
    assert {answer.status for answer in answers} == {201}, {answer.body for answer in answers if answer.status != 201}
    assert served.call("GET", "/api/instances").body.count(b'"containerId"') == 40
    assert served.stop() == 0
    said = served.log.read_text()
    assert "Traceback" not in said
    served.close()
