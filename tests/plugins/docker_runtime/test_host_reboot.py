"""The machine restarts: what is only kept in memory is gone, bots' secrets with it, and the bots run again.

The engine itself starts containers before anybody could write their secrets, and fails.
"""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, Status
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime import observing
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime.blueprints import Busy
from tests.plugins.docker_runtime.conftest import MakeRuntime
from tests.plugins.docker_runtime.test_remaking import TOKEN, run
from tests.private_engine import PrivateEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

OWNER = "ann"
RECOVERS_WITHIN = 20.0

Open = Callable[[], Platform]


@pytest.fixture
def open_platform(
    tmp_path: Path, private_engine: PrivateEngine, make_runtime: MakeRuntime, spec: ContainerSpec
) -> Iterator[Open]:
    """Open the installation's platform, as a server does that starts; the one before is closed."""
    private_engine.load(spec.images[0])
    opened: list[Platform] = []

    def open_it() -> Platform:
        for before in opened:
            before.close()
        opened.append(
            memory_platform(
                tmp_path,
                runtime=lambda installation: make_runtime(installation, private_engine.address),
                plugins={"busy": Busy(spec)},
                PORT_RANGE="26000-26999",
            )
        )
        opened[-1].start_background()
        return opened[-1]

    yield open_it
    for platform in opened:
        platform.close()


@pytest.mark.parametrize(
    "end", [PrivateEngine.cut_power, pytest.param(PrivateEngine.shut_down, marks=pytest.mark.prove)]
)
@pytest.mark.parametrize("server_first", [True, pytest.param(False, marks=pytest.mark.prove)])
def test_bots_with_secrets_run_again(
    open_platform: Open,
    private_engine: PrivateEngine,
    secret_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[PrivateEngine], None],
    server_first: bool,
) -> None:
    platform = open_platform()
    body = {**GOOD, "blueprint": "busy", "botToken": TOKEN}
    running, stopped = (platform.instances.create(OWNER, body, wait=30).id for _ in range(2))
    platform.instances.stop(OWNER, stopped)
    platform.close()
    end(private_engine)
    shutil.rmtree(secret_root)
    if end is PrivateEngine.shut_down:
        # As if the machine had been off for long, so that nothing can be told from when the containers ended.
        monkeypatch.setattr(observing, "START_TAKES", timedelta(0))
    if server_first:
        platform = open_platform()
        private_engine.start()
    else:
        private_engine.start()
        platform = open_platform()

    own = docker.APIClient(private_engine.address, version="1.41", timeout=10)

    def as_before() -> bool:
        rows = [platform.instances.get(OWNER, each) for each in (running, stopped)]
        there = [own.inspect_container(f"clawdeploy-{each}")["State"]["Status"] for each in (running, stopped)]
        said = [(row.status, row.operation) for row in rows]
        return said == [(Status.RUNNING, None), (Status.STOPPED, None)] and there == ["running", "exited"]

    try:
        assert eventually(as_before, RECOVERS_WITHIN), platform.instances.get(OWNER, running)
        assert run(own, f"clawdeploy-{running}", "cat /run/secrets/botToken") == TOKEN
    finally:
        own.close()


def test_a_bot_that_is_seen_to_end_when_the_engine_is_shut_down_runs_again(
    open_platform: Open, private_engine: PrivateEngine, secret_root: Path, spec: ContainerSpec
) -> None:
    platform = open_platform()
    bot = platform.instances.create(OWNER, {**GOOD, "blueprint": "busy", "botToken": TOKEN}, wait=30).id
    own = docker.APIClient(private_engine.address, version="1.41", timeout=10)
    try:
        # The engine waits for it, and goes on to answer until it has ended.
        resists = own.create_container(
            spec.images[0], ["sh", "-c", "trap '' TERM; sleep 60 & wait; wait"], stop_timeout=4
        )
        own.start(resists)
    finally:
        own.close()
    private_engine.shut_down()
    assert eventually(lambda: platform.instances.get(OWNER, bot).status == Status.STOPPED, 5.0)
    shutil.rmtree(secret_root)
    private_engine.start()
    assert eventually(lambda: platform.instances.get(OWNER, bot).status == Status.RUNNING, RECOVERS_WITHIN)
    assert "crashed" not in [one.reason for one in platform.instances.activity(OWNER, bot)]


def test_a_bot_that_is_stopped_when_it_could_not_be_started_stays_stopped(
    open_platform: Open, private_engine: PrivateEngine
) -> None:
    platform = open_platform()
    instance = platform.instances.create(OWNER, {**GOOD, "blueprint": "busy", "botToken": TOKEN}, wait=30)

    def start_machine_again(meanwhile: ExitStack | None = None) -> Platform:
        platform.close()
        private_engine.shut_down()
        if meanwhile:
            meanwhile.enter_context(socket.create_server(("127.0.0.1", instance.host_port or 0)))
        private_engine.start()
        return open_platform()

    def is_(*wanted: object) -> Callable[[], bool]:
        def reached() -> bool:
            seen = platform.instances.get(OWNER, instance.id)
            there = own.inspect_container(f"clawdeploy-{instance.id}")["State"]["Running"]
            return (seen.status, seen.reason, seen.operation, there) == wanted

        return reached

    own = docker.APIClient(private_engine.address, version="1.41", timeout=10)
    try:
        with ExitStack() as other_program:
            platform = start_machine_again(other_program)
            assert eventually(is_(Status.ERROR, "port_taken", None, False), RECOVERS_WITHIN)
            assert platform.instances.stop(OWNER, instance.id).status == Status.STOPPED
        platform = start_machine_again()
        assert not eventually(lambda: not is_(Status.STOPPED, "", None, False)(), 3.0), "Docker has started it"
        platform.instances.start(OWNER, instance.id)
        platform = start_machine_again()
        assert eventually(is_(Status.RUNNING, "", None, True), RECOVERS_WITHIN)
        policy = own.inspect_container(f"clawdeploy-{instance.id}")["HostConfig"]["RestartPolicy"]["Name"]
        assert policy == "unless-stopped"
    finally:
        own.close()


def test_a_bot_whose_container_somebody_removed_before_is_made_again_with_its_data(
    open_platform: Open, private_engine: PrivateEngine
) -> None:
    platform = open_platform()
    instance = platform.instances.create(OWNER, {**GOOD, "blueprint": "busy", "botToken": TOKEN}, wait=30)
    name = f"clawdeploy-{instance.id}"
    own = docker.APIClient(private_engine.address, version="1.41", timeout=10)
    try:
        run(own, name, "echo kept > /data/kept")
        own.remove_container(name, force=True)
        platform.close()
        private_engine.shut_down()
        private_engine.start()
        platform = open_platform()
        again = platform.instances.retry(OWNER, instance.id, wait=30)
        assert (again.status, again.detail, again.host_port) == (Status.RUNNING, "", instance.host_port)
        assert run(own, name, "cat /data/kept") == "kept\n"
    finally:
        own.close()
