"""What a container is like, to the last option, as it was recorded once; and the blueprint that it is recorded of.

``RECORD_GOLDEN=1 pytest tests/plugins/docker_runtime/test_golden.py`` records it anew, for whoever means to change it.
The files hold what Docker Engine 20.10 says on cgroup v1.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import docker

from clawdeploy.core.contracts import (
    Blueprint,
    Bot,
    ContainerSpec,
    Instance,
    Limits,
    Probe,
    SecretFile,
    SeededFile,
    Volume,
)
from clawdeploy.core.hookspecs import hookimpl

FOLDER = Path(__file__).with_name("golden")
MEANT = "The container is not as it was recorded. If that is meant, record it anew; golden_container.py says how."


class Everything:
    """A blueprint that uses all that a specification can hold, with a file for each secret."""

    name = "everything"
    label = "Everything"
    description = "It serves a page."
    probe = Probe(deadline=15)
    stop_timeout = 5.0

    def __init__(self, image: str) -> None:
        self.images: tuple[str, ...] = (image,)

    def container(self, bot: Bot) -> ContainerSpec:
        return ContainerSpec(
            images=self.images,
            container_port=8080,
            limits=Limits(memory_bytes=64 * 2**20, cpus=0.5, pids=64),
            probe=self.probe,
            stop_timeout=self.stop_timeout,
            command=("/bin/sh", "-c", "echo hello; exec httpd -f -p 8080 -h /www"),
            working_directory="/www",
            user="1000:1000",
            environment={"HOME": "/data"},
            volumes=(Volume("data", "/data"),),
            seeded_files=(SeededFile("/data/seed", b"{}", 0o600, 1000, 1000),),
            secret_files=tuple(SecretFile(f"/run/{name}", value) for name, value in sorted(bot.secrets.items())),
            read_only=True,
            tmpfs=("/tmp",),
        )

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]


def described(witness: docker.APIClient, bot: Instance, installation: str) -> dict[str, Any]:
    """Return what the engine says of a bot's container, with a word for each value that is another one each time."""
    said = witness.inspect_container(f"clawdeploy-{bot.id}")
    told = {
        "Config": said["Config"],
        # An engine that has read it from its disk says an empty list where it said null before.
        "HostConfig": {name: None if value == [] else value for name, value in said["HostConfig"].items()},
        "Networks": sorted(said["NetworkSettings"]["Networks"]),
        "Mounts": sorted([each["Type"], each["Destination"], "rw" if each["RW"] else "ro"] for each in said["Mounts"]),
    }
    text = json.dumps(told, indent=1, sort_keys=True)
    words = {bot.id: "INSTANCE", installation: "INSTALLATION", said["Id"][:12]: "CONTAINER", str(bot.host_port): "PORT"}
    for mount in said["HostConfig"].get("Mounts") or ():
        if mount["Type"] == "bind":
            words[mount["Source"].partition(f"/{installation}/")[0]] = "SECRETS"
    for value, word in words.items():
        text = text.replace(value, word)
    described: dict[str, Any] = json.loads(text)
    labels = described["Config"]["Labels"]
    for name in labels:
        if not name.startswith("clawdeploy.") or name == "clawdeploy.test.content":
            labels[name] = "OF THE IMAGE"
    return described


def assert_golden(name: str, found: dict[str, Any], secrets: Iterable[str] = ()) -> None:
    """Compare with what was recorded; mounts of secrets that the container was made without are left out of that."""
    file = FOLDER / f"{name}.json"
    if os.environ.get("RECORD_GOLDEN") and not file.exists():
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    recorded: dict[str, Any] = json.loads(file.read_text())
    there = {f"/run/{secret}" for secret in secrets}
    absent = {"/run/apiKey", "/run/botToken"} - there
    mounts = recorded["HostConfig"].get("Mounts") or []
    if mounts:
        recorded["HostConfig"]["Mounts"] = [each for each in mounts if each["Target"] not in absent]
    recorded["Mounts"] = [each for each in recorded["Mounts"] if each[1] not in absent]
    assert found == recorded, MEANT
