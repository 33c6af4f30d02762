"""A secret that is set later is in the container after a restart: the whole way, on a real engine."""

from pathlib import Path

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, Status
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime.blueprints import Busy
from tests.plugins.docker_runtime.conftest import MakeRuntime

TOKEN = "123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz"


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
