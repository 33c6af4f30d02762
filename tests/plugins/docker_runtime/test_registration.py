"""How the plugin joins: its setting, and a runtime that needs no engine to be made."""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from clawdeploy import cli
from clawdeploy.core.config import Config
from clawdeploy.core.doctor import examine
from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.opener import Opener
from clawdeploy.core.settings import CORE_SETTINGS
from clawdeploy.plugins import docker_runtime
from clawdeploy.plugins.docker_runtime import DOCKER_HOST
from clawdeploy.plugins.docker_runtime.engine import Engine
from clawdeploy.web.app import create_app
from tests.plugins.docker_runtime import engines


def config(**environment: str) -> Config:
    return Config([*CORE_SETTINGS, *docker_runtime.register_settings()], environment)


def test_the_local_socket_is_the_default() -> None:
    (runtime,) = docker_runtime.register_runtimes(config(), "home")
    assert runtime.name == "docker"
    assert isinstance(runtime, docker_runtime.DockerRuntime)
    assert runtime._engine.address == "unix:///var/run/docker.sock"


@pytest.mark.parametrize("address", ["unix:///run/podman/podman.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:2375"])
def test_another_engine_can_be_named(address: str) -> None:
    (runtime,) = docker_runtime.register_runtimes(config(DOCKER_HOST=address), "home")
    assert isinstance(runtime, docker_runtime.DockerRuntime)
    assert runtime._engine.address == address


@pytest.mark.parametrize(
    ("address", "warns"),
    [
        ("unix:///run/podman/podman.sock", False),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://[::1]:2375", False),
        ("tcp://localhost:2375", False),
        ("tcp://192.0.2.7:2375", True),
        ("tcp://engine.example.org:2375", True),
    ],
)
def test_an_engine_elsewhere_is_asked_in_clear_which_is_warned_of(address: str, warns: bool) -> None:
    warning = Engine(address).warning
    assert warning.startswith(f"{address} is asked without encryption") if warns else warning == ""


def test_doctor_and_the_start_of_a_server_warn_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = json.dumps(engines.VERSION).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with engines.serving_tcp(Handler) as here:
        # Not a loopback address, and leads to this machine all the same.
        elsewhere = here.replace("127.0.0.1", "0.0.0.0")
        settings = {"CLAWDEPLOY_DATA_DIR": str(tmp_path), "CLAWDEPLOY_RUNTIME": "docker"}
        for address, warns in ((here, False), (elsewhere, True)):
            opener = Opener({**settings, "DOCKER_HOST": address})
            found = {check.name: check for check in examine(opener, create_app)}["engine"]
            assert (found.ok, "without encryption" in found.found) == (True, warns)
            caplog.clear()
            assert cli._engine(opener.platform()) == f"Docker 20.10.24 at {address}"
            assert ("without encryption" in caplog.text) == warns
            opener.close()


@pytest.mark.parametrize("address", ["podman", "ssh://root@host", "/var/run/docker.sock", "tcp://", "tcp://host:x"])
def test_what_is_no_address_stops_start_up(address: str) -> None:
    with pytest.raises(ConfigurationError, match="DOCKER_HOST"):
        config(DOCKER_HOST=address)


def test_the_setting_is_documented() -> None:
    assert DOCKER_HOST.default == ""
    assert "podman" in DOCKER_HOST.help
