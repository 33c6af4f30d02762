"""Engines that are not what they should be, each on a Unix socket of its own; and a relay to the real one."""

import http.client
import json
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingMixIn, ThreadingTCPServer, UnixStreamServer
from typing import Any

from tests.plugins.docker_runtime.conftest import ADDRESS

VERSION = {
    "Version": "20.10.24+dfsg1",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.12",
    "Components": [{"Name": "Engine"}],
}

NETWORK = {
    "Id": "b" * 64,
    "Labels": {"clawdeploy.installation": "home"},
    "Options": {"com.docker.network.bridge.enable_icc": "false"},
}
"""That of the installation ``home``."""


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, handler: type[BaseRequestHandler]) -> None:
        super().__init__(str(path), handler)
        self._open: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that hang up."""

    def hang_up(self) -> None:
        """End all connections, as an engine does that ends."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def socket_path() -> Iterator[Path]:
    """A short path for a socket; those of ``tmp_path`` can be longer than the kernel allows."""
    folder = tempfile.mkdtemp(prefix="engine-")
    try:
        yield Path(folder) / "engine.sock"
    finally:
        shutil.rmtree(folder)


@contextmanager
def serving(handler: type[BaseRequestHandler], path: Path | None = None) -> Iterator[str]:
    """Serve on a Unix socket; gives the address for ``DOCKER_HOST``."""
    if path is None:
        with socket_path() as made, serving(handler, made) as address:
            yield address
        return
    server = _Server(path, handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"unix://{path}"
    finally:
        server.shutdown()
        thread.join()
        server.hang_up()
        server.server_close()
        path.unlink()


@contextmanager
def silent() -> Iterator[str]:
    """An engine that accepts connections and never answers."""
    with socket_path() as path, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield f"unix://{path}"


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """Something that answers everything with these bytes and hangs up."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with serving(Handler) as address:
        yield address


@contextmanager
def dripping(begin: bytes, over: str) -> Iterator[str]:
    """Something that says ``begin`` at once, and then a byte now and then; ``over`` is ``unix`` or ``tcp``."""
    ended = threading.Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            with suppress(OSError):
                self.request.sendall(begin)
                while not ended.wait(0.05):
                    self.request.sendall(b"H")

    with serving(Handler) if over == "unix" else serving_tcp(Handler) as address:
        try:
            yield address
        finally:
            ended.set()


@contextmanager
def serving_tcp(handler: type[BaseRequestHandler]) -> Iterator[str]:
    """Serve on a port of the loopback address; gives the address for ``DOCKER_HOST``."""
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


Answer = tuple[int, object]


class Script:
    """What an engine answers, by ``METHOD /path`` without version and query; and what it was asked."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        usual: dict[str, Answer] = {"GET /version": (200, VERSION), "GET /networks/clawdeploy-home": (200, NETWORK)}
        self.answers = usual | answers
        self.asked: list[str] = []


@contextmanager
def scripted(script: Script) -> Iterator[str]:
    """An engine that answers from a script; ``bytes`` go out as they are, anything else as JSON."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append(f"{self.command} {self.path}")
            bare = re.sub(r"^/v[\d.]+", "", self.path.partition("?")[0])
            status, said = script.answers[f"{self.command} {bare}"]
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def address_string(self) -> str:
            return "test"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with serving(Handler) as address:
        yield address


class _Upstream(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(ADDRESS.removeprefix("unix://"))


@contextmanager
def relay(loses: Callable[[str], bool], path: Path | None = None) -> Iterator[str]:
    """The real engine behind a line that loses the answers to some requests, after the engine did the work.

    ``loses`` is asked with ``METHOD /path?query``.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            upstream = _Upstream("engine", timeout=30)
            upstream.request(self.command, self.path, body, {"Content-Type": self.headers.get("Content-Type", "")})
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            if loses(f"{self.command} {self.path}"):
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = pass_on

        def address_string(self) -> str:
            return "test"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with serving(Handler, path) as address:
        yield address
