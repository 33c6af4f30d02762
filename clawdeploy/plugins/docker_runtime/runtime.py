"""The Docker runtime: each promise of the contract as one or two requests to the engine."""

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from clawdeploy.core.contracts import MISSING, ContainerSpec, ContainerState, EngineInfo, Observation, Probe
from clawdeploy.core.errors import ImageMissing, NameTaken, NoContainer, PortTaken, RuntimeFailure
from clawdeploy.plugins.docker_runtime import images, probing, volumes
from clawdeploy.plugins.docker_runtime.container_config import (
    INSTALLATION_LABEL,
    INSTANCE_LABEL,
    Owner,
    create_body,
)
from clawdeploy.plugins.docker_runtime.engine import ANSWER_SECONDS, PING_SECONDS, WORK_SECONDS, Engine
from clawdeploy.plugins.docker_runtime.failures import (
    NAME_IN_USE,
    NO_SUCH_IMAGE,
    PORT_IN_USE,
    EngineRefusal,
    not_understood,
)
from clawdeploy.plugins.docker_runtime.logs import MOST_LINES, last_lines
from clawdeploy.plugins.docker_runtime.observing import ALIVE, from_inspection, from_list
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder
from clawdeploy.plugins.docker_runtime.seeding import seed

STOP_ATTEMPTS = 4


class DockerRuntime:
    """Runs containers on one engine for one installation.

    Whatever changes or reads one container first looks at its labels, which costs one inspection (2.6 ms): an id
    may come from a row that was restored from elsewhere, and nothing is done to a container that is not ours.
    """

    name = "docker"

    def __init__(self, engine: Engine, installation: str, bind_address: str, secrets: SecretFolder) -> None:
        self._engine = engine
        self._installation = installation
        self._bind_address = bind_address
        self._secrets = secrets

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        """See ``Runtime.create``."""
        owner = Owner(self._installation, instance_id)
        volumes.make(self._engine, owner, spec.volumes)
        # The engine wants to see the files that it will mount already now.
        secrets = self._written_secrets(instance_id, spec)
        for image in spec.images:
            body = create_body(owner, image, host_port, self._bind_address, spec, secrets)
            try:
                container_id, fresh = self._created_or_adopted(owner, body)
            except EngineRefusal as refused:
                if refused.status == 404 and NO_SUCH_IMAGE.search(refused.said):
                    continue
                raise
            if fresh and spec.seeded_files:
                seed(self._engine, container_id, spec)
            return container_id
        raise ImageMissing(f"The image {spec.images[0] if spec.images else ''} is not on this server yet.")

    def _created_or_adopted(self, owner: Owner, body: dict[str, Any]) -> tuple[str, bool]:
        """Return the container's id and whether it has never been started."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                made = self._engine.call(
                    "POST",
                    "/containers/create",
                    params={"name": owner.container_name},
                    body=body,
                    timeout=WORK_SECONDS,
                )
            except EngineRefusal as refused:
                if not NAME_IN_USE.search(refused.said):
                    raise
                holder = self._inspect(owner.container_name)
                if holder is not None:
                    return self._adopted(owner, holder)
                # The engine reserves a name some moments before it shows the container, and frees it after.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                with not_understood():
                    return str(made["Id"]), True

    @staticmethod
    def _adopted(owner: Owner, holder: Mapping[str, Any]) -> tuple[str, bool]:
        if not owner.labels.items() <= _labels(holder).items():
            raise NameTaken(f"A container that is not ours is called {owner.container_name}.")
        seen = from_inspection(holder)
        return seen.container_id or "", seen.state is ContainerState.CREATED

    def _written_secrets(self, instance_id: str, spec: ContainerSpec) -> dict[str, Any]:
        if spec.secret_files and self._engine.host is not None:
            raise RuntimeFailure("This bot has secrets, which can only be given to it by a Docker on this machine.")
        return dict(self._secrets.write(instance_id, spec.secret_files))

    def pull(self, image: str) -> None:
        """See ``Runtime.pull``."""
        images.pull(self._engine, image)

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        """See ``Runtime.start``."""
        container = self._ours(container_id)
        if container is None or _labels(container).get(INSTANCE_LABEL) != instance_id:
            raise RuntimeFailure("The container to start is not there any more.")
        seen = from_inspection(container)
        self._written_secrets(instance_id, spec)
        verb = "unpause" if seen.state is ContainerState.PAUSED else "start"
        try:
            self._engine.call("POST", f"/containers/{container_id}/{verb}", timeout=WORK_SECONDS)
        except EngineRefusal as refused:
            if PORT_IN_USE.search(refused.said):
                raise PortTaken(f"Port {seen.host_port} of this server is in use by another program.") from refused
            raise

    def stop(self, container_id: str, timeout: float) -> None:
        """See ``Runtime.stop``."""
        seconds = max(math.ceil(timeout), 0)
        for _ in range(STOP_ATTEMPTS):
            container = self._ours(container_id)
            state = from_inspection(container).state if container else ContainerState.MISSING
            if state not in ALIVE:
                return
            if state is ContainerState.PAUSED:
                # A frozen process cannot end when it is asked to.
                self._tolerant("POST", f"/containers/{container_id}/unpause", (404, 409), WORK_SECONDS)
            path = f"/containers/{container_id}/stop?t={seconds}"
            self._tolerant("POST", path, (404,), seconds + WORK_SECONDS)
        raise RuntimeFailure("The container does not stay stopped.")

    def remove(self, container_id: str) -> None:
        """See ``Runtime.remove``."""
        if self._ours(container_id):
            # ``v`` takes along volumes without a name, which an image may declare; named ones stay.
            # 409 says that the removal is going on already.
            self._tolerant("DELETE", f"/containers/{container_id}?force=true&v=true", (404, 409), WORK_SECONDS)

    def discard(self, instance_id: str) -> None:
        """See ``Runtime.discard``."""
        owner = Owner(self._installation, instance_id)
        self._secrets.remove(instance_id)
        volumes.remove_all(self._engine, owner)

    def observe(self, instance_id: str) -> Observation:
        """See ``Runtime.observe``."""
        owner = Owner(self._installation, instance_id)
        container = self._inspect(owner.container_name)
        if container is None or not owner.labels.items() <= _labels(container).items():
            # Somebody may have renamed it; it is ours all the same.
            found = self._list(owner.labels)
            container = self._inspect(found[0]["Id"]) if found else None
        return MISSING if container is None else from_inspection(container)

    def observe_all(self) -> Mapping[str, Observation]:
        """See ``Runtime.observe_all``."""
        found = self._list({INSTALLATION_LABEL: self._installation})
        with not_understood():
            return {container["Labels"][INSTANCE_LABEL]: from_list(container) for container in found}

    def probe(self, observation: Observation, probe: Probe) -> bool:
        """See ``Runtime.probe``."""
        if observation.state is not ContainerState.RUNNING or observation.host_port is None:
            return False
        host = probing.reachable(self._bind_address, self._engine.host)
        return probing.is_ready(host, observation.host_port, probe.path, probe.timeout)

    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        """See ``Runtime.logs``. ``tail`` is brought into the range 1 to 10,000."""
        if self._ours(container_id) is None:
            raise NoContainer()
        lines = min(max(tail, 1), MOST_LINES)
        params = {"stdout": "1", "stderr": "1", "tail": str(lines)}
        if since is not None:
            params["since"] = f"{since.timestamp():.6f}"
        try:
            with self._engine.stream("GET", f"/containers/{container_id}/logs", params=params) as chunks:
                return last_lines(chunks, lines)
        except EngineRefusal as refused:
            # 409 says that it is being removed.
            if refused.status in (404, 409):
                raise NoContainer() from refused
            raise

    def ping(self) -> EngineInfo:
        """See ``Runtime.ping``."""
        said = self._engine.version(PING_SECONDS)
        with not_understood():
            parts = [part["Name"] for part in said.get("Components") or ()]
            version = re.match(r"[\d.]+", said["Version"])
        kind = "Podman" if "Podman Engine" in parts else "Docker"
        return EngineInfo(f"{kind} {version[0] if version else ''}".strip(), self._engine.address)

    def has_image(self, images_: tuple[str, ...]) -> bool:
        """See ``Runtime.has_image``."""
        return any(images.is_here(self._engine, image) for image in images_)

    def close(self) -> None:
        """See ``Runtime.close``."""
        self._engine.close()

    def _ours(self, container_id: str) -> Mapping[str, Any] | None:
        """Return the inspection of a container of this installation, ``None`` for any other and for a missing one."""
        container = self._inspect(container_id) if re.fullmatch(r"[0-9a-f]{12,64}", container_id) else None
        if container is None or _labels(container).get(INSTALLATION_LABEL) != self._installation:
            return None
        return container

    def _inspect(self, name_or_id: str) -> Mapping[str, Any] | None:
        try:
            said: Mapping[str, Any] = self._engine.call("GET", f"/containers/{quote(name_or_id, safe='')}/json")
        except EngineRefusal as refused:
            if refused.status == 404:
                return None
            raise
        return said

    def _list(self, labels: dict[str, str]) -> list[Mapping[str, Any]]:
        params = {"all": "1", **volumes.label_filter(labels)}
        found = self._engine.call("GET", "/containers/json", params=params)
        with not_understood():
            return list(found)

    def _tolerant(self, method: str, path: str, fine: tuple[int, ...], timeout: float) -> None:
        """Send a request and take some refusals for success."""
        try:
            self._engine.call(method, path, timeout=timeout)
        except EngineRefusal as refused:
            if refused.status not in fine:
                raise


def _labels(container: Mapping[str, Any]) -> dict[str, str]:
    with not_understood():
        return dict(container["Config"]["Labels"] or {})
