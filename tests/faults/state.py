"""What the product says of one owner's bots, and what is so at the same time in the database and on the engine."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.facts import Machine, Row, Stored, instance_of
from tests.faults.ledger import Client

PASSING = ("pending", "creating")
MISSING = "missing"
MOVING = "statusAsOf"
"""What of an instance becomes another with each look at the engine, also when nothing has changed."""

CONSISTENT_TRIES = 20


@dataclass
class State:
    """Rows of the database, instances of the API by their id, and what the engine and the file system hold."""

    shown: dict[str, Row] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    containers: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[Row] = field(default_factory=list)
    kept: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    secret_folders: list[Path] = field(default_factory=list)

    def of(self, instance_id: str) -> list[dict[str, Any]]:
        """Return the containers of an instance."""
        return [one for one in self.containers if instance_of(one) == instance_id]

    def engine_says(self, instance_id: str) -> str:
        """Return the state of an instance's container in the engine's word, ``missing`` when there is none."""
        found = [str(one["State"]["Status"]) for one in self.of(instance_id)]
        return " and ".join(found) or MISSING


def look(stored: Stored, machine: Machine, client: Client) -> State:
    """Look at everything, until nothing changed while it was looked at."""
    before = shown_to(client)
    for _ in range(CONSISTENT_TRIES):
        state = State(
            rows={row["id"]: row for row in stored.rows("instance")},
            containers=machine.containers(),
            secrets=stored.rows("secret"),
            kept=machine.kept(),
            secret_folders=machine.secret_folders(),
        )
        shown = shown_to(client)
        state.shown = shown or {}
        if shown == before and shown is not None:
            break
        before = shown
    return state


def shown_to(client: Client) -> dict[str, Row] | None:
    """Return the instances that a client is shown, by their id and without what moves by itself; ``None``: refused."""
    answer = client.call("GET", "/api/instances")
    if answer is None or answer.status != 200:
        return None
    return {one["id"]: {**one, MOVING: None} for one in answer.json()["instances"]}
