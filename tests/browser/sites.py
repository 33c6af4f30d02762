"""A server for walks: ``clawdeploy serve`` in processes of its own, people who may sign in, and programs."""

import json
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker

from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL
from tests.browser.staged_server import RUNTIME, StagedEngine
from tests.networks import remove_networks
from tests.platforms import GOOD, memory_platform
from tests.web.people import UNHURRIED
from tests.web.serving import HOST, SERVE, Served

ROOT = Path(__file__).resolve().parents[2]
STAGED = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.browser.staged_server import main; main()",
)
STANDIN_IMAGE = "clawdeploy-standin:local"
PATIENCE_SECONDS = 20.0


class LiveSite:
    """A server whose files all lie in ``folder``, looking at its engine every second.

    Calls of the API wait for a second at most, so a test may have to ``wait_for`` what it made.
    Its engine is the staged one, which ``engine`` directs, or Docker; then ``engine`` fails. Settings are given as
    ``PORT_RANGE="..."`` for ``CLAWDEPLOY_PORT_RANGE``.
    """

    def __init__(self, folder: Path, *, on_docker: bool = False, **settings: str) -> None:
        usual = {"WORKERS": "1", "SYNC_SECONDS": "1", "WAIT_SECONDS": "1", **UNHURRIED}
        if on_docker:
            # Away from the usual range, so that a ClawDeploy that is in use on this machine keeps its ports.
            usual |= {"RUNTIME": "docker", "STANDIN_IMAGE": STANDIN_IMAGE, "PORT_RANGE": "22000-22999"}
        else:
            usual |= {"RUNTIME": RUNTIME}
        self.on_docker = on_docker
        self.served = Served(folder, SERVE if on_docker else STAGED, **{**usual, **settings})
        self.origin = f"http://{HOST}:{self.served.port}"
        # A second door to the same database, for credentials; it runs no containers.
        database: dict[str, Any] = {name: settings[name] for name in ("DATABASE_URL",) if name in settings}
        self._platform = memory_platform(folder / "data", **database)
        self._bearers: dict[str, str] = {}

    @property
    def engine(self) -> StagedEngine:
        """The director of the staged engine."""
        assert not self.on_docker, "Docker is not directed: use the engine's own API."
        return StagedEngine(self.served.port)

    def sign_in_link(self, user: str) -> str:
        """Return the address that signs a browser in, once."""
        link, _ = self._platform.credentials.issue("sign_in_link", user, lifetime=timedelta(minutes=15))
        return f"{self.origin}/sign-in/{link.reveal()}"

    def call(self, user: str, method: str, path: str, fields: object = None) -> Any:
        """Call the API as a program of a user's and return the JSON of the answer, which must not be a refusal."""
        if user not in self._bearers:
            token, _ = self._platform.credentials.issue("api_token", user, prefix="cd_", label="Home automation")
            self._bearers[user] = f"Bearer {token.reveal()}"
        body = None if fields is None else json.dumps(fields).encode()
        headers = {"Authorization": self._bearers[user]} | ({"Content-Type": "application/json"} if body else {})
        answer = self.served.call(method, path, body, **headers)
        assert answer.status < 400, (method, path, answer.status, answer.body)
        return json.loads(answer.body or b"null")

    def create(self, user: str, **fields: Any) -> dict[str, Any]:
        """Make a bot over the API and return it, as it is when the server answers."""
        made: dict[str, Any] = self.call(user, "POST", "/api/instances", {**GOOD, **fields})["instance"]
        return made

    def instance(self, user: str, instance_id: str) -> dict[str, Any]:
        """Return a bot as the API shows it now."""
        shown: dict[str, Any] = self.call(user, "GET", f"/api/instances/{instance_id}")["instance"]
        return shown

    def wait_for(self, user: str, instance_id: str, **fields: Any) -> dict[str, Any]:
        """Wait until a bot has these values, such as ``status="running"``, and return it."""

        def arrived() -> bool:
            return fields.items() <= self.instance(user, instance_id).items()

        assert eventually(arrived, PATIENCE_SECONDS), (fields, self.instance(user, instance_id))
        return self.instance(user, instance_id)

    def wait_for_engine(self, connected: bool = True) -> None:
        """Wait until the server has noticed that its engine answers, or does not any more."""
        said = "connected" if connected else "disconnected"
        shown = eventually(lambda: self.call("ann", "GET", "/api/health")["docker"] == said, PATIENCE_SECONDS)
        assert shown, f"The server does not find its engine {said}."

    def complaints(self) -> str:
        """Return what the server logged of defects, with all that followed; nothing when there were none."""
        text = self.served.log.read_text()
        at = text.find("Traceback (most recent call last)")
        return text[max(0, at - 500) :] if at >= 0 else ""

    def close(self) -> None:
        """End the server and remove its containers."""
        installation = self._platform.installation
        self._platform.close()
        if not self.on_docker:
            # A worker whose work is held would wait for that before it ends.
            with suppress(OSError):
                self.engine.order("reset")
        self.served.close()
        if self.on_docker:
            remove_all(installation)


def remove_all(installation: str) -> None:
    """Remove the containers, the volumes and the network of an installation whose server is gone."""
    client = docker.from_env()
    try:
        mine: dict[str, str | list[str] | bool] = {"label": f"{INSTALLATION_LABEL}={installation}"}
        for container in client.containers.list(all=True, filters=mine):
            with suppress(docker.errors.NotFound):
                container.remove(force=True)
        for volume in client.volumes.list(filters=mine):
            volume.remove(force=True)
        remove_networks(client.api, installation)
    finally:
        client.close()
