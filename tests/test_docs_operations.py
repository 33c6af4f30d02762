"""The examples of ``docs/operations.md`` for the programs around a server: a unit of systemd, and Caddy in front."""

import http.client
import json
import logging
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from clawdeploy.core.testing import eventually
from tests.platforms import memory_platform
from tests.web.serving import HOST, Served, free_port

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"
SITE = "bots.example.org"
CLIENT = "127.0.0.5"
"""An address of this machine that is not the one that Caddy calls the server from."""
MANY = 200
GATE_SECONDS = 1.5
"""Three times what is promised of a machine that does nothing else."""
DIRECTIVES = {"servers", "timeouts", "read_header", "read_body", "write", "idle", "max_header_size", "request_body",
              "max_size", "reverse_proxy", SITE, ""}  # fmt: skip


logger = logging.getLogger(__name__)


def example(kind: str) -> str:
    """Return the one block of code of a kind."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    return str(found)


def unit() -> dict[str, dict[str, list[str]]]:
    """Return the values of the unit, by section and name."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in example("ini").splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.setdefault(name, []).append(value)
    return sections


def test_the_unit_keeps_what_bots_need_and_gives_no_more() -> None:
    sections = unit()
    assert list(sections) == ["Unit", "Service", "Install"]
    service = sections["Service"]
    assert service["ExecStart"] == ["/opt/clawdeploy/.venv/bin/clawdeploy serve"]
    assert service["User"] == ["clawdeploy"]
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == (["clawdeploy"], ["yes"])
    assert (service["StandardOutput"], service["StandardError"]) == (["null"], ["journal"])
    assert "CLAWDEPLOY_DATA_DIR=/var/lib/clawdeploy" in service["Environment"][0]
    assert service["CapabilityBoundingSet"] == [""]


def test_caddy_is_told_what_the_server_expects() -> None:
    text = example("caddyfile")
    assert {line.split(" ")[0].strip("{}") for line in map(str.strip, text.splitlines())} == DIRECTIVES
    assert text.count("{") == text.count("}")
    assert "reverse_proxy 127.0.0.1:8080\n" in text
    assert text.count("\n\t") > 5, "as `caddy fmt` has it"


@pytest.mark.prove
def test_systemd_takes_the_unit_and_finds_it_well_closed(tmp_path: Path) -> None:
    own = str(Path(sys.executable).with_name("clawdeploy"))
    file = tmp_path / "clawdeploy.service"
    file.write_text(example("ini").replace("/opt/clawdeploy/.venv/bin/clawdeploy", own))
    for command in (["verify", "--man=no"], ["security", "--offline=yes", "--threshold=20", "--no-pager"]):
        done = subprocess.run(["systemd-analyze", *command, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert command[0] != "verify" or done.stderr == ""


class Front:
    """Caddy with the configuration of the documentation, but for its certificate, which it makes itself."""

    def __init__(self, folder: Path, port: int, upstream: int) -> None:
        self.port = port
        self._folder = folder
        file = folder / "Caddyfile"
        own = f"{{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\thttp_port {free_port()}\n\thttps_port {port}\n"
        text = example("caddyfile").replace("{\n", own, 1).replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
        file.write_text(text)
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
        caddy = shutil.which("caddy")
        assert caddy, "apt-get install caddy (scripts/prove does so)"
        with (folder / "caddy.log").open("w") as log:
            self._process = subprocess.Popen([caddy, "run", "--config", str(file)], env=env, stdout=log, stderr=log)
        root = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        assert eventually(lambda: root.exists() and self._answers(), 20), (folder / "caddy.log").read_text()[-2000:]
        self.trust = ssl.create_default_context(cafile=str(root))

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def connect(self) -> ssl.SSLSocket:
        """Open a connection as a browser does that knows the site's name."""
        plain = socket.create_connection((HOST, self.port), timeout=30, source_address=(CLIENT, 0))
        return self.trust.wrap_socket(plain, server_hostname=SITE)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        """Send a request and return the answer, read to its end."""
        connection = http.client.HTTPSConnection(SITE, self.port)
        with closing(connection):
            connection.sock = self.connect()
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Host": f"{SITE}:{self.port}", **sent})
            answer = connection.getresponse()
            answer.said = answer.read()  # type: ignore[attr-defined]
            return answer

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[tuple[Front, Served]]:
    """Give Caddy and the server behind it."""
    with ExitStack() as undo:
        port = free_port()
        settings = {"PUBLIC_ORIGIN": f"https://{SITE}:{port}", "TRUSTED_PROXIES": "127.0.0.1", "WORKERS": "1"}
        served = undo.enter_context(closing(Served(tmp_path, **settings)))
        yield undo.enter_context(closing(Front(tmp_path, port, served.port))), served


@contextmanager
def slow_clients(front: Front, served: Served) -> Iterator[None]:
    """Have many who stop half way: in the head, or in a body of which a byte comes each second."""
    head = f"POST /api/instances HTTP/1.1\r\nHost: {SITE}\r\nAuthorization: {served.bearer}\r\n"
    body = f"{head}Content-Type: application/json\r\nContent-Length: 60\r\n\r\n"
    over = threading.Event()
    with ExitStack() as opened:
        clients = [opened.enter_context(front.connect()) for _ in range(MANY)]
        for at, client in enumerate(clients):
            client.sendall((head if at % 2 else body).encode())

        def go_on() -> None:
            while not over.wait(1):
                for client in clients[::2]:
                    try:
                        client.sendall(b" ")
                    except OSError:
                        # It was sent away, as it should be.
                        continue

        sender = threading.Thread(target=go_on)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()


@pytest.mark.prove
def test_caddy_in_front_of_a_real_server(front: tuple[Front, Served], tmp_path: Path) -> None:
    caddy, served = front
    health = caddy.call("GET", "/api/health")
    assert (health.status, health.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
    assert "content-security-policy" in {name.lower() for name in health.headers}
    # Signing in with a browser, and a change from a page of ours and from another.
    platform = memory_platform(tmp_path / "data", TRUSTED_PROXIES="127.0.0.1")
    try:
        link, _ = platform.credentials.issue("sign_in_link", "ann")
        signed_in = caddy.call("GET", f"/sign-in/{link.reveal()}", User_Agent="Firefox", Sec_Fetch_Site="none")
        assert (signed_in.status, signed_in.headers["Location"]) == (303, "/dashboard")
        cookie = signed_in.headers["Set-Cookie"]
        assert cookie.startswith("__Host-clawdeploy_session=")
        assert "Secure" in cookie
        session = {"Cookie": cookie.partition(";")[0], "Content_Type": "application/json"}
        bot = json.dumps({"name": "bot", "model": "gpt-5.2", "channel": "telegram"}).encode()
        own, other = f"https://{SITE}:{caddy.port}", "https://evil.example.org"
        statuses = [caddy.call("POST", "/api/instances", bot, Origin=one, **session).status for one in (own, other)]
        assert statuses == [201, 403]
        # What a client says of where it comes from is not believed.
        caddy.call("GET", "/api/instances", Authorization="Bearer cd_wrong", X_Forwarded_For="192.0.2.66")
        entries = {entry.what: entry.address for entry in platform.audit.newest(10)}
        assert (entries["session.made"], entries["sign_in.failed"]) == (CLIENT, CLIENT)
    finally:
        platform.close()
    # What is too large is refused, by Caddy.
    large = caddy.call("POST", "/api/instances", b" " * 70_000, Authorization=served.bearer)
    assert large.status == 413
    assert "gunicorn" not in large.headers["Server"]


@pytest.mark.prove
def test_slow_clients_of_caddy_delay_nobody(front: tuple[Front, Served]) -> None:
    caddy, served = front
    with slow_clients(caddy, served):
        took = []
        for _ in range(60):
            began = time.monotonic()
            assert caddy.call("GET", "/api/instances", Authorization=served.bearer).status == 200
            took.append(time.monotonic() - began)
            time.sleep(0.1)
    slowest = sorted(took)[int(len(took) * 0.95)]
    logger.info("through Caddy: p95 %.0f ms", slowest * 1000)
    assert slowest < GATE_SECONDS
