"""The Docker runtime: each promise of the contract as one or two requests to the engine."""

import math
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from clawdeploy.core.contracts import (
    MISSING,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    Holding,
    Observation,
    Probe,
    Room,
)
from clawdeploy.core.errors import ImageMissing, NoContainer, RuntimeFailure
from clawdeploy.plugins.docker_runtime import (
    capacity,
    containers,
    events,
    holdings,
    images,
    lost_processes,
    networks,
    probing,
    staying,
    volumes,
)
from clawdeploy.plugins.docker_runtime.container_config import Owner, create_body, profile
from clawdeploy.plugins.docker_runtime.engine import PING_SECONDS, WORK_SECONDS, Engine
from clawdeploy.plugins.docker_runtime.failures import NO_SUCH_IMAGE, EngineRefusal, not_understood
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL
from clawdeploy.plugins.docker_runtime.logs import MOST_LINES, entries_for, last_lines
from clawdeploy.plugins.docker_runtime.observing import (
    ALIVE,
    between_restarts,
    ended_with_engine,
    from_inspection,
    from_list,
    is_kept_ended,
    left_in_network,
)
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder
from clawdeploy.plugins.docker_runtime.seeding import seed

STOP_MARGIN = 5.0
STOP_PAUSE = 0.02
NOT_RUNNING = (ContainerState.CREATED, ContainerState.EXITED)


class DockerRuntime:
    """Runs containers on one engine for one installation.

    Whatever changes or reads one container first looks at its labels, which costs one inspection (2.6 ms): an id
    may come from a row that was restored from elsewhere, and nothing is done to a container that is not ours.
    """

    name = "docker"

    def __init__(self, engine: Engine, installation: str, bind_address: str, secrets: SecretFolder) -> None:
        self.profile = profile(installation, bind_address)
        self._engine = engine
        self._installation = installation
        self._bind_address = bind_address
        self._secrets = secrets

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        """See ``Runtime.create``."""
        owner = Owner(self._installation, instance_id)
        # The engine wants to see the files that it will mount already now.
        secrets = self._write_secrets(instance_id, spec)
        networks.make(self._engine, self._installation)
        volumes.make(self._engine, owner, spec.volumes)
        for image in spec.images:
            body = create_body(owner, image, host_port, self._bind_address, spec, secrets)
            try:
                container_id, fresh = containers.create_or_adopt(self._engine, owner, body)
            except EngineRefusal as refused:
                if refused.status == 404 and NO_SUCH_IMAGE.search(refused.said):
                    continue
                raise
            if fresh and spec.seeded_files:
                seed(self._engine, container_id, spec)
            return container_id
        raise ImageMissing(f"The image {spec.images[0] if spec.images else ''} is not on this server yet.")

    def pull(self, image: str) -> None:
        """See ``Runtime.pull``."""
        images.pull(self._engine, image)

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        """See ``Runtime.start``."""
        container = containers.find_ours(self._engine, self._installation, container_id)
        if container is None or not containers.is_of(Owner(self._installation, instance_id), container):
            raise RuntimeFailure("The container to start is not there any more.")
        seen = from_inspection(container)
        self._write_secrets(instance_id, spec)
        verb = "unpause" if seen.state is ContainerState.PAUSED else "start"
        if seen.state not in ALIVE:
            # Somebody may have removed it while no bot ran.
            networks.rejoin(self._engine, self._installation, container)
            staying.start_as_usual(self._engine, container)
        try:
            self._send("POST", f"/containers/{container_id}/{verb}", ())
        except EngineRefusal as refused:
            if refused.status != 304:
                raise containers.not_started(self._engine, seen, refused) from refused
            if seen.state not in ALIVE:
                # Somebody has started it since it was looked at, perhaps before its secrets were written.
                seconds = math.ceil(spec.stop_timeout)
                self._send("POST", f"/containers/{container_id}/restart?t={seconds}", (), seconds + WORK_SECONDS)

    def stop(self, container_id: str, timeout: float) -> None:
        """See ``Runtime.stop``."""
        seconds = max(math.ceil(timeout), 0)
        deadline = time.monotonic() + seconds + STOP_MARGIN
        while True:
            container = containers.find_ours(self._engine, self._installation, container_id)
            if container is None:
                return
            state = from_inspection(container).state
            if state not in ALIVE and not between_restarts(container, datetime.now(UTC)):
                staying.leave_ended(self._engine, container)
                return
            # Only now, because the last try may have taken until the deadline and have ended it.
            if time.monotonic() > deadline:
                raise RuntimeFailure("The container does not stay stopped.")
            if state in ALIVE:
                self._end(container_id, state, seconds)
            else:
                time.sleep(STOP_PAUSE)

    def _end(self, container_id: str, state: ContainerState, seconds: int) -> None:
        if state is ContainerState.PAUSED:
            # A frozen process cannot end when it is asked to.
            self._send("POST", f"/containers/{container_id}/unpause", (404, 409))
        self._send("POST", f"/containers/{container_id}/stop?t={seconds}", (304, 404), seconds + WORK_SECONDS)

    def remove(self, container_id: str) -> None:
        """See ``Runtime.remove``."""
        container = containers.find_ours(self._engine, self._installation, container_id)
        if container is not None:
            if from_inspection(container).state not in ALIVE:
                lost_processes.end_all(self._engine, container_id)
            # ``v`` takes along volumes without a name, which an image may declare; named ones stay.
            # 409 says that the removal is going on already.
            self._send("DELETE", f"/containers/{container_id}?force=true&v=true", (404, 409))

    def discard(self, instance_id: str) -> None:
        """See ``Runtime.discard``."""
        owner = Owner(self._installation, instance_id)
        self._secrets.remove(instance_id)
        volumes.remove_all(self._engine, owner)
        networks.remove_all(self._engine, owner.labels)

    def observe(self, instance_id: str) -> Observation:
        """See ``Runtime.observe``."""
        container = containers.find_of(self._engine, Owner(self._installation, instance_id))
        if container is None:
            return MISSING
        seen = from_inspection(container)
        if seen.state in NOT_RUNNING:
            lost_processes.end_older(self._engine, container["Id"])
        if seen.state is not ContainerState.EXITED:
            return seen
        if left_in_network(container):
            return replace(seen, ended_with_engine=True)
        since = self._engine.began()
        if since is None:
            return seen
        if ended_with_engine(container, since, self._engine.listens_since()):
            return replace(seen, ended_with_engine=True)
        return replace(seen, ended_by_hand=is_kept_ended(container))

    def observe_all(self) -> Mapping[str, Observation]:
        """See ``Runtime.observe_all``."""
        found = containers.find_all(self._engine, {INSTALLATION_LABEL: self._installation})
        return {instance_id: from_list(each) for instance_id, each in containers.the_ones(found).items()}

    def holdings(self) -> Collection[Holding]:
        """See ``Runtime.holdings``."""
        return holdings.all_holdings(self._engine, self._installation, self._secrets)

    def events(self) -> Iterator[str]:
        """See ``Runtime.events``."""
        return events.instance_ids(self._engine, self._installation)

    def probe(self, observation: Observation, probe: Probe) -> bool:
        """See ``Runtime.probe``."""
        if observation.state is not ContainerState.RUNNING or observation.host_port is None:
            return False
        # A container that was made before the setting was changed is where it was.
        host = probing.probed_address(observation.host_address or self._bind_address, self._engine.host)
        return probing.is_ready(host, observation.host_port, probe.path, probe.timeout)

    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        """See ``Runtime.logs``. ``tail`` is brought into the range 1 to 10,000."""
        if containers.find_ours(self._engine, self._installation, container_id) is None:
            raise NoContainer()
        lines = min(max(tail, 1), MOST_LINES)
        params = {"stdout": "1", "stderr": "1", "tail": str(entries_for(lines))}
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
        return EngineInfo(f"{kind} {version[0] if version else ''}".strip(), self._engine.address, self._engine.warning)

    def room(self) -> Room:
        """See ``Runtime.room``."""
        return capacity.room(self._engine)

    def has_image(self, images_: tuple[str, ...]) -> bool:
        """See ``Runtime.has_image``."""
        return any(images.is_here(self._engine, image) for image in images_)

    def close(self) -> None:
        """See ``Runtime.close``."""
        self._engine.close()

    def _write_secrets(self, instance_id: str, spec: ContainerSpec) -> dict[str, Path]:
        if spec.secret_files and self._engine.host is not None:
            raise RuntimeFailure("This bot has secrets, which can only be given to it by a Docker on this machine.")
        return self._secrets.write(instance_id, spec.secret_files)

    def _send(self, method: str, path: str, fine: tuple[int, ...], timeout: float = WORK_SECONDS) -> None:
        """Send a request; some refusals are as good as success."""
        try:
            self._engine.call(method, path, timeout=timeout)
        except EngineRefusal as refused:
            if refused.status not in fine:
                raise
