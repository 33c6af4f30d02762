"""Moments that a real engine shows too rarely to wait for."""

import pytest

from clawdeploy.core.contracts import MISSING, ContainerSpec, Limits
from clawdeploy.core.errors import ContainerUnusable, NoContainer, PortTaken, RuntimeFailure
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.conftest import MakeRuntime

SPEC = ContainerSpec(images=("bot:1",), container_port=80, limits=Limits(2**20, 0.5, 10))
ID = "a" * 64


class Changing(engines.Script):
    """Gives several answers to the same request, one after the other, and then the last one again and again."""

    def __init__(self, changing: dict[str, list[engines.Answer]]) -> None:
        super().__init__({})

        class Answers(dict[str, engines.Answer]):
            def __missing__(self, key: str) -> engines.Answer:
                left = changing[key]
                return left.pop(0) if len(left) > 1 else left[0]

        self.answers = Answers(self.answers)


def absent(what: str = "No such container") -> engines.Answer:
    return (404, {"message": what})


def test_a_name_may_be_reserved_before_its_container_shows(make_runtime: MakeRuntime) -> None:
    taken: engines.Answer = (
        409,
        {"message": 'Conflict. The container name "/clawdeploy-one" is already in use by "".'},
    )
    script = Changing(
        {
            "POST /containers/create": [taken, taken, (201, {"Id": ID})],
            "GET /containers/clawdeploy-one/json": [absent()],
        }
    )
    with engines.scripted(script) as address:
        assert make_runtime("home", address).create("one", 10000, SPEC) == ID


def test_podman_may_trip_over_a_process_that_ends(make_runtime: MakeRuntime) -> None:
    tripped: engines.Answer = (500, {"message": "read /proc/6769/cgroup: no such process"})
    answers: dict[str, list[engines.Answer]] = {"GET /containers/json": [(200, [])]}
    with engines.scripted(Changing({**answers, "GET /containers/clawdeploy-one/json": [tripped, absent()]})) as address:
        assert make_runtime(address=address).observe("one") == MISSING
    with (
        engines.scripted(Changing({**answers, "GET /containers/clawdeploy-one/json": [tripped]})) as address,
        pytest.raises(RuntimeFailure, match="no such process"),
    ):
        make_runtime(address=address).observe("one")


def inspection(installation: str, status: str) -> engines.Answer:
    labels = {"clawdeploy.installation": installation, "clawdeploy.instance": "one"}
    state = {"Status": status, "ExitCode": 0, "OOMKilled": False, "StartedAt": "2026-01-02T03:04:05.123456789+02:00"}
    said = {
        "Id": ID,
        "Config": {"Labels": labels},
        "HostConfig": {"PortBindings": None},
        "State": {**state, "FinishedAt": "0001-01-01T00:00:00Z"},
        "RestartCount": 1,
    }
    return (200, said)


@pytest.mark.parametrize("status", [404, 409])
def test_a_container_may_go_while_its_logs_are_asked_for(make_runtime: MakeRuntime, status: int) -> None:
    said = "can not get logs from container which is dead or marked for removal"
    script = Changing(
        {
            f"GET /containers/{ID}/json": [inspection("home", "running")],
            f"GET /containers/{ID}/logs": [(status, {"message": said})],
        }
    )
    with engines.scripted(script) as address, pytest.raises(NoContainer):
        make_runtime("home", address).logs(ID, 10)


@pytest.mark.parametrize(("status", "said"), [(404, "No such container"), (409, "removal of container is in progress")])
def test_a_container_may_go_while_it_is_removed(make_runtime: MakeRuntime, status: int, said: str) -> None:
    answers = {f"GET /containers/{ID}/json": [inspection("home", "running")]}
    with engines.scripted(Changing({**answers, f"DELETE /containers/{ID}": [(status, {"message": said})]})) as address:
        make_runtime("home", address).remove(ID)


def test_a_stop_that_did_not_stick_is_repeated(make_runtime: MakeRuntime) -> None:
    running, ended = inspection("home", "running"), inspection("home", "exited")
    answers: dict[str, list[engines.Answer]] = {
        f"GET /containers/{ID}/json": [running, running, ended],
        f"POST /containers/{ID}/stop": [(204, b""), (304, b"")],
    }
    script = Changing(answers)
    with engines.scripted(script) as address:
        make_runtime("home", address).stop(ID, 3)
    assert script.asked.count(f"POST /v1.41/containers/{ID}/stop?t=3") == 2


def test_a_time_of_another_zone_is_understood(make_runtime: MakeRuntime) -> None:
    script = Changing({"GET /containers/clawdeploy-one/json": [inspection("home", "running")]})
    with engines.scripted(script) as address:
        started = make_runtime("home", address).observe("one").started_at
    assert started is not None
    assert started.isoformat() == "2026-01-02T01:04:05.123456+00:00"


def test_a_refusal_to_start_for_another_reason_is_a_failure(make_runtime: MakeRuntime) -> None:
    script = Changing(
        {
            f"GET /containers/{ID}/json": [inspection("home", "created")],
            f"POST /containers/{ID}/start": [(400, {"message": "OCI runtime create failed: executable not found"})],
        }
    )
    with engines.scripted(script) as address, pytest.raises(RuntimeFailure, match="executable not found"):
        make_runtime("home", address).start(ID, "one", SPEC)


ALLOCATED = (
    "driver failed programming external connectivity: Bind for 127.0.0.1:10000 failed: port is already allocated"
)
IN_USE = "Error starting userland proxy: listen tcp4 127.0.0.1:10000: bind: address already in use"
SHIM = "failed to create shim task: OCI runtime create failed: runc create failed"
TASKS = "/var/run/docker/containerd/daemon/io.containerd.runtime.v2.task"
NOBODY: list[object] = [{"Ports": None}, {"Ports": [{"PrivatePort": 10000}, {"PrivatePort": 80, "PublicPort": 10001}]}]
SOMEBODY: list[object] = [{"Ports": [{"PrivatePort": 80, "PublicPort": 10000}]}]


@pytest.mark.parametrize(
    ("status", "said", "running", "error"),
    [
        ("exited", f"task {ID}: already exists", SOMEBODY, ContainerUnusable),
        ("exited", "id already in use", SOMEBODY, ContainerUnusable),
        ("created", f"task {ID}: already exists", SOMEBODY, ContainerUnusable),
        ("exited", f"{SHIM}: container with given ID already exists: unknown", [], RuntimeFailure),
        ("exited", f"failed to start shim: mkdir {TASKS}/moby/{ID}: file exists: unknown", [], ContainerUnusable),
        ("exited", "mkdir /srv/data: file exists", [], RuntimeFailure),
        ("exited", ALLOCATED, NOBODY, ContainerUnusable),
        ("exited", ALLOCATED, SOMEBODY, PortTaken),
        ("exited", IN_USE, NOBODY, PortTaken),
        ("created", ALLOCATED, NOBODY, PortTaken),
        ("exited", "no space left on device", NOBODY, RuntimeFailure),
    ],
)
def test_what_a_start_has_left_behind_is_told_from_what_somebody_else_holds(
    make_runtime: MakeRuntime, status: str, said: str, running: list[object], error: type[Exception]
) -> None:
    code, ended = inspection("home", status)
    assert isinstance(ended, dict)
    ended["HostConfig"] = {"PortBindings": {"80/tcp": [{"HostPort": "10000"}]}}
    script = engines.Script(
        {
            f"GET /containers/{ID}/json": (code, ended),
            f"POST /containers/{ID}/start": (500, {"message": said}),
            "GET /containers/json": (200, running),
        }
    )
    with engines.scripted(script) as address, pytest.raises(error) as caught:
        make_runtime("home", address).start(ID, "one", SPEC)
    assert isinstance(caught.value, ContainerUnusable) is (error is ContainerUnusable)


@pytest.mark.parametrize(("status", "afresh"), [("exited", True), ("running", False)])
def test_what_somebody_starts_in_the_moment_of_a_start_is_started_afresh(
    make_runtime: MakeRuntime, status: str, afresh: bool
) -> None:
    """It may have been given secrets that were replaced since then."""
    script = engines.Script(
        {
            f"GET /containers/{ID}/json": inspection("home", status),
            f"POST /containers/{ID}/start": (304, b""),
            f"POST /containers/{ID}/restart": (204, b""),
        }
    )
    with engines.scripted(script) as address:
        make_runtime("home", address).start(ID, "one", SPEC)
    assert any("/restart?t=" in asked for asked in script.asked) is afresh
