"""Clean-up on a real engine: what is surely rubbish goes, decoys and bots of another state of the database stay."""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click.testing
import docker
import pytest
from click.testing import CliRunner

from clawdeploy.cli import command_line
from clawdeploy.core.contracts import ContainerSpec, Instance, Secret, SecretFile, Status
from clawdeploy.core.opener import Opener
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder
from tests.core.surroundings import Clock
from tests.databases import PostgresServer
from tests.networks import remove_networks
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime.blueprints import Busy

pytestmark = pytest.mark.engine

KEY = SecretFile("/run/secrets/apiKey", Secret("sk-1"))


class Home:
    """One installation on the real engine: platforms on any state of its database, and what was planted beside them."""

    def __init__(self, folder: Path, spec: ContainerSpec, witness: docker.APIClient) -> None:
        self.folder = folder
        self._busy = Busy(spec)
        self._image = spec.images[0]
        self._witness = witness
        self.clock = Clock()
        self.settings = {"RUNTIME": "docker", "PORT_RANGE": "25000-25999", "CLEANUP_GRACE_SECONDS": "20"}
        self.containers: list[str] = []
        self.volumes: list[str] = []
        self.folders: list[tuple[str, str]] = []
        self._opened: list[Platform] = []

    def open(self, url: str) -> Platform:
        settings: dict[str, Any] = {**self.settings, "DATABASE_URL": url, "SYNC_SECONDS": 1}
        platform = memory_platform(self.folder, plugins={"busy": self._busy}, clock=self.clock, **settings)
        self._opened.append(platform)
        return platform

    def bot(self, platform: Platform) -> Instance:
        made = platform.instances.create("ann", {**GOOD, "blueprint": "busy", "apiKey": "sk-1"}, wait=30)
        assert made.status is Status.RUNNING, made.detail
        return made

    def container(self, name: str, labels: dict[str, str]) -> str:
        config = self._witness.create_host_config(init=True)
        made = self._witness.create_container(
            self._image, ["sleep", "900"], name=name, labels=labels, host_config=config
        )
        self.containers.append(made["Id"])
        self._witness.start(made["Id"])
        return str(made["Id"])

    def volume(self, name: str, labels: dict[str, str]) -> None:
        self._witness.create_volume(name, labels=labels)
        self.volumes.append(name)

    def secrets(self, installation: str, instance_id: str) -> Path:
        self.folders.append((installation, instance_id))
        return SecretFolder(installation).write(instance_id, [KEY])[KEY.path]

    def runs(self, container_id: str) -> bool:
        try:
            return bool(self._witness.inspect_container(container_id)["State"]["Running"])
        except docker.errors.NotFound:
            return False

    def inspected(self, container_id: str) -> Any:
        """Say all that the engine says of a container, mounts in one order."""
        said = self._witness.inspect_container(container_id)
        return {**said, "Mounts": sorted(said["Mounts"], key=lambda mount: str(mount["Destination"]))}

    def passes(self, platform: Platform) -> None:
        """Let half a minute pass, with a server that goes on using the database."""
        self.clock.advance(seconds=30)
        now, span = self.clock(), platform.database.tables.span

        def noticed() -> bool:
            with platform.database.reading():
                return bool(span.select().where(span.until >= now).exists())

        assert eventually(noticed, 20)

    def close(self) -> None:
        for platform in self._opened:
            platform.close()
        for container_id in self.containers:
            with suppress(docker.errors.NotFound):
                self._witness.remove_container(container_id, force=True)
        for volume in self.volumes:
            with suppress(docker.errors.NotFound):
                self._witness.remove_volume(volume)
        for installation, instance_id in self.folders:
            SecretFolder(installation).remove(instance_id)
        for installation in {platform.installation for platform in self._opened}:
            self._remove_bots(installation)

    def _remove_bots(self, installation: str) -> None:
        """Remove what a test that failed has left."""
        ours = {"label": [f"{INSTALLATION_LABEL}={installation}"]}
        for container in self._witness.containers(all=True, filters=ours):
            self._witness.remove_container(container["Id"], force=True)
        for volume in self._witness.volumes(ours)["Volumes"] or ():
            self._witness.remove_volume(volume["Name"])
        for instance_id in SecretFolder(installation).written():
            SecretFolder(installation).remove(instance_id)
        remove_networks(self._witness, installation)


@pytest.fixture
def home(tmp_path: Path, spec: ContainerSpec, witness: docker.APIClient) -> Iterator[Home]:
    home = Home(tmp_path / "data", spec, witness)
    yield home
    home.close()


def test_an_orphan_goes_and_decoys_stay(database_url: str, home: Home, witness: docker.APIClient) -> None:
    platform = home.open(database_url)
    platform.start_background()
    bot = home.bot(platform)
    ours, mark = platform.installation, uuid.uuid4().hex[:12]
    theirs = {INSTALLATION_LABEL: f"not-{ours}", INSTANCE_LABEL: f"theirs-{mark}"}
    decoys = [
        home.container(f"unlabelled-{mark}", {}),
        home.container(f"clawdeploy-unlabelled-{mark}", {}),
        home.container(f"clawdeploy-theirs-{mark}", theirs),
        home.container(f"clawdeploy-half-{mark}", {INSTANCE_LABEL: f"half-{mark}"}),
        bot.container_id or "",
    ]
    home.volume(f"clawdeploy-theirs-{mark}-data", theirs)
    home.volume(f"clawdeploy-unlabelled-{mark}-data", {})
    their_secret = home.secrets(f"not-{ours}", f"theirs-{mark}")
    before = [home.inspected(each) for each in decoys]
    lost = {INSTALLATION_LABEL: ours, INSTANCE_LABEL: f"lost-{mark}"}
    orphan = home.container(f"clawdeploy-lost-{mark}", lost)
    home.volume(f"clawdeploy-lost-{mark}-data", lost)
    secret = home.secrets(ours, f"lost-{mark}")
    only_secret = home.secrets(ours, f"secret-{mark}")
    assert len(platform.leftovers.find()) == 2
    assert home.runs(orphan), "not before the grace period is over"
    home.passes(platform)
    assert eventually(lambda: platform.leftovers.find() == [], 30), platform.leftovers.find()
    assert not home.runs(orphan)
    with pytest.raises(docker.errors.NotFound):
        witness.inspect_volume(f"clawdeploy-lost-{mark}-data")
    assert not secret.exists()
    assert not only_secret.exists()
    assert [home.inspected(each) for each in decoys] == before
    for name in ("theirs", "unlabelled"):
        assert witness.inspect_volume(f"clawdeploy-{name}-{mark}-data")
    assert their_secret.read_text() == "sk-1"
    assert SecretFolder(ours).written().keys() == {bot.id}
    assert platform.instances.get("ann", bot.id).status is Status.RUNNING
    platform.instances.delete("ann", bot.id, wait=30)


@pytest.fixture
def copy_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Make a backup of a database and give the URL of what it is restored as."""

    def copied(url: str) -> str:
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
                database.execute("VACUUM INTO ?", (str(tmp_path / "restored.db"),))
            return f"sqlite:///{tmp_path / 'restored.db'}"
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.create_database(template=url.rpartition("/")[2])

    return copied


def gc(home: Home, url: str, *arguments: str) -> click.testing.Result:
    """Run ``clawdeploy gc`` on a state of the database."""
    settings = {**home.settings, "DATABASE_URL": url, "DATA_DIR": str(home.folder)}
    opener = Opener({f"CLAWDEPLOY_{name}": value for name, value in settings.items()})
    return CliRunner().invoke(command_line(opener), ["gc", *arguments], obj=opener)


def test_a_bot_that_a_restored_backup_does_not_know_is_left_alone(
    database_url: str, home: Home, copy_of: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    before = home.open(database_url)
    before.start_background()
    old = home.bot(before)
    before.close()
    restored = copy_of(database_url)
    newer = home.open(database_url)
    newer.start_background()
    new = home.bot(newer)
    newer.close()
    assert home.runs(new.container_id or "")

    platform = home.open(restored)
    platform.start_background()
    for _ in range(3):
        home.passes(platform)
    assert eventually(lambda: "is left alone" in caplog.text, 20)
    assert f"container clawdeploy-{new.id}" in caplog.text
    assert "was removed" not in caplog.text
    assert home.runs(new.container_id or "")
    listed = json.loads(gc(home, restored, "--json").stdout)["leftovers"]
    assert [(each["id"], each["removedAt"], each["removed"]) for each in listed] == [(new.id, None, False)]
    assert {part["kind"] for part in listed[0]["parts"]} == {"container", "volume", "secret files"}
    assert "while no server used this database" in platform.leftovers.find()[0].fate
    assert home.runs(new.container_id or "")
    removed = gc(home, restored, "--yes")
    assert (removed.exit_code, removed.stderr) == (0, "")
    assert f"{new.id}: container clawdeploy-{new.id}" in removed.stdout
    assert not home.runs(new.container_id or "")
    assert gc(home, restored).stderr == "Nothing is left over.\n"
    assert home.runs(old.container_id or "")
    assert eventually(lambda: platform.instances.get("ann", old.id).status is Status.RUNNING, 20)
    platform.instances.delete("ann", old.id, wait=30)


def test_a_second_container_of_a_bot_goes_and_the_bot_runs_on(
    home: Home, tmp_path: Path, witness: docker.APIClient
) -> None:
    platform = home.open(f"sqlite:///{tmp_path / 'bots.db'}")
    platform.start_background()
    bot = home.bot(platform)
    labels = {INSTALLATION_LABEL: platform.installation, INSTANCE_LABEL: bot.id}
    second = home.container(f"copy-of-{bot.id}", labels)
    home.passes(platform)
    assert eventually(lambda: platform.leftovers.find() == [], 30)
    assert not home.runs(second)
    assert platform.instances.get("ann", bot.id).container_id == bot.container_id
    assert home.runs(bot.container_id or "")
    home.container(f"copy-of-{bot.id}", labels)
    platform.instances.delete("ann", bot.id, wait=30)
    mine = {"label": [f"{INSTALLATION_LABEL}={platform.installation}"]}
    assert witness.containers(all=True, filters=mine) == [], "a delete leaves none behind"
