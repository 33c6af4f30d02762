"""From what a container should be to the request that creates it. Pure: no engine, no files."""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawdeploy.core.contracts import ContainerSpec, Limits, Volume
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL, is_instance_id
from clawdeploy.plugins.docker_runtime.networks import network_name

RESTARTS = {"Name": "unless-stopped"}
"""Which containers an engine starts again by itself: all that end, and that it was not asked to stop."""


@dataclass(frozen=True)
class Owner:
    """Whose something is: labels say it on containers and volumes."""

    installation: str
    instance_id: str

    def __post_init__(self) -> None:
        if not is_instance_id(self.instance_id):
            raise RuntimeFailure("This instance id cannot be part of a container's name.")

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels that everything of this owner carries."""
        return {INSTALLATION_LABEL: self.installation, INSTANCE_LABEL: self.instance_id}

    @property
    def container_name(self) -> str:
        """Return the name of the instance's container."""
        return f"clawdeploy-{self.instance_id}"

    def volume_name(self, volume: Volume) -> str:
        """Return the name of one of the instance's volumes, unique on the engine."""
        return f"clawdeploy-{self.instance_id}-{volume.name}"


def create_body(
    owner: Owner, image: str, host_port: int, bind_address: str, spec: ContainerSpec, secrets: dict[str, Path]
) -> dict[str, Any]:
    """Return the body of the engine's create call.

    ``secrets`` maps paths in the container to the files on the host that are shown there.
    """
    port = f"{spec.container_port}/tcp"
    body: dict[str, Any] = {
        "Image": image,
        "Labels": owner.labels,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "ExposedPorts": {port: {}},
        "StopTimeout": math.ceil(spec.stop_timeout),
        "HostConfig": {
            **_limits(spec),
            **_hardening(spec),
            "Init": True,
            "NetworkMode": network_name(owner.installation),
            "RestartPolicy": RESTARTS,
            "PortBindings": {port: [{"HostIp": bind_address, "HostPort": str(host_port)}]},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "Mounts": _mounts(owner, spec, secrets),
        },
    }
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if spec.working_directory is not None:
        body["WorkingDir"] = spec.working_directory
    if spec.user is not None:
        body["User"] = spec.user
    return body


def profile(installation: str, bind_address: str) -> str:
    """Identify all that a container is made with besides what its specification says; a hash."""
    blank = ContainerSpec(images=(), container_port=0, limits=Limits(0, 0, 0), user=None, read_only=False)
    body = create_body(Owner(installation, "any"), "", 0, bind_address, blank, {})
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _limits(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "NanoCpus": round(spec.limits.cpus * 1_000_000_000),
        "Memory": spec.limits.memory_bytes,
        "MemorySwap": spec.limits.memory_bytes,
        "PidsLimit": spec.limits.pids,
    }


def _hardening(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.capabilities),
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": spec.read_only,
        "Tmpfs": dict.fromkeys(spec.tmpfs, _tmpfs_options(spec.user)),
    }


def _tmpfs_options(user: str | None) -> str:
    """Give a folder in memory to the user of the container; runc gives it the mode of the one that it covers."""
    numbers = re.fullmatch(r"(\d+):(\d+)", user or "")
    return f"uid={numbers[1]},gid={numbers[2]}" if numbers else ""


def _mounts(owner: Owner, spec: ContainerSpec, secrets: dict[str, Path]) -> list[dict[str, Any]]:
    volumes = [
        {"Type": "volume", "Source": owner.volume_name(volume), "Target": volume.path} for volume in spec.volumes
    ]
    files = [
        {"Type": "bind", "Source": str(source), "Target": path, "ReadOnly": True} for path, source in secrets.items()
    ]
    return volumes + files
