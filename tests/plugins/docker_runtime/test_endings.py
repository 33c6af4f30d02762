"""How containers end, and what can be seen of it on a real engine."""

import socket
import threading
import time
from datetime import timedelta

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, ContainerState
from clawdeploy.core.errors import PortTaken, RuntimeUnavailable
from clawdeploy.core.testing import Stage, eventually, free_port
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.conftest import MakeRuntime, RunScript

pytestmark = pytest.mark.engine


def test_a_crash_loop_shows_its_exit_code_and_count(stage: Stage, script: RunScript) -> None:
    instance_id, _ = stage.started(script("exit 3"))
    assert eventually(lambda: stage.runtime.observe(instance_id).restart_count >= 3, within=15)
    seen = stage.reaches(instance_id, ContainerState.RESTARTING)
    assert seen.exit_code == 3
    assert not seen.out_of_memory


def test_a_crash_loop_stays_stopped(stage: Stage, script: RunScript) -> None:
    instance_id, container_id = stage.started(script("exit 3"))
    stage.reaches(instance_id, ContainerState.RESTARTING)
    stage.runtime.stop(container_id, 5)
    stopped = stage.runtime.observe(instance_id)
    assert (stopped.state, stopped.exit_code) == (ContainerState.EXITED, 3)
    # The engine would have restarted it several times in this while.
    assert not eventually(lambda: stage.runtime.observe(instance_id) != stopped, within=2)


def test_a_crash_loop_counts_afresh_after_stop_and_start(stage: Stage, script: RunScript) -> None:
    instance_id, container_id = stage.started(script("sleep 0.2; exit 3"))
    assert eventually(lambda: stage.runtime.observe(instance_id).restart_count >= 2, within=15)
    stage.runtime.stop(container_id, 5)
    stage.runtime.start(container_id, instance_id, script(""))
    assert stage.runtime.observe(instance_id).restart_count == 0


def test_running_out_of_memory_is_seen(stage: Stage, script: RunScript) -> None:
    instance_id, _ = stage.started(script("sleep 0.3; text=aaaa; while true; do text=$text$text; done"))
    seen = stage.reaches(instance_id, ContainerState.RESTARTING)
    assert (seen.out_of_memory, seen.exit_code) == (True, 137)


def test_what_ignores_being_asked_is_ended_by_force(stage: Stage, script: RunScript) -> None:
    instance_id, container_id = stage.started(script("trap '' TERM; echo deaf; while true; do sleep 1; done"))
    assert eventually(lambda: "deaf" in stage.runtime.logs(container_id, 1), within=5)
    begun = time.monotonic()
    stage.runtime.stop(container_id, 1.5)
    assert timedelta(seconds=1.5) < timedelta(seconds=time.monotonic() - begun) < timedelta(seconds=4)
    assert stage.runtime.observe(instance_id).exit_code == 137


def test_what_ignores_being_asked_and_is_restarted_by_hand_meanwhile_is_ended_once_more(
    stage: Stage, script: RunScript, witness: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first try ends in time, which leaves a slow machine more than two seconds; the second one ends after that.
    monkeypatch.setattr("clawdeploy.plugins.docker_runtime.runtime.STOP_MARGIN", 2.5)
    instance_id, container_id = stage.started(script("trap '' TERM; echo deaf; while true; do sleep 1; done"))
    assert eventually(lambda: "deaf" in stage.runtime.logs(container_id, 1), within=5)
    by_hand = threading.Timer(0.5, witness.restart, (container_id, 10))
    by_hand.start()
    stage.runtime.stop(container_id, 3)
    by_hand.join()
    assert stage.runtime.observe(instance_id).state is ContainerState.EXITED


def test_a_paused_container_is_resumed_by_start(stage: Stage, spec: ContainerSpec, witness: docker.APIClient) -> None:
    instance_id, container_id = stage.ready(spec)
    witness.pause(container_id)
    assert stage.runtime.observe(instance_id).state is ContainerState.PAUSED
    assert stage.runtime.observe_all()[instance_id].state is ContainerState.PAUSED
    stage.runtime.start(container_id, instance_id, spec)
    assert stage.probes(instance_id, spec)


@pytest.mark.parametrize("ending", ["stop", "remove"])
def test_a_paused_container_can_be_ended(
    stage: Stage, spec: ContainerSpec, witness: docker.APIClient, ending: str
) -> None:
    instance_id, container_id = stage.ready(spec)
    witness.pause(container_id)
    if ending == "stop":
        stage.runtime.stop(container_id, 5)
    else:
        stage.runtime.remove(container_id)
    gone = ContainerState.EXITED if ending == "stop" else ContainerState.MISSING
    assert stage.runtime.observe(instance_id).state is gone


def test_a_clean_exit_by_itself_is_restarted(stage: Stage, script: RunScript) -> None:
    instance_id, _ = stage.started(script("exit 0"))
    assert stage.reaches(instance_id, ContainerState.RESTARTING).exit_code == 0


def test_a_foreign_listener_leaves_a_container_that_can_be_removed(stage: Stage, spec: ContainerSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        instance_id = stage.instance_id()
        container_id = stage.runtime.create(instance_id, port, spec)
        with pytest.raises(PortTaken, match=str(port)):
            stage.runtime.start(container_id, instance_id, spec)
        left = stage.runtime.observe(instance_id)
        assert (left.state, left.host_port, left.exit_code) == (ContainerState.CREATED, port, None)
        assert "address already in use" in left.engine_error
        stage.runtime.remove(container_id)
        again = stage.runtime.create(instance_id, free_port(), spec)
        stage.runtime.start(again, instance_id, spec)
    assert eventually(lambda: stage.probes(instance_id, spec), within=5)


def test_start_of_one_whose_port_became_free_works(stage: Stage, spec: ContainerSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        instance_id = stage.instance_id()
        container_id = stage.runtime.create(instance_id, listener.getsockname()[1], spec)
        with pytest.raises(PortTaken):
            stage.runtime.start(container_id, instance_id, spec)
    stage.runtime.start(container_id, instance_id, spec)
    assert stage.runtime.observe(instance_id).state is ContainerState.RUNNING


@pytest.mark.parametrize(
    ("lost", "step"),
    [("POST /v1.41/containers/create", "create"), ("/start", "start"), ("/stop", "stop"), ("DELETE", "remove")],
)
def test_the_engine_does_the_work_and_loses_the_answer(
    make_runtime: MakeRuntime, spec: ContainerSpec, lost: str, step: str
) -> None:
    left = [1]

    def loses(request: str) -> bool:
        loses_this = lost in request and left[0] > 0
        left[0] -= loses_this
        return loses_this

    with engines.relay(loses) as address:
        runtime = make_runtime(address=address)
        stage = Stage(runtime)
        instance_id, port, failed = stage.instance_id(), free_port(), []
        container_id = ""
        for name in ("create", "start", "stop", "remove"):
            for _ in range(2):
                try:
                    container_id = _take(runtime, name, instance_id, port, spec, container_id)
                except RuntimeUnavailable:
                    failed.append(name)
                    continue
                break
        assert failed == [step]
        assert runtime.observe_all() == {}
        stage.clear()


def _take(runtime: DockerRuntime, step: str, instance_id: str, port: int, spec: ContainerSpec, found: str) -> str:
    """Take one step of a container's life; returns the container's id."""
    if step == "create":
        found = runtime.create(instance_id, port, spec)
        assert runtime.observe_all()[instance_id].container_id == found
    elif step == "start":
        runtime.start(found, instance_id, spec)
        assert runtime.observe(instance_id).state is ContainerState.RUNNING
    elif step == "stop":
        runtime.stop(found, 5)
        assert runtime.observe(instance_id).state is ContainerState.EXITED
    else:
        runtime.remove(found)
    return found


@pytest.mark.parametrize(
    "said",
    [
        "driver failed programming external connectivity on endpoint x (0): Bind for 127.0.0.1:10000 failed: port is "
        "already allocated",
        "driver failed programming external connectivity on endpoint x (0): Error starting userland proxy: listen "
        "tcp4 127.0.0.1:10000: bind: address already in use",
        "failed to set up container networking: driver failed programming external connectivity on endpoint x (0): "
        "failed to bind host port for 127.0.0.1:10000:172.17.0.2:80/tcp: address already in use",
        "failed to set up container networking: driver failed programming external connectivity on endpoint x (0): "
        "failed to bind host port 127.0.0.1:10000/tcp: address already in use",
        "cannot listen on the TCP port: listen tcp4 127.0.0.1:10000: bind: address already in use",
        "rootlessport listen tcp 127.0.0.1:10000: bind: address already in use",
        "Ports are not available: exposing port TCP 127.0.0.1:10000 -> 0.0.0.0:0: listen tcp 127.0.0.1:10000",
    ],
)
def test_every_engine_says_in_its_own_words_that_a_port_is_taken(
    make_runtime: MakeRuntime, spec: ContainerSpec, said: str
) -> None:
    container_id = "a" * 64
    inspection = {
        "Id": container_id,
        "Config": {"Labels": {"clawdeploy.installation": "home", "clawdeploy.instance": "one"}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "10000"}]}},
        "State": {"Status": "created", "ExitCode": 0, "OOMKilled": False, "StartedAt": "0001-01-01T00:00:00Z"},
        "RestartCount": 0,
    }
    script = engines.Script(
        {
            f"GET /containers/{container_id}/json": (200, inspection),
            f"POST /containers/{container_id}/start": (500, {"message": said}),
        }
    )
    with engines.scripted(script) as address:
        there = make_runtime("home", address)
        with pytest.raises(PortTaken, match="Port 10000 of this server"):
            there.start(container_id, "one", spec)
