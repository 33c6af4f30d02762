"""An engine that was killed in the middle of a start says that the container has ended, and its process goes on."""

import errno
import logging
import os
import signal

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, ContainerState
from clawdeploy.core.errors import ContainerUnusable
from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime import lost_processes
from clawdeploy.plugins.docker_runtime.engine import Engine
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.plugins.docker_runtime.conftest import MakeRuntime
from tests.private_engine import PrivateEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

PORT = 26990


@pytest.fixture
def runtime(private_engine: PrivateEngine, make_runtime: MakeRuntime, spec: ContainerSpec) -> DockerRuntime:
    private_engine.load(spec.images[0])
    return make_runtime(address=private_engine.address)


@pytest.fixture
def container(runtime: DockerRuntime, spec: ContainerSpec) -> str:
    """A container that runs."""
    made = runtime.create("one", PORT, spec)
    runtime.start(made, "one", spec)
    return made


@pytest.fixture
def lost(private_engine: PrivateEngine, container: str) -> int:
    """The process of the container, of which the engine has not noted before it was killed that it runs."""
    with docker.APIClient(private_engine.address, version="1.41", timeout=10) as client:
        process = int(client.inspect_container(container)["State"]["Pid"])
    private_engine.kill()
    private_engine.forget_that_it_runs(container)
    private_engine.start()
    assert is_there(process)
    return process


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_look_ends_it(runtime: DockerRuntime, container: str, lost: int) -> None:
    assert runtime.observe("one").state is ContainerState.EXITED
    assert eventually(lambda: not is_there(lost), 10)


def test_what_an_engine_refuses_to_start_because_of_it_is_made_anew_and_runs(
    runtime: DockerRuntime, container: str, lost: int, spec: ContainerSpec
) -> None:
    with pytest.raises(ContainerUnusable):
        runtime.start(container, "one", spec)
    runtime.remove(container)
    another = runtime.create("one", PORT, spec)
    runtime.start(another, "one", spec)
    assert eventually(lambda: runtime.probe(runtime.observe("one"), spec.probe), 10)
    assert eventually(lambda: not is_there(lost), 10)


def test_what_the_engine_may_be_starting_or_has_on_another_machine_is_left_alone(
    private_engine: PrivateEngine, container: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(private_engine.address)
    try:
        with caplog.at_level(logging.WARNING):
            lost_processes.end_older(engine, container)
            lost_processes.end_all(Engine("tcp://192.0.2.1:2375"), container)
        assert len(lost_processes.shims(container)) == 1
        assert not caplog.records
        lost_processes.end_all(engine, container)
        assert eventually(lambda: not lost_processes.shims(container), 10)
    finally:
        engine.close()


def test_who_may_not_end_it_tells_somebody_who_may(
    private_engine: PrivateEngine, container: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(handle: int, number: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    lost_processes.end_all(Engine(private_engine.address), container)
    assert f"As root, kill -9 {lost_processes.shims(container)[0]} ends it" in caplog.text
