"""What clients asked for and were told: the side of the truth that a server has promised."""

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

RUNNING, STOPPED, GONE = "running", "stopped", "gone"
KEPT = b"What was asked for is kept"
"""What a refusal says that is none: the engine could not do it now, and it is done later."""

WISHES = {"start": RUNNING, "restart": RUNNING, "stop": STOPPED}
PATIENCE_SECONDS = 40.0


@dataclass(frozen=True)
class Answer:
    """One whole answer, and what it was the answer to; the names of ``headers`` are in small letters."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return what is in the body; raises ``ValueError`` when that is no JSON."""
        return json.loads(self.body)


@dataclass
class Ledger:
    """What has been acknowledged, and every answer; any number of threads may share it.

    ``outcomes`` holds for each instance what may have become of it: one of ``running``, ``stopped`` and ``gone`` after
    an acknowledged change, more of them after one that was begun and never answered. ``names`` holds for each
    idempotency key the name of the bot that was asked for with it, which no other bot may have. ``unanswered`` are the
    requests that got no whole answer, each with the server's port and the name of what came instead.
    """

    outcomes: dict[str, frozenset[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def begins(self, instance_id: str, outcome: str) -> frozenset[str]:
        """Note that a change is sent, before it is; returns what may have been so until now, for :meth:`refused`."""
        with self._lock:
            before = self.outcomes.get(instance_id, frozenset())
            self.outcomes[instance_id] = before | {outcome}
            return before

    def refused(self, instance_id: str, before: frozenset[str]) -> None:
        """Note that the change was answered with a refusal: nothing is different."""
        with self._lock:
            self.outcomes[instance_id] = before

    def acknowledged(self, instance_id: str, outcome: str) -> None:
        """Note that the change was answered with a success."""
        with self._lock:
            self.outcomes[instance_id] = frozenset((outcome,))

    def keyed(self, key: str, name: str) -> None:
        """Note that a bot of this name, unique to the key, was asked for with an idempotency key."""
        with self._lock:
            self.names[key] = name

    def answered(self, answer: Answer) -> None:
        """Keep an answer, to be looked through later."""
        with self._lock:
            self.answers.append(answer)


class Client:
    """A program of one owner's that writes down what it asks for and what it is told.

    Every call returns ``None`` when no answer came, for whatever reason.
    """

    def __init__(self, base_url: str, bearer: str, ledger: Ledger, patience: float = PATIENCE_SECONDS) -> None:
        self.ledger = ledger
        self._at = urlsplit(base_url)
        self._bearer = bearer
        self._patience = patience

    def call(self, method: str, path: str, fields: object = None, **headers: str) -> Answer | None:
        """Send one request on a connection of its own; ``Accept="text/html"`` and the like are headers."""
        sent = {"Authorization": self._bearer, **{name.replace("_", "-"): value for name, value in headers.items()}}
        body = None if fields is None else json.dumps(fields).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self._at.hostname or "", self._at.port, timeout=self._patience)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(method, path, response.status, received, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.ledger.unanswered.append(f"{self._at.port} {method} {path}: {type(error).__name__}")
            return None
        finally:
            connection.close()
        self.ledger.answered(answer)
        return answer

    def create(self, key: str, fields: Mapping[str, Any]) -> str | None:
        """Ask for a bot with an idempotency key and return its id. The name must be of this key only."""
        self.ledger.keyed(key, str(fields["name"]))
        answer = self.call("POST", "/api/instances", fields, Idempotency_Key=key)
        if answer is None or answer.status != 201:
            return None
        made = answer.json()["instance"]
        self.told(made["id"], RUNNING, made)
        return str(made["id"])

    def change(self, instance_id: str, verb: str, **headers: str) -> Answer | None:
        """Ask for a ``start``, ``stop`` or ``restart``, or with ``delete`` for the end of a bot."""
        deleting = verb == "delete"
        outcome = GONE if deleting else WISHES[verb]
        path = f"/api/instances/{instance_id}" + ("" if deleting else f"/{verb}")
        before = self.ledger.begins(instance_id, outcome)
        answer = self.call("DELETE" if deleting else "POST", path, **headers)
        if answer is None:
            return None
        if answer.status == 200 and not deleting:
            self.told(instance_id, outcome, answer.json()["instance"])
        elif answer.status == 200 or (deleting and answer.status == 404) or KEPT in answer.body:
            self.ledger.acknowledged(instance_id, outcome)
        elif answer.status < 500:
            self.ledger.refused(instance_id, before)
        return answer

    def told(self, instance_id: str, outcome: str, shown: Mapping[str, Any]) -> None:
        """Note what was asked for as acknowledged, unless the answer says that it did not work out."""
        self.ledger.acknowledged(instance_id, outcome)
        if shown["status"] == "error":
            # What becomes of it is told by its reason.
            self.ledger.begins(instance_id, RUNNING)
            self.ledger.begins(instance_id, STOPPED)
