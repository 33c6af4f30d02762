"""How the plugin joins: its setting, and a runtime that needs no engine to be made."""

import pytest

from clawdeploy.core.config import Config
from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.settings import CORE_SETTINGS
from clawdeploy.plugins import docker_runtime
from clawdeploy.plugins.docker_runtime import DOCKER_HOST


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


@pytest.mark.parametrize("address", ["podman", "ssh://root@host", "/var/run/docker.sock", "tcp://", "tcp://host:x"])
def test_what_is_no_address_stops_start_up(address: str) -> None:
    with pytest.raises(ConfigurationError, match="DOCKER_HOST"):
        config(DOCKER_HOST=address)


def test_the_setting_is_documented() -> None:
    assert DOCKER_HOST.default == ""
    assert "podman" in DOCKER_HOST.help
