"""The one network of an installation: its bots reach the Internet through it, and not each other.

Without traffic between containers one network is enough for all bots. One for each would be no better, and engines have
addresses for about thirty. It belongs to the installation and to no bot, is made when first needed, and stays.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from clawdeploy.core.errors import NameTaken, RuntimeFailure
from clawdeploy.plugins.docker_runtime.engine import ANSWER_SECONDS, WORK_SECONDS, Engine
from clawdeploy.plugins.docker_runtime.failures import EngineRefusal, not_understood
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, carries, label_filter

BRIDGE_PREFIX = "clawd"
"""What the names of the bridges on the host begin with, so that one firewall rule can be about all of them."""
NO_TRAFFIC_BETWEEN = "com.docker.network.bridge.enable_icc"
BRIDGE_NAME = "com.docker.network.bridge.name"
SMALLEST_PAUSE = 0.05


def network_name(installation: str) -> str:
    """Return the name of an installation's network, unique on the engine."""
    return f"clawdeploy-{installation}"


def bridge_name(installation: str) -> str:
    """Return the name of its bridge on the host, within the kernel's 15 characters."""
    return BRIDGE_PREFIX + hashlib.sha256(installation.encode()).hexdigest()[:10]


def create_body(installation: str) -> dict[str, Any]:
    """Return the body of the call that makes an installation's network.

    Engines allow two networks of one name, but no two of one bridge. So of two who make it at once one is refused, and
    finds the other's.
    """
    return {
        "Name": network_name(installation),
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Labels": {INSTALLATION_LABEL: installation},
        "Options": {NO_TRAFFIC_BETWEEN: "false", BRIDGE_NAME: bridge_name(installation)},
    }


def make(engine: Engine, installation: str) -> str:
    """Make the network, unless it is there, and return the engine's id for it.

    Raises ``NameTaken`` when one that is not ours holds its name, and ``RuntimeFailure`` when somebody has made one
    with our label that lets bots reach each other.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while (found := _find(engine, installation)) is None:
        try:
            engine.call("POST", "/networks/create", body=create_body(installation), timeout=WORK_SECONDS)
        except EngineRefusal:
            # Somebody else makes it in this moment, or the engine does not let us, which it says again and again.
            if time.monotonic() > deadline:
                raise
            time.sleep(SMALLEST_PAUSE)
    return found


def rejoin(engine: Engine, installation: str, container: Mapping[str, Any]) -> None:
    """Attach an inspected container that has ended to the network that there is now, if it was made for it.

    An engine remembers by its id in which network a container was, and does not start one whose network was made anew.
    Raises as ``make`` does, which comes first.
    """
    network_id, name = make(engine, installation), network_name(installation)
    with not_understood():
        if container["HostConfig"].get("NetworkMode") != name:
            return
        # Of a container that was never started the engine knows the name alone.
        known = (container["NetworkSettings"]["Networks"].get(name) or {"NetworkID": None})["NetworkID"]
        body = {"Container": container["Id"]}
    if known not in ("", network_id):
        engine.call("POST", f"/networks/{network_id}/connect", body=body, timeout=WORK_SECONDS)


def remove_all(engine: Engine, labels: Mapping[str, str]) -> None:
    """Remove every network that carries all these labels."""
    found = engine.ask(list, "/networks", label_filter(labels))
    with not_understood():
        ids = [str(each["Id"]) for each in found if carries(each["Labels"], labels)]
    for each in ids:
        try:
            engine.call("DELETE", f"/networks/{each}", timeout=WORK_SECONDS)
        except EngineRefusal as refused:
            if refused.status != 404:
                raise


def _find(engine: Engine, installation: str) -> str | None:
    name = network_name(installation)
    try:
        said = engine.ask(dict, f"/networks/{quote(name, safe='')}")
    except EngineRefusal as refused:
        if refused.status == 404:
            return None
        raise
    with not_understood():
        found, options = str(said["Id"]), said["Options"] or {}
        ours = carries(said["Labels"], {INSTALLATION_LABEL: installation})
    if not ours:
        raise NameTaken(f"A network of somebody else's is called {name}. Whoever runs this server has to remove it.")
    if options.get(NO_TRAFFIC_BETWEEN) != "false":
        raise RuntimeFailure(f"The network {name} lets bots reach each other. Remove it, and it is made anew.")
    return found
