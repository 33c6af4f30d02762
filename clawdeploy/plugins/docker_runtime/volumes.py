"""The named volumes of an instance."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from clawdeploy.core.contracts import Volume
from clawdeploy.core.errors import NameTaken
from clawdeploy.plugins.docker_runtime.container_config import Owner
from clawdeploy.plugins.docker_runtime.engine import WORK_SECONDS, Engine
from clawdeploy.plugins.docker_runtime.failures import EngineRefusal, not_understood
from clawdeploy.plugins.docker_runtime.labels import MADE_LABEL, carries, label_filter


def make(engine: Engine, owner: Owner, volumes: Iterable[Volume]) -> None:
    """Make the volumes that are not there yet. Raises ``NameTaken`` when one is somebody else's."""
    for volume in volumes:
        name = owner.volume_name(volume)
        labels = {**owner.labels, MADE_LABEL: datetime.now(UTC).isoformat()}
        made = engine.call("POST", "/volumes/create", body={"Name": name, "Labels": labels}, timeout=WORK_SECONDS)
        # The engine hands out a volume that is there already, whosever it is.
        if not _is_of(owner, made) and not _is_of(owner, engine.ask(dict, f"/volumes/{quote(name, safe='')}")):
            whose = f"A volume of somebody else's was called {name}."
            raise NameTaken(f"{whose} Whoever runs this server has to remove it; then try again.")


def _is_of(owner: Owner, volume: Any) -> bool:
    """Say whether a volume carries the owner's labels.

    In its answer to a creation Docker 20.10 leaves them out for a volume that was there, and that no container has used
    and nobody has asked for by its name since the engine started. What it says when it is asked for is right.
    """
    with not_understood():
        return carries(volume["Labels"], owner.labels)


def remove_all(engine: Engine, owner: Owner) -> None:
    """Remove every volume that carries the owner's labels, also those that a newer blueprint no longer has."""
    found = engine.ask(dict, "/volumes", label_filter(owner.labels))
    with not_understood():
        names = [str(each["Name"]) for each in found["Volumes"] or () if carries(each["Labels"], owner.labels)]
    for name in names:
        try:
            engine.call("DELETE", f"/volumes/{quote(name, safe='')}", timeout=WORK_SECONDS)
        except EngineRefusal as refused:
            if refused.status != 404:
                raise
