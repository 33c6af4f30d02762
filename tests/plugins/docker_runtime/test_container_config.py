"""The request that creates a container, to the letter; and what the engine makes of it."""

from dataclasses import replace
from pathlib import Path

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, Limits, Probe, Secret, SecretFile, SeededFile, Volume
from clawdeploy.core.testing import Stage, free_port
from clawdeploy.plugins.docker_runtime.container_config import Owner, create_body
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime

OWNER = Owner("home", "one")
PLAIN = ContainerSpec(images=("bot:1",), container_port=80, limits=Limits(256 * 2**20, 0.5, 128))
FULL = replace(
    PLAIN,
    container_port=18789,
    probe=Probe("/healthz", 180.0),
    stop_timeout=20.5,
    command=("node", "index.js"),
    working_directory="/app",
    user="1000:1000",
    environment={"HOME": "/home/node"},
    volumes=(Volume("data", "/home/node/.openclaw"),),
    secret_files=(SecretFile("/home/node/.openclaw/.env", Secret("TOKEN=hidden")),),
    capabilities=("CHOWN",),
    read_only=True,
    tmpfs=("/tmp",),
)


def test_a_plain_container() -> None:
    assert create_body(OWNER, "bot:1", 10000, "127.0.0.1", PLAIN, {}) == {
        "Image": "bot:1",
        "Labels": {"clawdeploy.installation": "home", "clawdeploy.instance": "one"},
        "Env": [],
        "ExposedPorts": {"80/tcp": {}},
        "StopTimeout": 10,
        "User": "65534:65534",
        "HostConfig": {
            "NanoCpus": 500_000_000,
            "Memory": 268_435_456,
            "MemorySwap": 268_435_456,
            "PidsLimit": 128,
            "CapDrop": ["ALL"],
            "CapAdd": [],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Tmpfs": {},
            "Init": True,
            "NetworkMode": "clawdeploy-home",
            "RestartPolicy": {"Name": "unless-stopped"},
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "10000"}]},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "Mounts": [],
        },
    }


def test_an_image_may_be_given_its_own_user_and_its_file_system() -> None:
    body = create_body(OWNER, "bot:1", 10000, "127.0.0.1", replace(PLAIN, user=None, read_only=False), {})
    assert ("User" in body, body["HostConfig"]["ReadonlyRootfs"]) == (False, False)


def test_a_container_with_everything() -> None:
    body = create_body(OWNER, "bot:1", 10000, "0.0.0.0", FULL, {"/home/node/.openclaw/.env": Path("/run/x/env")})
    host = body.pop("HostConfig")
    assert body == {
        "Image": "bot:1",
        "Labels": {"clawdeploy.installation": "home", "clawdeploy.instance": "one"},
        "Env": ["HOME=/home/node"],
        "ExposedPorts": {"18789/tcp": {}},
        "StopTimeout": 21,
        "Cmd": ["node", "index.js"],
        "WorkingDir": "/app",
        "User": "1000:1000",
    }
    assert host["PortBindings"] == {"18789/tcp": [{"HostIp": "0.0.0.0", "HostPort": "10000"}]}
    assert (host["CapAdd"], host["ReadonlyRootfs"], host["Tmpfs"]) == (["CHOWN"], True, {"/tmp": "uid=1000,gid=1000"})
    assert host["Mounts"] == [
        {"Type": "volume", "Source": "clawdeploy-one-data", "Target": "/home/node/.openclaw"},
        {"Type": "bind", "Source": "/run/x/env", "Target": "/home/node/.openclaw/.env", "ReadOnly": True},
    ]


@pytest.mark.engine
def test_the_engine_has_taken_it_all_in(stage: Stage, spec: ContainerSpec, witness: docker.APIClient) -> None:
    limits = Limits(memory_bytes=256 * 2**20, cpus=0.5, pids=128)
    port = free_port()
    instance_id, container_id = stage.started(replace(spec, limits=limits, capabilities=("CHOWN",)), port)
    said = witness.inspect_container(container_id)
    host = said["HostConfig"]
    assert said["Name"] == f"/clawdeploy-{instance_id}"
    expected = {
        "NanoCpus": 500_000_000,
        "Memory": 268_435_456,
        "MemorySwap": 268_435_456,
        "PidsLimit": 128,
        "CapDrop": ["ALL"],
        "CapAdd": ["CHOWN"],
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "Privileged": False,
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    }
    assert {name: host[name] for name in expected} == expected
    assert said["NetworkSettings"]["Ports"]["8080/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(port)}]


@pytest.mark.engine
def test_the_process_is_as_confined_as_it_should_be(
    stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    confined = replace(spec, user="1000:1000", read_only=True, tmpfs=("/scratch",), environment={"COLOUR": "green"})
    _, container_id = stage.ready(confined)
    running = witness.exec_create(
        container_id,
        ["sh", "-c", "id -u; echo $COLOUR; echo x 2>&1 >/www/x; echo ok >/scratch/x; cat /scratch/x /proc/1/status"],
    )["Id"]
    said = witness.exec_start(running).decode()
    assert said.startswith("1000\ngreen\nsh: can't create /www/x: Read-only file system\nok\n")
    assert "CapBnd:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said


@pytest.mark.engine
def test_a_blueprint_that_says_nothing_runs_as_nobody_and_changes_nothing(
    stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    usual = ContainerSpec(spec.images, spec.container_port, spec.limits, spec.probe, command=spec.command)
    _, container_id = stage.ready(usual)
    running = witness.exec_create(container_id, ["sh", "-c", "id -u; echo x 2>&1 >/www/x; echo x 2>&1 >/tmp/x"])["Id"]
    said = witness.exec_start(running).decode()
    assert said.splitlines() == [
        "65534",
        "sh: can't create /www/x: Read-only file system",
        "sh: can't create /tmp/x: Read-only file system",
    ]


@pytest.mark.engine
def test_a_bot_of_a_real_kind_gets_all_it_needs(
    stage: Stage, runtime: DockerRuntime, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    """A data folder with a seeded configuration of its own user, a secret file beside it, and a read-only system."""
    bot = replace(
        spec,
        user="1000:1000",
        read_only=True,
        volumes=(Volume("data", "/home/node/.openclaw"),),
        seeded_files=(SeededFile("/home/node/.openclaw/openclaw.json", b"{}", 0o600, 1000, 1000),),
        secret_files=(SecretFile("/home/node/.openclaw/.env", Secret("TOKEN=hidden")),),
    )
    _, container_id = stage.ready(bot)
    reading = witness.exec_create(
        container_id, ["sh", "-c", "cd /home/node/.openclaw; stat -c '%a %u %g' openclaw.json; cat .env openclaw.json"]
    )["Id"]
    assert witness.exec_start(reading) == b"600 1000 1000\nTOKEN=hidden{}"
