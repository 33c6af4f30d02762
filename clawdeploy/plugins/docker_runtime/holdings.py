"""What there is of an installation, on the engine and in this machine's memory: one request for each kind of thing."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from clawdeploy.core.contracts import Holding
from clawdeploy.plugins.docker_runtime.containers import find_all
from clawdeploy.plugins.docker_runtime.engine import Engine
from clawdeploy.plugins.docker_runtime.failures import not_understood, one_line
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, MADE_LABEL, label_filter, labelled_instance
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder

WHOLE_SECOND = timedelta(seconds=1)
"""Engines round down to seconds: after this it was surely made. Our own dates, of volumes and secrets, are exact."""


def all_holdings(engine: Engine, installation: str, secrets: SecretFolder) -> list[Holding]:
    """Return everything that carries both labels of this installation; its own network is of no instance."""
    found = [*_containers(engine, installation), *_volumes(engine, installation), *_networks(engine, installation)]
    return [*found, *(Holding(each, "secret files", "", at) for each, at in secrets.written().items())]


def _containers(engine: Engine, installation: str) -> Iterator[Holding]:
    for said in find_all(engine, {INSTALLATION_LABEL: installation}):
        with not_understood():
            if instance_id := labelled_instance(installation, said["Labels"]):
                name = (said.get("Names") or [said["Id"]])[0].removeprefix("/")
                made_at = datetime.fromtimestamp(said["Created"], UTC) + WHOLE_SECOND
                yield Holding(instance_id, "container", one_line(name), made_at, said["Id"])


def _volumes(engine: Engine, installation: str) -> Iterator[Holding]:
    found = engine.ask(dict, "/volumes", label_filter({INSTALLATION_LABEL: installation}))
    with not_understood():
        for said in found["Volumes"] or ():
            if instance_id := labelled_instance(installation, said["Labels"]):
                yield Holding(instance_id, "volume", one_line(said["Name"]), _volume_made_at(said))


def _networks(engine: Engine, installation: str) -> Iterator[Holding]:
    """Give the networks of single instances. No version makes any, but somebody may have."""
    found = engine.ask(list, "/networks", label_filter({INSTALLATION_LABEL: installation}))
    with not_understood():
        for said in found:
            if instance_id := labelled_instance(installation, said["Labels"]):
                made_at = datetime.fromisoformat(said["Created"]).astimezone(UTC)
                yield Holding(instance_id, "network", one_line(said["Name"]), made_at)


def _volume_made_at(said: Mapping[str, Any]) -> datetime | None:
    """Read when a volume was made, by its label if it has one, which all have that we make."""
    label = said["Labels"].get(MADE_LABEL)
    try:
        made_at = datetime.fromisoformat(label or said.get("CreatedAt") or "").astimezone(UTC)
    except ValueError:
        return None
    return made_at if label else made_at + WHOLE_SECOND
