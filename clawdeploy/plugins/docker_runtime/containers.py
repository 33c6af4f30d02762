"""Finding containers on the engine, making them, and telling whose they are."""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from clawdeploy.core.contracts import ContainerState, Observation
from clawdeploy.core.errors import ContainerUnusable, EngineError, NameTaken, PortTaken
from clawdeploy.plugins.docker_runtime.container_config import Owner
from clawdeploy.plugins.docker_runtime.engine import ANSWER_SECONDS, WORK_SECONDS, Engine
from clawdeploy.plugins.docker_runtime.failures import (
    LET_REMOVE,
    NAME_IN_USE,
    PORT_ALLOCATED,
    PORT_IN_USE,
    TASK_LEFT,
    EngineRefusal,
    not_understood,
)
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL, carries, label_filter
from clawdeploy.plugins.docker_runtime.observing import from_inspection

INSPECT_ATTEMPTS = 5
WAS_IN_USE = "was in use by another program when the bot was to be started; it may be free now."

Said = Mapping[str, Any]
"""What the engine says about one container: an inspection, or an entry of the list."""


def inspect(engine: Engine, name_or_id: str) -> Said | None:
    """Return the inspection of a container, whosever it is; ``None`` when there is none."""
    for attempt in range(INSPECT_ATTEMPTS):
        try:
            return engine.ask(dict, f"/containers/{quote(name_or_id, safe='')}/json")
        except EngineRefusal as refused:
            if refused.status == 404:
                return None
            # Podman trips over a process that ends while it looks.
            if "no such process" not in refused.said or attempt + 1 == INSPECT_ATTEMPTS:
                raise
    return None


def find_ours(engine: Engine, installation: str, container_id: str) -> Said | None:
    """Return the inspection of a container of this installation, ``None`` for any other and for a missing one."""
    container = inspect(engine, container_id) if re.fullmatch(r"[0-9a-f]{12,64}", container_id) else None
    if container is None or labels(container).get(INSTALLATION_LABEL) != installation:
        return None
    return container


def find_of(engine: Engine, owner: Owner) -> Said | None:
    """Return the inspection of an instance's container, ``None`` when it has none."""
    container = inspect(engine, owner.container_name)
    if container is not None and is_of(owner, container):
        return container
    # Somebody may have renamed it; it is ours all the same.
    renamed = find_all(engine, owner.labels)
    with not_understood():
        return inspect(engine, renamed[0]["Id"]) if renamed else None


def find_all(engine: Engine, wanted: dict[str, str]) -> list[Said]:
    """Return the list entries of all containers with these labels, running or not; one request."""
    found = engine.ask(list, "/containers/json", {"all": "1", **label_filter(wanted)})
    with not_understood():
        return [each for each in found if carries(each["Labels"], wanted)]


def the_ones(found: Iterable[Said]) -> dict[str, Said]:
    """Choose each instance's container from the list: the one that bears its name, or else the newest.

    There is one at most, unless somebody has made a second one by hand. ``find_of`` chooses in the same way.
    """
    chosen: dict[str, Said] = {}
    with not_understood():
        for each in found:
            instance_id = each["Labels"].get(INSTANCE_LABEL)
            if instance_id and (instance_id not in chosen or f"/clawdeploy-{instance_id}" in (each.get("Names") or ())):
                chosen[instance_id] = each
    return chosen


def labels(container: Said) -> dict[str, str]:
    """Return the labels in an inspection."""
    with not_understood():
        return dict(container["Config"]["Labels"] or {})


def is_of(owner: Owner, container: Said) -> bool:
    """Say whether an inspected container carries the owner's labels, both of them."""
    return carries(labels(container), owner.labels)


def create_or_adopt(engine: Engine, owner: Owner, body: dict[str, Any]) -> tuple[str, bool]:
    """Make the container, or find the one that a lost answer has left.

    Returns its id and whether it has never been started. Raises ``NameTaken`` when the name is somebody else's.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            params = {"name": owner.container_name}
            made = engine.call("POST", "/containers/create", params=params, body=body, timeout=WORK_SECONDS)
        except EngineRefusal as refused:
            if not NAME_IN_USE.search(refused.said):
                raise
            holder = inspect(engine, owner.container_name)
            if holder is not None:
                return _adopted(owner, holder)
            # The engine reserves a name some moments before it shows the container, and frees it after.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            with not_understood():
                return str(made["Id"]), True


def _adopted(owner: Owner, holder: Said) -> tuple[str, bool]:
    if not is_of(owner, holder):
        raise NameTaken(f"A container of somebody else's was called {owner.container_name}. {LET_REMOVE}")
    seen = from_inspection(holder)
    return seen.container_id or "", seen.state is ContainerState.CREATED


def not_started(engine: Engine, seen: Observation, refused: EngineRefusal) -> EngineError:
    """Return the error that an engine's refusal to start a container stands for.

    An engine that is killed in the middle of a start may refuse that container ever after: it finds its process there,
    which it has forgotten, or its port in use, by itself and for nobody (Docker 20.10).
    """
    if TASK_LEFT.search(refused.said):
        return ContainerUnusable(refused.detail)
    held = seen.state is ContainerState.EXITED and PORT_ALLOCATED.search(refused.said)
    if held and not _is_published(engine, seen.host_port):
        return ContainerUnusable(f"Docker holds port {seen.host_port} of this server for a container that is gone.")
    if PORT_IN_USE.search(refused.said):
        return PortTaken(f"Port {seen.host_port} of this server {WAS_IN_USE}")
    return refused


def _is_published(engine: Engine, host_port: int | None) -> bool:
    """Say whether a container that runs, whosever it is, has a port of the host."""
    running = engine.ask(list, "/containers/json")
    with not_understood():
        return any(port.get("PublicPort") == host_port for each in running for port in each["Ports"] or ())
