"""Where faults happen: a real server on the real engine, with decoys, a bystander and an oracle that sees all."""

import secrets
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import docker

from clawdeploy.core.testing import eventually
from tests.browser.sites import STANDIN_IMAGE
from tests.faults.decoys import INSTALLATION, Decoys
from tests.faults.facts import Machine
from tests.faults.keeper_server import BLUEPRINT, KEEPER_SERVER
from tests.faults.ledger import Client, Ledger
from tests.faults.oracle import Oracle, Target
from tests.faults.points import PointProxy
from tests.faults.state import shown_to
from tests.networks import remove_networks
from tests.platforms import memory_platform
from tests.web.serving import HOST, Served

ENGINE = "/var/run/docker.sock"
PORTS = (27000, 27999)
MADE_WITHIN = 60.0


def telegram_token() -> str:
    """Make a secret that the form of a Telegram bot takes."""
    return f"123456789:AA{secrets.token_hex(16)}x"


class Scene:
    """One server whose engine is reached through a proxy. ``database_url`` empty is SQLite.

    ``through`` is the URL of the database for the server, if it is another one, such as that of a proxy. ``ports`` is
    the range that bots get theirs from, both ends included.
    """

    def __init__(
        self, database_url: str = "", *, through: str = "", ports: tuple[int, int] = PORTS, **settings: str
    ) -> None:
        self.ledger = Ledger()
        self.canaries = [telegram_token()]
        with ExitStack() as undo:
            self._make(undo, database_url, through, ports, settings)
            self._undo = undo.pop_all()

    def _make(
        self, undo: ExitStack, database_url: str, through: str, ports: tuple[int, int], settings: dict[str, str]
    ) -> None:
        # A short path: the kernel allows 107 characters for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="scene-"))
        undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.decoys = Decoys(f"unix://{ENGINE}", STANDIN_IMAGE)
        undo.callback(self.decoys.close)
        self.decoys.make()
        self.engine = PointProxy(str(self.folder / "engine.sock"), ENGINE)
        undo.callback(self.engine.close)
        database = {"DATABASE_URL": through or database_url} if database_url else {}
        usual = {"WORKERS": "1", "WAIT_SECONDS": "20", "RUNTIME": "docker", "BLUEPRINT": BLUEPRINT}
        places = {"DOCKER_HOST": f"unix://{self.engine.address}", "PORT_RANGE": f"{ports[0]}-{ports[1]}"}
        self._settings = {**usual, **places, **database, **settings}
        self.served = self.another_server()
        self.target = Target(
            f"http://{HOST}:{self.served.port}",
            self.served.bearer,
            database_url,
            self.folder / "data",
            f"unix://{ENGINE}",
            ports,
            (self.served.log,),
        )
        self.base_url = self.target.base_url
        self.client = Client(self.base_url, self.served.bearer, self.ledger)
        bystander = self.bearer("bob", database_url)
        self.oracle = Oracle(
            self.target,
            self.ledger,
            decoys=self.decoys,
            canaries=self.canaries,
            bystander=bystander,
            new_bot=self.bot("trial"),
        )
        undo.callback(_remove_all, self.oracle.machine)
        undo.callback(_end, self.served)
        self._add_bystander(Client(self.target.base_url, bystander, self.ledger))

    def _add_bystander(self, client: Client) -> None:
        """Make a bot of another owner, which nobody touches from now on."""
        assert client.create("bystander", self.bot("bystander"))
        running = eventually(
            lambda: [one["status"] for one in (shown_to(client) or {}).values()] == ["running"], MADE_WITHIN
        )
        assert running, self.served.log.read_text()[-3000:]
        self.oracle.remember()
        # That bot is not of the owner whose bots are looked at.
        self.ledger.outcomes.clear()

    def another_server(self) -> Served:
        """Start a server on the same database and engine; whoever asks for one closes it."""
        return Served(self.folder, KEEPER_SERVER, **self._settings)

    def bot(self, name: str) -> dict[str, Any]:
        """Return the fields of a bot that has a secret."""
        return {"name": name, "model": "gpt-5.2", "channel": "telegram", "botToken": self.canaries[0]}

    def create(self) -> str:
        """Make a bot that runs and return its id."""
        name = f"bot {secrets.token_hex(4)}"
        made = self.client.create(name.replace(" ", "-"), self.bot(name))
        assert made, self.served.log.read_text()[-3000:]
        return made

    def shown(self, instance_id: str) -> dict[str, Any]:
        """Return a bot as the API shows it."""
        answer = self.client.call("GET", f"/api/instances/{instance_id}")
        assert answer is not None
        shown: dict[str, Any] = answer.json()["instance"]
        return shown

    def close(self) -> None:
        """End the server and remove everything that it and this made."""
        self._undo.close()

    def bearer(self, user: str, database_url: str) -> str:
        """Give another user a token, through a second door to the same database."""
        settings: dict[str, Any] = {"DATABASE_URL": database_url} if database_url else {}
        platform = memory_platform(self.folder / "data", **settings)
        try:
            token, _ = platform.credentials.issue("api_token", user, prefix="cd_")
        finally:
            platform.close()
        return f"Bearer {token.reveal()}"


def _end(served: Served) -> None:
    """End a server, and its workers before they could go on with anything."""
    if served.process.poll() is None:
        served.kill()
    else:
        served.close()


def _remove_all(machine: Machine) -> None:
    with docker.APIClient(machine.engine, version="1.41", timeout=60) as client:
        mine = {"label": f"{INSTALLATION}={machine.installation}"}
        for container in client.containers(all=True, filters=mine):
            with suppress(docker.errors.NotFound):
                client.remove_container(container["Id"], force=True)
        for volume in client.volumes(filters=mine)["Volumes"] or ():
            client.remove_volume(volume["Name"], force=True)
        remove_networks(client, machine.installation)
    for folder in machine.secret_folders():
        shutil.rmtree(folder, ignore_errors=True)
