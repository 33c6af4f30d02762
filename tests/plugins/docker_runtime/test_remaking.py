"""A secret that is set later is in the container, which is restarted for it: the whole way, on a real engine."""

from pathlib import Path

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, Status
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime.blueprints import Busy
from tests.plugins.docker_runtime.conftest import MakeRuntime

TOKEN = "123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz"
OTHER = "987654321:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz"


def run(witness: docker.APIClient, container: str | None, script: str) -> str:
    running = witness.exec_create(container, ["sh", "-c", script])["Id"]
    return str(witness.exec_start(running).decode())


@pytest.mark.engine
def test_a_secret_reaches_a_bot_that_runs_and_its_data_stays(
    tmp_path: Path, make_runtime: MakeRuntime, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    platform = memory_platform(tmp_path, runtime=make_runtime, plugins={"busy": Busy(spec)}, PORT_RANGE="23000-23999")
    bot = platform.instances.create("ann", {**GOOD, "blueprint": "busy"}, wait=30)
    try:
        assert bot.status is Status.RUNNING, bot.detail
        run(witness, bot.container_id, "echo kept >/data/memory")
        after = platform.instances.patch("ann", bot.id, {"botToken": TOKEN}, wait=30)
        assert (after.status, after.host_port) == (Status.RUNNING, bot.host_port), after.detail
        assert run(witness, after.container_id, "cat /run/secrets/botToken /data/memory") == f"{TOKEN}kept\n"
        assert after.container_id != bot.container_id
        started = witness.inspect_container(after.container_id or "")["State"]["Pid"]
        again = platform.instances.patch("ann", bot.id, {"botToken": OTHER}, wait=30)
        assert (again.status, again.container_id) == (Status.RUNNING, after.container_id), again.detail
        assert run(witness, again.container_id, "cat /run/secrets/botToken") == OTHER
        assert witness.inspect_container(again.container_id or "")["State"]["Pid"] != started, "the old one is gone"
    finally:
        platform.instances.delete("ann", bot.id, wait=30)
        platform.close()
