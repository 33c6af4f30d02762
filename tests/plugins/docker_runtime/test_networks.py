"""The network of an installation: who reaches whom, measured on a real engine, and that it is always there."""

import shlex
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Status
from clawdeploy.core.errors import NameTaken, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.testing import Stage, free_port
from clawdeploy.plugins.docker_runtime import container_config, networks
from clawdeploy.plugins.docker_runtime import runtime as runtime_module
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL
from clawdeploy.plugins.docker_runtime.networks import bridge_name, network_name
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.blueprints import Busy
from tests.plugins.docker_runtime.conftest import MakeRuntime
from tests.plugins.docker_runtime.outside import METADATA, PAGE, PORT, outside
from tests.web.serving import Served

pytestmark = pytest.mark.engine

GREETING = "hello from busybox"
PATIENCE = 2
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


class Bot:
    """A bot that runs, and what it can fetch."""

    def __init__(self, stage: Stage, spec: ContainerSpec, witness: docker.APIClient) -> None:
        self.port = free_port()
        self.instance_id, self.container_id = stage.ready(spec, self.port)
        self._witness = witness

    @property
    def address(self) -> str:
        (network,) = self._attached().values()
        return str(network["IPAddress"])

    @property
    def gateway(self) -> str:
        (network,) = self._attached().values()
        return str(network["Gateway"])

    def _attached(self) -> dict[str, Any]:
        return dict(self._witness.inspect_container(self.container_id)["NetworkSettings"]["Networks"])

    def fetches(self, host: str, port: int) -> str:
        """Return what the bot gets from an address, nothing when it reaches nobody there."""
        said = self.says(f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w {PATIENCE} {host} {port}")
        return said.partition("\r\n\r\n")[2].strip()

    def says(self, script: str) -> str:
        """Return what a script prints that is run in the bot."""
        running = self._witness.exec_create(self.container_id, ["sh", "-c", script], stderr=False)["Id"]
        return str(self._witness.exec_start(running).decode())


def fetched_here(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    finally:
        connection.close()


@contextmanager
def service(address: str) -> Iterator[int]:
    """Something else that listens on this computer; gives its port."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\nof the host")

    with ThreadingTCPServer((address, 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def own_address() -> str:
    """Return the address at which others would reach this computer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture
def bots(stage: Stage, spec: ContainerSpec, witness: docker.APIClient) -> list[Bot]:
    return [Bot(stage, spec, witness) for _ in range(2)]


def test_bots_do_not_reach_each_other(bots: list[Bot]) -> None:
    one, other = bots
    assert one.fetches("127.0.0.1", 8080) == GREETING, "the measurement itself works"
    assert one.fetches(other.address, 8080) == ""
    for host in (one.gateway, own_address()):
        assert one.fetches(host, other.port) == "", "at its published port"
    assert [fetched_here(each.port) for each in bots] == [GREETING, GREETING]


def test_bots_of_another_installation_are_not_reached_either(
    make_runtime: MakeRuntime, stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    neighbour = Stage(make_runtime())
    try:
        one, other = Bot(stage, spec, witness), Bot(neighbour, spec, witness)
        assert one.gateway != other.gateway
        for host, port in ((other.address, 8080), (other.gateway, other.port), (one.gateway, other.port)):
            # Docker takes its isolation away for a moment whenever a network is made, as other tests do meanwhile.
            fetched = [one.fetches(host, port) for _ in range(2)]
            assert "" in fetched, f"{host}:{port} of {one.address}, {other.address}:{other.port}"
    finally:
        neighbour.clear()


def test_every_bot_reaches_the_outside(bots: list[Bot]) -> None:
    with outside() as address:
        assert [each.fetches(address, PORT) for each in bots] == [PAGE, PAGE]


def test_what_listens_only_on_the_loopback_address_is_not_reached(bots: list[Bot]) -> None:
    """As ClawDeploy itself does and PostgreSQL, unless they are told otherwise."""
    with service("127.0.0.1") as port:
        assert [bots[0].fetches(host, port) for host in (bots[0].gateway, own_address())] == ["", ""]


def documented_rules(bridge: str) -> list[list[str]]:
    """Return the firewall rules of the documentation, for one bridge instead of all."""
    lines = [line for line in OPERATIONS.read_text().splitlines() if line.startswith("iptables ")]
    return [shlex.split(line.replace(f"{networks.BRIDGE_PREFIX}+", bridge)) for line in lines]


@contextmanager
def firewall(rules: list[list[str]]) -> Iterator[None]:
    for rule in rules:
        subprocess.run(rule, check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["-D" if part == "-I" else part for part in rule], check=True)


def test_the_firewall_rules_of_the_documentation_close_the_host_and_nothing_else(
    runtime: DockerRuntime, bots: list[Bot]
) -> None:
    rules = documented_rules(bridge_name(runtime._installation))
    assert len(rules) == 2
    one, other = bots
    with service("0.0.0.0") as port, outside() as address:
        hosts = (one.gateway, own_address())
        assert [one.fetches(host, port) for host in hosts] == ["of the host"] * 2, "which is why there are rules"
        assert one.fetches(METADATA, PORT) == PAGE, "and this"
        with firewall(rules):
            assert [one.fetches(host, port) for host in hosts] == ["", ""]
            assert one.fetches(address, PORT) == PAGE
            assert one.fetches(METADATA, PORT) == ""
            assert one.fetches(other.address, 8080) == ""
            assert fetched_here(one.port) == GREETING


def test_a_server_is_reached_by_its_bots_only_where_it_listens_for_everybody(tmp_path: Path, bots: list[Bot]) -> None:
    """Which it does not do by itself; and what it answers there is a sign-in page like anybody's."""
    for host, reached in (("127.0.0.1", False), ("0.0.0.0", True)):
        folder = tmp_path / host
        folder.mkdir()
        with closing(Served(folder, WORKERS="1", HOST=host)) as served:
            for address in (bots[0].gateway, own_address()):
                assert ("ClawDeploy" in bots[0].fetches(address, served.port)) == reached


def test_there_is_no_way_to_the_host_over_ipv6(bots: list[Bot]) -> None:
    """Else a bot would reach the addresses that the kernel gives to every bridge, past what is said of IPv4."""
    assert bots[0].says("cat /proc/net/if_inet6") == ""


def test_nothing_of_the_engine_is_in_the_container(bots: list[Bot], witness: docker.APIClient) -> None:
    said = witness.inspect_container(bots[0].container_id)
    assert said["Mounts"] == []
    assert said["HostConfig"]["Binds"] is None


def found(witness: docker.APIClient, installation: str) -> list[dict[str, Any]]:
    return list(witness.networks(filters={"label": f"{INSTALLATION_LABEL}={installation}"}))


def test_it_is_made_when_it_is_first_needed_and_stays(
    runtime: DockerRuntime, stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    assert found(witness, runtime._installation) == []
    stage.ready(spec)
    (network,) = found(witness, runtime._installation)
    assert network["Name"] == network_name(runtime._installation)
    assert network["Labels"] == {INSTALLATION_LABEL: runtime._installation}
    assert network["Options"]["com.docker.network.bridge.enable_icc"] == "false"
    assert (network["Internal"], network["EnableIPv6"]) == (False, False)
    assert {each.kind for each in runtime.holdings()} == {"container"}, "so that no clean-up ever takes it"
    stage.clear()
    assert [each["Id"] for each in found(witness, runtime._installation)] == [network["Id"]]


def test_it_is_made_anew_when_somebody_removed_it(
    runtime: DockerRuntime, stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    bot = Bot(stage, spec, witness)
    runtime.stop(bot.container_id, 5)
    witness.remove_network(network_name(runtime._installation))
    runtime.start(bot.container_id, bot.instance_id, spec)
    assert stage.reaches(bot.instance_id, ContainerState.RUNNING)
    assert bot.address
    runtime.stop(bot.container_id, 5)
    witness.remove_network(network_name(runtime._installation))
    assert Bot(stage, spec, witness).address, "another bot needs it as well"


@pytest.mark.parametrize("call", ["POST /v1.41/networks/create", "GET /v1.41/networks/"])
def test_an_answer_that_is_lost_leaves_one_that_is_taken_up(
    make_runtime: MakeRuntime, spec: ContainerSpec, witness: docker.APIClient, call: str
) -> None:
    left = [1]

    def loses(request: str) -> bool:
        loses_this = request.startswith(call) and left[0] > 0
        left[0] -= loses_this
        return loses_this

    with engines.relay(loses) as address:
        runtime = make_runtime(address=address)
        stage = Stage(runtime)
        instance_id = stage.instance_id()
        with pytest.raises(RuntimeUnavailable):
            runtime.create(instance_id, free_port(), spec)
        try:
            assert runtime.create(instance_id, free_port(), spec)
            assert len(found(witness, runtime._installation)) == 1
        finally:
            stage.clear()


def test_of_many_who_make_it_at_once_all_get_the_same(
    make_runtime: MakeRuntime, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    """As workers do that get the first two requests at once."""
    installation = uuid.uuid4().hex
    stages = [Stage(make_runtime(installation)) for _ in range(8)]
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda stage: stage.ready(spec), stages))
        assert len(found(witness, installation)) == 1
    finally:
        for stage in stages:
            stage.clear()


@pytest.mark.parametrize(
    ("labels", "options", "failure"),
    [
        ({}, {}, NameTaken),
        ({INSTALLATION_LABEL: "another"}, {"com.docker.network.bridge.enable_icc": "false"}, NameTaken),
        (None, {}, RuntimeFailure),
        (None, {"com.docker.network.bridge.enable_icc": "true"}, RuntimeFailure),
    ],
)
def test_one_that_somebody_else_made_is_not_used(
    runtime: DockerRuntime,
    stage: Stage,
    spec: ContainerSpec,
    witness: docker.APIClient,
    labels: dict[str, str] | None,
    options: dict[str, str],
    failure: type[RuntimeFailure],
) -> None:
    name = network_name(runtime._installation)
    own = {INSTALLATION_LABEL: runtime._installation}
    theirs = witness.create_network(name, labels=own if labels is None else labels, options=options)["Id"]
    try:
        with pytest.raises(failure, match=name) as refused:
            runtime.create(stage.instance_id(), free_port(), spec)
        assert "remove it" in str(refused.value).lower(), "what is to be done is said"
        assert runtime.observe_all() == {}
    finally:
        witness.remove_network(theirs)


def test_bots_of_before_go_over_to_it_at_their_next_restart(
    tmp_path: Path,
    make_runtime: MakeRuntime,
    spec: ContainerSpec,
    witness: docker.APIClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def as_before(*given: Any) -> dict[str, Any]:
        body = made(*given)
        del body["HostConfig"]["NetworkMode"]
        return body

    def opened() -> Any:
        return memory_platform(
            tmp_path, runtime=make_runtime, plugins={"busy": Busy(spec)}, PORT_RANGE="23000-23999", SYNC_SECONDS="1"
        )

    made: Callable[..., dict[str, Any]] = container_config.create_body
    with monkeypatch.context() as patch:
        patch.setattr(runtime_module, "create_body", as_before)
        patch.setattr(runtime_module, "profile", lambda *_: "")
        platform = opened()
        bot = platform.instances.create("ann", {**GOOD, "blueprint": "busy"}, wait=30)
        assert bot.status is Status.RUNNING, bot.detail
        platform.close()
    platform = opened()
    try:
        network = network_name(platform.installation)
        wrote = witness.exec_create(bot.container_id, ["sh", "-c", "echo kept >/data/memory"])["Id"]
        witness.exec_start(wrote)
        platform.reconciler.sync(patience=10)
        assert _networks(witness, bot.container_id) == ["bridge"], "nobody restarts a bot for that"
        after = platform.instances.restart("ann", bot.id, wait=30)
        assert (after.status, after.host_port) == (Status.RUNNING, bot.host_port), after.detail
        assert _networks(witness, after.container_id) == [network]
        read = witness.exec_create(after.container_id, ["cat", "/data/memory"])["Id"]
        assert witness.exec_start(read) == b"kept\n"
        again = platform.instances.restart("ann", bot.id, wait=30)
        assert again.container_id == after.container_id
    finally:
        platform.instances.delete("ann", bot.id, wait=30)
        platform.close()


def _networks(witness: docker.APIClient, container_id: str | None) -> list[str]:
    return list(witness.inspect_container(container_id or "")["NetworkSettings"]["Networks"])


def test_names_are_what_an_engine_and_the_kernel_take() -> None:
    for installation in ("a" * 12, uuid.uuid4().hex):
        assert network_name(installation) == f"clawdeploy-{installation}"
        assert len(bridge_name(installation).encode()) <= 15
    assert bridge_name("one") != bridge_name("two")


def test_other_address_or_network_is_another_profile(make_runtime: MakeRuntime) -> None:
    """So that a bot goes over at its next start, also when its port is to be bound to another address."""
    profiles = {
        container_config.profile(installation, address)
        for installation in ("one", "two")
        for address in ("127.0.0.1", "0.0.0.0")
    }
    assert len(profiles) == 4
    assert make_runtime("one").profile == container_config.profile("one", "127.0.0.1")
