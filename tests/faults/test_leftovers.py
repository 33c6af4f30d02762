"""A real server is killed, and its database is put back to an older state: rubbish goes, and nobody's bot does."""

import json
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import docker
import pytest

from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL
from tests.browser.sites import STANDIN_IMAGE, remove_all
from tests.platforms import GOOD
from tests.web.serving import Served, environment

pytestmark = [pytest.mark.engine, pytest.mark.prove, pytest.mark.timeout(400)]

SETTINGS = {
    "RUNTIME": "docker",
    "STANDIN_IMAGE": STANDIN_IMAGE,
    "PORT_RANGE": "27000-27999",
    "WORKERS": "2",
    "SYNC_SECONDS": "1",
    "CLEANUP_GRACE_SECONDS": "20",
}
GONE_WITHIN = 60.0


class House:
    """A server on the real engine, and things with its labels that somebody else has made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = docker.APIClient(version="1.41", timeout=30)
        self.served = Served(folder, **SETTINGS)
        self.installation = self._labels(self.create())[INSTALLATION_LABEL]

    def create(self) -> str:
        body = json.dumps(GOOD).encode()
        answer = self.served.call("POST", "/api/instances", body, Content_Type="application/json")
        assert answer.status == 201, answer.body
        made: dict[str, Any] = json.loads(answer.body)["instance"]
        assert made["status"] == "running", made
        return str(made["id"])

    def plant(self) -> str:
        """Make a running container with our labels and without a row."""
        lost = f"lost-{uuid.uuid4().hex[:12]}"
        labels = {INSTALLATION_LABEL: self.installation, INSTANCE_LABEL: lost}
        config = self.engine.create_host_config(init=True)
        made = self.engine.create_container(STANDIN_IMAGE, name=f"clawdeploy-{lost}", labels=labels, host_config=config)
        self.engine.start(made["Id"])
        return lost

    def runs(self, instance_id: str) -> bool:
        with suppress(docker.errors.NotFound):
            return bool(self.engine.inspect_container(f"clawdeploy-{instance_id}")["State"]["Running"])
        return False

    def gc(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "clawdeploy", "gc", *arguments]
        surroundings = environment(self.folder, **SETTINGS)
        return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False, timeout=60)

    def _labels(self, instance_id: str) -> dict[str, str]:
        labels: dict[str, str] = self.engine.inspect_container(f"clawdeploy-{instance_id}")["Config"]["Labels"]
        return labels

    def close(self) -> None:
        self.served.close()
        remove_all(self.installation)
        self.engine.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def test_an_orphan_goes_whoever_is_killed(house: House) -> None:
    """Right after a kill the lease is still that of the dead, and what is made then is seen to all the same."""
    bots = [house.create() for _ in range(2)]
    planted = [house.plant()]
    assert eventually(lambda: "A server removes it by itself" in house.gc().stdout, GONE_WITHIN)
    house.served.kill()
    house.served.start()
    planted.append(house.plant())
    assert eventually(lambda: not any(map(house.runs, planted)), GONE_WITHIN), house.gc().stdout
    assert house.gc().stderr == "Nothing is left over.\n"
    assert all(map(house.runs, bots))
    log = house.served.log.read_text()
    assert all(f"Clean-up: container clawdeploy-{each} of {each}, made at" in log for each in planted)
    assert "Traceback" not in log


def test_an_older_state_of_the_database_costs_no_bot(house: House) -> None:
    database, backup = house.folder / "data" / "clawdeploy.db", house.folder / "backup.db"
    old = house.create()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    new = house.create()
    house.served.stop()
    house.served.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, database)
    house.served.start()
    lost = house.plant()
    told = f"container clawdeploy-{new} of {new}"
    assert eventually(lambda: told in house.served.log.read_text(), 2 * GONE_WITHIN)
    assert eventually(lambda: not house.runs(lost), GONE_WITHIN), house.gc().stdout
    assert house.runs(new)
    assert house.runs(old)
    assert house.served.log.read_text().count(told) == 1, "once is enough"
    assert "is left alone" in house.gc().stdout
    assert house.gc("--yes").returncode == 0
    assert (house.runs(new), house.runs(old)) == (False, True)
