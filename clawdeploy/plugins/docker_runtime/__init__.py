"""The runtime that runs containers on a Docker Engine, or on anything that speaks its API."""

from collections.abc import Iterable
from typing import Any

from docker.errors import DockerException
from docker.utils import parse_host

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.settings import BIND_ADDRESS
from clawdeploy.plugins.docker_runtime.engine import LOCAL_SOCKET, Engine
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder

__all__ = ["DOCKER_HOST", "DockerRuntime", "register_runtimes", "register_settings"]


def engine_address(value: str) -> str:
    """Read the address of an engine: a Unix socket or a TCP address."""
    if not value.startswith(("unix://", "tcp://", "http://", "https://")):
        raise ValueError(f"it must look like {LOCAL_SOCKET} or tcp://127.0.0.1:2375")
    try:
        parse_host(value)
    except DockerException as error:
        raise ValueError(str(error)) from None
    return value


DOCKER_HOST = Setting(
    "DOCKER_HOST",
    engine_address,
    "",
    f"Address of the Docker Engine, or of an engine that speaks its API such as Podman: `{LOCAL_SOCKET}` (the "
    "default), `unix:///run/podman/podman.sock` or `tcp://host:2375`. Secret files need an engine on this machine.",
)


@hookimpl
def register_settings() -> Iterable[Setting[Any]]:
    """Add the setting that names the engine."""
    return [DOCKER_HOST]


@hookimpl
def register_runtimes(config: Config, installation: str) -> Iterable[Runtime]:
    """Offer the Docker runtime; the engine is first contacted when something is asked of it."""
    engine = Engine(config[DOCKER_HOST] or LOCAL_SOCKET)
    return [DockerRuntime(engine, installation, config[BIND_ADDRESS], SecretFolder(installation))]
