"""Whether an engine that starts also starts a container that it has failed to start: it does, unless it is told not to.

Docker leaves alone what it was asked to stop. What does not run it cannot be asked to stop: it says that it is so
already, and starts it when it starts itself, if whatever was in the way is gone by then (Docker 20.10).
"""

from contextlib import suppress
from typing import Any

from clawdeploy.plugins.docker_runtime.container_config import RESTARTS
from clawdeploy.plugins.docker_runtime.containers import Said
from clawdeploy.plugins.docker_runtime.engine import Engine
from clawdeploy.plugins.docker_runtime.failures import EngineRefusal, not_understood
from clawdeploy.plugins.docker_runtime.observing import STARTED_AGAIN

NEVER: dict[str, Any] = {"Name": "no"}


def leave_ended(engine: Engine, container: Said) -> None:
    """Have the engine leave an inspected container ended that it has failed to start."""
    if _is_failed(container) and _policy(container) in STARTED_AGAIN:
        # Podman, which cannot change that, starts nothing by itself.
        with suppress(EngineRefusal):
            _update(engine, container, NEVER)


def start_as_usual(engine: Engine, container: Said) -> None:
    """Take that back, for a container that is to run. What somebody else has told the engine stays."""
    if _is_failed(container) and _policy(container) == NEVER["Name"]:
        _update(engine, container, RESTARTS)


def _is_failed(container: Said) -> bool:
    with not_understood():
        return bool(container["State"].get("Error")) and not container["State"]["Running"]


def _policy(container: Said) -> object:
    with not_understood():
        return (container["HostConfig"].get("RestartPolicy") or {}).get("Name")


def _update(engine: Engine, container: Said, policy: dict[str, Any]) -> None:
    engine.call("POST", f"/containers/{container['Id']}/update", body={"RestartPolicy": policy})
