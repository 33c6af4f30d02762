"""A container is as it was recorded, to the last option, whatever was done to it and whatever its owner sent."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from clawdeploy.core.contracts import Instance, Status
from clawdeploy.core.errors import InvalidInput
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from tests.browser.sites import STANDIN_IMAGE
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime.conftest import ADDRESS, MakeRuntime
from tests.plugins.docker_runtime.golden_container import FOLDER, Everything, assert_golden, described
from tests.private_engine import PrivateEngine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

OWNER = "ann"
TOKENS = [f"12345678{last}:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz" for last in range(3)]
BODY = {**GOOD, "blueprint": "everything"}
BOTH = ("apiKey", "botToken")

Home = Callable[..., "Bots"]


class Bots:
    """A platform on a real engine, and the engine seen past our own code."""

    def __init__(self, platform: Platform, engine: docker.APIClient) -> None:
        self.platform = platform
        self.engine = engine
        self.instances = platform.instances
        self._made: list[str] = []

    def create(self, **fields: Any) -> Instance:
        made = self.instances.create(OWNER, {**BODY, **fields}, wait=30)
        self._made.append(made.id)
        assert made.status is Status.RUNNING, made.detail
        return made

    def seen(self, bot: Instance) -> dict[str, Any]:
        return described(self.engine, self.instances.get(OWNER, bot.id), self.platform.installation)

    def reaches(self, bot: Instance, status: Status) -> bool:
        def arrived() -> bool:
            self.platform.reconciler.sync(patience=10)
            now = self.instances.get(OWNER, bot.id)
            return (now.status, now.operation) == (status, None)

        return eventually(arrived, 30)

    def close(self) -> None:
        for instance_id in self._made:
            self.instances.delete(OWNER, instance_id, wait=30)
        self.platform.close()


@pytest.fixture
def home(tmp_path: Path, make_runtime: MakeRuntime, busybox_image: str) -> Iterator[Home]:
    """Open a platform on the engine of an address; only where that is the usual one, it is cleared at the end."""
    opened: list[tuple[Bots, bool]] = []

    def open_it(address: str = ADDRESS, blueprint: Any = None) -> Bots:
        platform = memory_platform(
            tmp_path / str(len(opened)),
            runtime=lambda installation: make_runtime(installation, address),
            plugins={"everything": blueprint or Everything(busybox_image)},
            PORT_RANGE="24000-24999",
            STANDIN_IMAGE=STANDIN_IMAGE,
        )
        opened.append((Bots(platform, docker.APIClient(address, version="1.41", timeout=60)), address == ADDRESS))
        return opened[-1][0]

    yield open_it
    for bots, ours in opened:
        if ours:
            bots.close()
        else:
            bots.platform.close()
        bots.engine.close()


@pytest.fixture
def bots(home: Home) -> Bots:
    return home()


def test_after_every_operation(bots: Bots) -> None:
    """Secrets that come or go are files that a container is made anew for; for each that changes it is restarted."""
    instances, bot = bots.instances, bots.create(apiKey="sk-1", botToken=TOKENS[0])
    first = bots.seen(bot)
    assert_golden("everything", first, BOTH)

    def change(**fields: Any) -> None:
        instances.patch(OWNER, bot.id, fields, wait=30)

    steps: tuple[tuple[str, Callable[[], Any], tuple[str, ...]], ...] = (
        ("stop", lambda: instances.stop(OWNER, bot.id, wait=30), BOTH),
        ("start", lambda: instances.start(OWNER, bot.id, wait=30), BOTH),
        ("restart", lambda: instances.restart(OWNER, bot.id, wait=30), BOTH),
        ("name", lambda: change(name="Another name"), BOTH),
        ("config", lambda: change(config={"a": 1}), BOTH),
        ("status", lambda: change(status="stopped"), BOTH),
        ("status", lambda: change(status="running"), BOTH),
        ("botToken", lambda: change(botToken=TOKENS[1]), BOTH),
        ("credentials", lambda: change(credentials={"botToken": TOKENS[2]}), BOTH),
        ("apiKey", lambda: change(apiKey=None), ("botToken",)),
        ("apiKey", lambda: change(apiKey="sk-2"), BOTH),
    )
    done = set()
    for name, step, secrets in steps:
        step()
        assert_golden("everything", bots.seen(bot), secrets)
        done.add(name)
    in_schema = {field.data_key or name for name, field in bots.platform.schemas.change.fields.items()}
    assert in_schema <= done, "each field that can be changed is among them"


def test_after_it_was_lost_and_after_a_crash(bots: Bots) -> None:
    bot = bots.create(apiKey="sk-1", botToken=TOKENS[0])
    name = f"clawdeploy-{bot.id}"
    crashed = bots.engine.inspect_container(name)["State"]["Pid"]
    os.kill(crashed, signal.SIGKILL)
    assert eventually(lambda: bots.engine.inspect_container(name)["State"]["Pid"] not in (0, crashed), 20)
    assert_golden("everything", bots.seen(bot), BOTH)
    bots.engine.remove_container(name, force=True)
    bots.platform.reconciler.sync(patience=10)
    assert bots.instances.get(OWNER, bot.id).reason == "container_missing"
    bots.instances.start(OWNER, bot.id, wait=30)
    assert_golden("everything", bots.seen(bot), BOTH)


def test_after_its_engine_was_killed(home: Home, busybox_image: str, private_engine: PrivateEngine) -> None:
    private_engine.load(busybox_image)
    bots = home(private_engine.address)
    bot = bots.create(apiKey="sk-1", botToken=TOKENS[0])
    assert_golden("everything", bots.seen(bot), BOTH)
    private_engine.kill()
    private_engine.start()
    assert bots.reaches(bot, Status.RUNNING), bots.instances.get(OWNER, bot.id)
    assert_golden("everything", bots.seen(bot), BOTH)


def test_the_stand_in(bots: Bots) -> None:
    bot = bots.create(blueprint="standin")
    assert_golden("standin", bots.seen(bot))
    bots.instances.restart(OWNER, bot.id, wait=30)
    assert_golden("standin", bots.seen(bot))


HOSTILE_CONFIG = {
    "HostConfig": {"Privileged": True, "Binds": ["/:/host"], "NetworkMode": "host", "CapAdd": ["SYS_ADMIN"]},
    "Image": "evil:latest",
    "Binds": ["/var/run/docker.sock:/var/run/docker.sock"],
    "Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}],
    "Privileged": True,
    "CapAdd": ["ALL"],
    "Cmd": ["sh", "-c", "id"],
    "User": "0:0",
    "Env": ["LD_PRELOAD=/tmp/evil.so"],
    "images": ["evil:latest"],
    "user": "0:0",
    "read_only": False,
    "capabilities": ["SYS_ADMIN"],
    "volumes": [{"name": "/", "path": "/host"}],
    "limits": {"memory_bytes": 0, "cpus": 0, "pids": 0},
    "../../../etc/passwd": "x",
    "__class__": {"__init__": "x"},
    "${HOME}": "$(id)",
    "{0.__class__}": "%s%n",
}
EVERYWHERE = "../../etc/$(id);`id`&&{}%s<img src=x> --privileged -v /:/host"
HOSTILE: dict[str, tuple[Any, ...]] = {
    "name": (EVERYWHERE, "/var/run/docker.sock:/host", "a/b:c", "--privileged", "clawdeploy-../x"),
    "model": ("evil:latest", "gpt-5.2 --privileged"),
    "channel": ("../telegram", "telegram;id"),
    "blueprint": ("../standin", "evil", "everything;id"),
    "region": (EVERYWHERE,),
    "instanceType": (EVERYWHERE, "privileged"),
    "ipAddress": (EVERYWHERE, "0.0.0.0", "host"),
    "botToken": ("/etc/passwd", EVERYWHERE, f"{TOKENS[0]},readonly=false,source=/"),
    "apiKey": (",source=/,target=/host", "--privileged", '"}],"Privileged":true'),
    "credentials": ({"botToken": TOKENS[1]}, {"../botToken": TOKENS[1]}, {"HostConfig": "x"}),
    "config": (HOSTILE_CONFIG,),
    "status": ("privileged", "running; id"),
}
UNKNOWN = (
    "HostConfig",
    "Image",
    "Binds",
    "Privileged",
    "CapAdd",
    "image",
    "env",
    "mounts",
    "port",
    "hostPort",
    "userId",
)


def test_every_field_that_can_be_sent_is_tried(bots: Bots) -> None:
    schemas = bots.platform.schemas
    known = {field.data_key or name for each in (schemas.new, schemas.change) for name, field in each.fields.items()}
    assert known == set(HOSTILE)


def test_nothing_that_an_owner_sends_changes_a_container(bots: Bots) -> None:
    """What is refused makes none. What is taken makes the same as always, with all that is taken at once."""
    refused, taken = [], dict(BODY)
    for field, values in HOSTILE.items():
        for value in values:
            body = {**BODY, field: value}
            if not bots.platform.instances.check(body):
                taken[field] = value
            else:
                refused.append(field)
                with pytest.raises(InvalidInput):
                    bots.instances.create(OWNER, body)
    for field in UNKNOWN:
        with pytest.raises(InvalidInput):
            bots.instances.create(OWNER, {**BODY, field: {"Privileged": True}})
    assert bots.engine.containers(all=True, filters={"label": _label(bots)}) == []
    assert {"name", "region", "config", "apiKey"} <= {field for field in taken if taken[field] != BODY.get(field)}
    assert {"model", "channel", "blueprint", "credentials", "status"} <= set(refused)
    taken = {"botToken": TOKENS[0], **taken} if "credentials" not in taken else taken
    bot = bots.create(**taken)
    assert_golden("everything", bots.seen(bot), BOTH)
    for field, values in HOSTILE.items():
        for value in values:
            try:
                bots.instances.patch(OWNER, bot.id, {field: value}, wait=30)
            except InvalidInput:
                continue
    bots.instances.restart(OWNER, bot.id, wait=30)
    assert_golden("everything", bots.seen(bot), BOTH)


def _label(bots: Bots) -> str:
    return f"clawdeploy.installation={bots.platform.installation}"


def hardened() -> dict[str, Callable[[dict[str, Any]], bool]]:
    """What finding and benchmark ask of every container, as a reader would check it in the recorded file."""
    return {
        "no capability but one to open a port": lambda h: (
            h["CapDrop"] == ["ALL"] and set(h["CapAdd"] or ()) <= {"NET_BIND_SERVICE"}
        ),
        "no new privileges": lambda h: h["SecurityOpt"] == ["no-new-privileges"] and not h["Privileged"],
        "limits": lambda h: h["PidsLimit"] > 0 and h["NanoCpus"] > 0 and 0 < h["Memory"] == h["MemorySwap"],
        "read-only": lambda h: h["ReadonlyRootfs"] is True,
        "init": lambda h: h["Init"] is True,
        "no part of the host": lambda h: (
            not any((h["Binds"], h["Devices"], h["VolumesFrom"], h["Links"]))
            and [h["PidMode"], h["UTSMode"], h["UsernsMode"]] == ["", "", ""]
            and h["IpcMode"] == "private"
        ),
        "a network of ours": lambda h: h["NetworkMode"] == "clawdeploy-INSTALLATION",
        "published on the loopback address": lambda h: (
            [each["HostIp"] for bound in h["PortBindings"].values() for each in bound] == ["127.0.0.1"]
        ),
        "a log that does not grow for ever": lambda h: h["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"},
        "what the kernel shows is masked": lambda h: (
            "/proc/kcore" in h["MaskedPaths"] and "/proc/sys" in h["ReadonlyPaths"]
        ),
    }


@pytest.mark.parametrize("what", hardened())
@pytest.mark.parametrize("name", ["everything", "standin"])
def test_what_was_recorded_is_hardened(name: str, what: str) -> None:
    recorded = json.loads((FOLDER / f"{name}.json").read_text())
    assert hardened()[what](recorded["HostConfig"])
    assert recorded["Config"]["User"] not in ("", "0", "0:0", "root")
