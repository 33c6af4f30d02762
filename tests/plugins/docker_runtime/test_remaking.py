"""A secret that is set later is in the container after a restart: the whole way, on a real engine."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from clawdeploy.core.contracts import Blueprint, Bot, ContainerSpec, Probe, SecretFile, Status, Volume
from clawdeploy.core.hookspecs import hookimpl
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime.conftest import MakeRuntime

TOKEN = "123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz"


class Busy:
    """A blueprint that mounts a file for each secret and has a volume."""

    name = "busy"
    label = "Busy"
    description = "It serves a page."
    probe = Probe(deadline=15)
    stop_timeout = 5.0

    def __init__(self, spec: ContainerSpec) -> None:
        self._spec = spec
        self.images = spec.images

    def container(self, bot: Bot) -> ContainerSpec:
        files = tuple(SecretFile(f"/run/secrets/{name}", value) for name, value in sorted(bot.secrets.items()))
        return replace(self._spec, secret_files=files, volumes=(Volume("data", "/data"),))

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]


def run(witness: docker.APIClient, container: str | None, script: str) -> str:
    running = witness.exec_create(container, ["sh", "-c", script])["Id"]
    return str(witness.exec_start(running).decode())


@pytest.mark.engine
def test_a_restart_brings_a_new_secret_and_keeps_the_data(
    tmp_path: Path, make_runtime: MakeRuntime, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    platform = memory_platform(tmp_path, runtime=make_runtime, plugins={"busy": Busy(spec)}, PORT_RANGE="23000-23999")
    bot = platform.instances.create("ann", {**GOOD, "blueprint": "busy"}, wait=30)
    try:
        assert bot.status is Status.RUNNING, bot.detail
        run(witness, bot.container_id, "echo kept >/data/memory")
        platform.instances.patch("ann", bot.id, {"botToken": TOKEN})
        after = platform.instances.restart("ann", bot.id, wait=30)
        assert (after.status, after.host_port) == (Status.RUNNING, bot.host_port), after.detail
        assert run(witness, after.container_id, "cat /run/secrets/botToken /data/memory") == f"{TOKEN}kept\n"
        assert after.container_id != bot.container_id
    finally:
        platform.instances.delete("ann", bot.id, wait=30)
        platform.close()
