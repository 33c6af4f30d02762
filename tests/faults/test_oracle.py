"""The oracle finds what is broken: each invariant is broken on purpose, or nothing that it approves of is proved."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import docker
import pytest

from clawdeploy.core.database import Database
from tests.browser.sites import STANDIN_IMAGE
from tests.faults.decoys import INSTALLATION, INSTANCE
from tests.faults.ledger import GONE, RUNNING, STOPPED, Answer
from tests.faults.scene import ENGINE, Scene

pytestmark = [pytest.mark.prove, pytest.mark.engine, pytest.mark.timeout(300)]

NOBODY = "a" * 16
FAR = datetime(2100, 1, 1, tzinfo=UTC)
CRASHED = {"reason": "crashed", "detail": "It ended by itself with exit code 3."}


class Broken:
    """A scene with a bot that runs and one that is stopped, and the ways to break it behind everybody's back."""

    def __init__(self) -> None:
        # What is written behind the server's back stays as it is written.
        self.scene = Scene(SYNC_SECONDS="3600")
        self.running, self.stopped, self.doomed = (self.scene.create() for _ in range(3))
        self.scene.client.change(self.stopped, "stop")
        self.scene.client.change(self.doomed, "delete")
        self.bystander = next(row["id"] for row in self.scene.oracle.stored.rows("instance") if row["owner"] == "bob")
        self.database = Database("", self.scene.folder / "data")
        self.tables = self.database.tables
        self.docker = docker.APIClient(f"unix://{ENGINE}", version="1.41", timeout=60)

    def close(self) -> None:
        self.docker.close()
        self.database.close()
        self.scene.close()

    @contextmanager
    def row(self, instance_id: str, **fields: Any) -> Iterator[None]:
        row = self.tables.instance
        with self.database.transaction():
            before = {name: getattr(row.get_by_id(instance_id), name) for name in fields}
            row.update(**fields).where(row.id == instance_id).execute()
        yield
        with self.database.transaction():
            row.update(**before).where(row.id == instance_id).execute()

    @contextmanager
    def container(self, instance_id: str, **options: Any) -> Iterator[None]:
        labels = {INSTALLATION: self.scene.oracle.machine.installation, INSTANCE: instance_id}
        made = self.docker.create_container(STANDIN_IMAGE, labels=labels, **options)
        yield
        self.docker.remove_container(made, force=True)

    def binding(self, port: int) -> Any:
        return self.docker.create_host_config(port_bindings={80: ("127.0.0.1", port)})

    @contextmanager
    def leaking_row(self) -> Iterator[None]:
        # One of its own: what has been in a database once may lie in its file for long.
        self.scene.canaries.append(secrets.token_hex(16))
        with self.row(self.running, detail=self.scene.canaries[-1]):
            yield
        self.scene.canaries.pop()

    @contextmanager
    def volume(self) -> Iterator[None]:
        labels = {INSTALLATION: self.scene.oracle.machine.installation, INSTANCE: NOBODY}
        made = self.docker.create_volume(f"left-{secrets.token_hex(4)}", labels=labels)
        yield
        self.docker.remove_volume(made["Name"])

    @contextmanager
    def network(self, *labels: tuple[str, str]) -> Iterator[None]:
        mine = {INSTALLATION: self.scene.oracle.machine.installation, **dict(labels)}
        made = self.docker.create_network(f"left-{secrets.token_hex(4)}", labels=mine)
        yield
        self.docker.remove_network(made["Id"])

    @contextmanager
    def secrets_left(self) -> Iterator[None]:
        folder = self.scene.target.secret_roots[0] / self.scene.oracle.machine.installation / NOBODY
        folder.mkdir(parents=True)
        yield
        folder.rmdir()

    @contextmanager
    def secret_row(self) -> Iterator[None]:
        row = self.tables.secret
        with self.database.reading():
            self.database.peewee.execute_sql("PRAGMA foreign_keys = 0")
            row.create(instance_id=NOBODY, field="botToken", ciphertext="")
        yield
        with self.database.transaction():
            row.delete().where(row.instance_id == NOBODY).execute()

    @contextmanager
    def outcome(self, instance_id: str, outcome: str) -> Iterator[None]:
        before = dict(self.scene.ledger.outcomes)
        self.scene.ledger.acknowledged(instance_id, outcome)
        yield
        self.scene.ledger.outcomes = before

    @contextmanager
    def answered(self, status: int, body: object = None, path: str = "/api/instances") -> Iterator[None]:
        said = b"<p>" if body is None else json.dumps(body).encode()
        self.scene.ledger.answered(Answer("GET", path, status, {}, said))
        yield
        self.scene.ledger.answers.pop()

    @contextmanager
    def same_name(self) -> Iterator[None]:
        name = next(iter(self.scene.ledger.names.values()))
        with self.row(self.running, name=name), self.row(self.stopped, name=name):
            yield

    @contextmanager
    def log_line(self) -> Iterator[None]:
        log = self.scene.served.log
        before = log.stat().st_size
        with log.open("a") as file:
            file.write(f"token={self.scene.canaries[0]}\n")
        yield
        # The canary must not stay there for the tests that follow.
        os.truncate(log, before)

    @contextmanager
    def decoy_restarted(self, number: int) -> Iterator[None]:
        self.docker.restart(self.scene.decoys.names[number], timeout=0)
        yield
        self.scene.decoys.remember()

    @contextmanager
    def decoy_volume(self) -> Iterator[None]:
        self.scene.decoys.volumes.append(NOBODY)
        yield
        self.scene.decoys.volumes.pop()

    @contextmanager
    def bystander_restarted(self) -> Iterator[None]:
        self.docker.restart(f"clawdeploy-{self.bystander}", timeout=0)
        yield
        self.scene.oracle.remember()

    @contextmanager
    def impossible_bot(self) -> Iterator[None]:
        trial = self.scene.oracle.trial
        self.scene.oracle.trial = type(trial)(self.scene.client, {**self.scene.bot("no"), "blueprint": "no"})
        yield
        self.scene.oracle.trial = trial


@pytest.fixture(scope="module")
def broken() -> Iterator[Broken]:
    made = Broken()
    yield made
    made.close()


def invariants(found: list[str]) -> set[str]:
    return {one.partition(":")[0] for one in found}


def test_nothing_is_found_where_nothing_is_broken(broken: Broken) -> None:
    assert broken.scene.oracle.check(10.0) == []


BREAKS: dict[str, tuple[set[str], Callable[[Broken], Any]]] = {
    "a container without a row": ({"I1", "I3"}, lambda b: b.container(NOBODY, host_config=b.binding(27999))),
    "a volume without a row": ({"I1"}, lambda b: b.volume()),
    "a second network": ({"I1"}, lambda b: b.network()),
    "a network of a bot without a row": ({"I1"}, lambda b: b.network((INSTANCE, NOBODY))),
    "secrets without a row": ({"I1"}, lambda b: b.secrets_left()),
    "a stored secret without a row": ({"I1"}, lambda b: b.secret_row()),
    "a ghost": ({"I2", "I4", "I6"}, lambda b: b.row(b.stopped, status="running")),
    "a port out of range": ({"I3"}, lambda b: b.row(b.stopped, host_port=80)),
    "a lost creation": ({"I4"}, lambda b: b.outcome(NOBODY, RUNNING)),
    "a lost deletion": ({"I4"}, lambda b: b.outcome(b.running, GONE)),
    "a lost stop": ({"I4"}, lambda b: b.outcome(b.running, STOPPED)),
    "a lost start": ({"I4"}, lambda b: b.outcome(b.stopped, RUNNING)),
    "a row that is stuck": ({"I5"}, lambda b: b.row(b.running, operation="start", claim="x", claim_until=FAR)),
    "an error without a reason": ({"I5", "I6"}, lambda b: b.row(b.running, status="error")),
    "a lie about what runs": ({"I4", "I6"}, lambda b: b.row(b.running, status="stopped")),
    "a lie about what is wrong": ({"I6"}, lambda b: b.row(b.running, status="error", **CRASHED)),
    "a lie about the container": ({"I6"}, lambda b: b.row(b.running, container_id="f" * 64)),
    "two containers": ({"I2", "I3", "I6", "I7"}, lambda b: b.container(b.running)),
    "two rows for a key": ({"I7"}, lambda b: b.same_name()),
    "a leak in an answer": ({"I8"}, lambda b: b.leaking_row()),
    "a leak in a log": ({"I8"}, lambda b: b.log_line()),
    "a leak in an inspection": (
        {"I2", "I3", "I6", "I7", "I8"},
        lambda b: b.container(b.running, environment={"TOKEN": b.scene.canaries[0]}),
    ),
    "a restarted decoy": ({"I9"}, lambda b: b.decoy_restarted(0)),
    "a restarted decoy named like ours": ({"I9"}, lambda b: b.decoy_restarted(1)),
    "a restarted decoy of another installation": ({"I9"}, lambda b: b.decoy_restarted(2)),
    "a lost volume of a decoy": ({"I9"}, lambda b: b.decoy_volume()),
    "a changed bystander": ({"I10"}, lambda b: b.row(b.bystander, name="changed")),
    "a restarted bystander": ({"I10"}, lambda b: b.bystander_restarted()),
    "an answer 500": ({"I11"}, lambda b: b.answered(500, {"code": "internal_error"})),
    "an answer 503 that says nothing of when": ({"I11"}, lambda b: b.answered(503, {"code": "runtime_unavailable"})),
    "an undocumented status of an answer": ({"I11"}, lambda b: b.answered(206, {})),
    "an undocumented status of a bot": ({"I11"}, lambda b: b.answered(200, {"instance": {"status": "fine"}})),
    "an answer without a code": ({"I11"}, lambda b: b.answered(404, {})),
    "an answer that is no JSON": ({"I11"}, lambda b: b.answered(200)),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_found(broken: Broken, name: str) -> None:
    expected, break_ = BREAKS[name]
    answers = list(broken.scene.ledger.answers)
    with break_(broken):
        found = broken.scene.oracle.check(0.0, trial=False)
    # What the oracle itself was answered meanwhile is as broken as what it found.
    broken.scene.ledger.answers[:] = answers
    assert invariants(found) == expected, found
    assert not any(canary in one for one in found for canary in broken.scene.canaries)


def test_what_does_not_work_any_more_is_found(broken: Broken) -> None:
    answers = list(broken.scene.ledger.answers)
    with broken.impossible_bot():
        assert invariants(broken.scene.oracle.check(0.0)) == {"I12"}
    broken.scene.ledger.answers[:] = answers
    assert broken.scene.oracle.check(10.0) == []
