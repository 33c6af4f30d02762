"""Networks of installations: a server leaves its own on the engine, and a test takes it away."""

import re
import subprocess
from contextlib import suppress
from pathlib import Path

import docker

from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL
from clawdeploy.plugins.docker_runtime.networks import BRIDGE_PREFIX


def remove_networks(client: docker.APIClient, installation: str) -> None:
    """Remove the networks of an installation whose containers are gone."""
    for network in client.networks(filters={"label": f"{INSTALLATION_LABEL}={installation}"}):
        with suppress(docker.errors.NotFound):
            client.remove_network(network["Id"])


def remove_bridges(network_files: Path) -> None:
    """Remove the bridges of an engine that is gone and whose networks are kept in a folder."""
    known = b"".join(file.read_bytes() for file in network_files.glob("**/*.db"))
    for bridge in set(re.findall(rb"%s[0-9a-f]{10}" % BRIDGE_PREFIX.encode(), known)):
        subprocess.run(["ip", "link", "delete", bridge.decode()], check=False, capture_output=True)
