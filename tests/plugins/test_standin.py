"""The stand-in blueprint: what it asks for, and that nginx can live with it."""

import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from urllib.request import urlopen

import docker
import pytest

from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Bot, ContainerSpec, ContainerState, Secret
from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.testing import Stage, eventually, free_port
from clawdeploy.plugins import standin
from clawdeploy.plugins.docker_runtime.engine import LOCAL_SOCKET, Engine
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder
from clawdeploy.plugins.standin import LOCAL_IMAGE, StandIn
from clawdeploy.plugins.telegram import Telegram
from tests.networks import remove_networks


def bot(**secrets: str) -> Bot:
    hidden = {name: Secret(value) for name, value in secrets.items()}
    return Bot("one", "test", "gpt-5.2", Telegram(), 10000, hidden, {})


def configured(**environment: str) -> StandIn:
    config = Config(standin.register_settings(), environment)
    (blueprint,) = standin.register_blueprints(config)
    assert isinstance(blueprint, StandIn)
    return blueprint


def test_it_is_nginx_with_the_limits_of_the_product() -> None:
    spec = configured().container(bot())
    assert spec.images == ("nginx:alpine", LOCAL_IMAGE)
    assert (spec.container_port, spec.limits.cpus, spec.limits.memory_bytes) == (80, 0.5, 256 * 2**20)
    assert (spec.probe.path, spec.probe.deadline, spec.stop_timeout) == ("/", 30.0, 10.0)


def test_it_gets_no_secret() -> None:
    assert configured().container(bot(apiKey="sk-1", botToken="1:a")) == configured().container(bot())
    spec = configured().container(bot(apiKey="sk-1"))
    assert (spec.environment, spec.secret_files, spec.seeded_files) == ({}, (), ())


def test_its_image_can_be_chosen() -> None:
    """And then no other one is taken in its place."""
    for image in ("my-own:9", "registry.example.org:5000/web/nginx:1.27", LOCAL_IMAGE):
        assert configured(CLAWDEPLOY_STANDIN_IMAGE=image).images == (image,)
    assert configured(CLAWDEPLOY_STANDIN_IMAGE="nginx:alpine").images == ("nginx:alpine", LOCAL_IMAGE)


@pytest.mark.parametrize(
    "name",
    [
        "nginx", "my__own-image.x/y--z:V1_.-", "localhost/x", "localhost:5000/x", "host:5000/x:1", "Reg.Example.org/x",
        "[::1]:5000/x", "nginx@sha256:" + "a" * 64, "registry.example.org/team/nginx:1@sha256:" + "0" * 64,
    ],
)  # fmt: skip
def test_what_is_the_name_of_an_image(name: str) -> None:
    assert configured(CLAWDEPLOY_STANDIN_IMAGE=name).images == (name,)


@pytest.mark.parametrize("name", [
    "-x", "a b", "a\nb", "é", "x" * 256, "UPPER/Case:x:y", "Nginx", "a//b", "/a", "a/", "a:", "a:.x", "a:x:y", "a@b",
    "a.-b", "a..b", "host:port/x", "http://host/x", "a@sha256:12", "x:" + "t" * 129, "..", ".a/b",
])  # fmt: skip
def test_what_is_no_image_stops_start_up(name: str) -> None:
    with pytest.raises(ConfigurationError, match="CLAWDEPLOY_STANDIN_IMAGE"):
        configured(CLAWDEPLOY_STANDIN_IMAGE=name)


@pytest.fixture
def stage() -> Iterator[Stage]:
    installation = uuid.uuid4().hex
    runtime = DockerRuntime(Engine(LOCAL_SOCKET), installation, "127.0.0.1", SecretFolder(installation))
    if not runtime.has_image(StandIn("nginx:alpine").images):
        pytest.fail(f"Neither nginx:alpine nor {LOCAL_IMAGE} is on this machine; scripts/test builds the second")
    stage = Stage(runtime)
    yield stage
    stage.clear()
    runtime.close()
    with docker.APIClient(LOCAL_SOCKET, version="1.41") as witness:
        remove_networks(witness, installation)


@pytest.mark.engine
def test_it_serves_logs_requests_and_comes_back(stage: Stage) -> None:
    spec = configured().container(bot())
    port = free_port()
    instance_id, container_id = stage.ready(spec, port)
    for round_ in ("first", "second"):
        with urlopen(f"http://127.0.0.1:{port}/?{round_}") as answer:
            assert answer.status == 200
        assert eventually(lambda: f"GET /?{round_} " in stage.runtime.logs(container_id, 100), within=3)  # noqa: B023
        stage.runtime.stop(container_id, spec.stop_timeout)
        stopped = stage.runtime.observe(instance_id)
        assert (stopped.state, stopped.exit_code) == (ContainerState.EXITED, 0)
        stage.runtime.start(container_id, instance_id, spec)
        assert eventually(lambda: stage.probes(instance_id, spec), within=5)


@pytest.mark.engine
def test_it_lives_within_its_limits(stage: Stage) -> None:
    spec = configured().container(bot())
    instance_id, _ = stage.ready(spec)
    witness = docker.APIClient(LOCAL_SOCKET, version="1.41")
    host = witness.inspect_container(f"clawdeploy-{instance_id}")["HostConfig"]
    witness.close()
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (500_000_000, 268_435_456, 128)
    assert sorted(host["CapAdd"]) == sorted(spec.capabilities)


@pytest.mark.engine
def test_it_runs_as_nobody_in_particular_and_changes_nothing_but_what_is_in_memory(stage: Stage) -> None:
    instance_id, _ = stage.ready(configured().container(bot()))
    witness = docker.APIClient(LOCAL_SOCKET, version="1.41")
    name = f"clawdeploy-{instance_id}"
    processes = witness.top(name, ps_args="-eo pid,uid,args")["Processes"]
    changed = [each["Path"] for each in witness.diff(name) or ()]
    witness.close()
    assert {uid for _, uid, _ in processes} == {"101"}, processes
    assert set(changed) <= {"/sbin", "/sbin/docker-init"}, "what the engine mounts, and nothing else"


def half_open(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port))


@pytest.mark.engine
def test_open_connections_do_not_hold_up_a_stop(stage: Stage) -> None:
    spec: ContainerSpec = replace(configured().container(bot()), stop_timeout=10)
    port = free_port()
    instance_id, container_id = stage.ready(spec, port)
    with half_open(port), half_open(port):
        stage.runtime.stop(container_id, spec.stop_timeout)
    assert stage.runtime.observe(instance_id).exit_code == 0
