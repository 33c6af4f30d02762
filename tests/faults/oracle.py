"""What must be so whatever has died: the invariants I1 to I12, checked past the product's own code.

    oracle = Oracle(Target(base_url, bearer, database_url, data_folder), ledger, decoys=decoys)
    broken = oracle.check(within=10.0)

Each broken invariant is a sentence that begins with its number and holds the evidence. The server has to be running.
"""

import base64
import http.client
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.faults.decoys import Decoys
from tests.faults.facts import Machine, Row, Stored, instance_of, published
from tests.faults.ledger import GONE, RUNNING, STOPPED, Answer, Client, Ledger
from tests.faults.trial import Trial

PASSING = ("pending", "creating")
STATUSES = {*PASSING, "running", "stopped", "error", "deleted"}
HTTP = {200, 201, 204, 303, 304, 400, 401, 403, 404, 405, 409, 410, 413, 414, 415, 416, 417, 422, 429, 431, 503}
"""The statuses that docs/api.md names; of those of 500 and more only this one."""

MISSING = "missing"
ENDED = ("exited", "created", "paused", "dead", MISSING)
CONTAINER_OF_REASON = {
    "container_missing": (MISSING, "dead"),
    "crashed": ("exited", "restarting"),
    "out_of_memory": ("exited", "restarting"),
    "crash_loop": ("exited", "restarting"),
    "unhealthy": ("running",),
    "not_ready": ("running",),
    **dict.fromkeys(("image_unavailable", "name_taken", "port_taken", "no_free_port"), ENDED),
    **dict.fromkeys(("runtime_failure", "runtime_unavailable"), ENDED),
}
"""What the engine may say of a container when the status is ``error``."""

CONSISTENT_TRIES = 20


@dataclass(frozen=True)
class Target:
    """A served ClawDeploy and everything that it stands on.

    ``bearer`` is the value of the header ``Authorization`` of the owner whose bots are looked at. ``database_url`` is
    as in the settings, empty for the usual file. ``logs`` are the files that hold what the server said. ``engine`` is
    the engine itself, past any proxy.
    """

    base_url: str
    bearer: str
    database_url: str
    data_folder: Path
    engine: str = "unix:///var/run/docker.sock"
    ports: tuple[int, int] = (10000, 20000)
    logs: Sequence[Path] = ()
    secret_roots: tuple[Path, ...] = (Path("/run/clawdeploy"), Path("/dev/shm/clawdeploy-0"))


@dataclass
class State:
    """What the product says of one owner's bots, and at the same time the database and the engine."""

    shown: dict[str, Row] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    containers: list[dict[str, Any]] = field(default_factory=list)

    def of(self, instance_id: str) -> list[dict[str, Any]]:
        """Return the containers of an instance."""
        return [one for one in self.containers if instance_of(one) == instance_id]

    def engine_says(self, instance_id: str) -> str:
        """Return the state of an instance's container in the engine's word, ``missing`` when there is none."""
        found = [str(one["State"]["Status"]) for one in self.of(instance_id)]
        return " and ".join(found) or MISSING


class Oracle:
    """Checks one target. Make it before the faults: it remembers how the bots of ``bystander`` are.

    ``canaries`` are secrets that were given to the product. ``bystander`` is the bearer of another owner, whose bots
    nobody changes. ``new_bot`` are the fields of the bot that is created to see whether everything works.
    """

    def __init__(
        self,
        target: Target,
        ledger: Ledger,
        *,
        decoys: Decoys | None = None,
        canaries: Sequence[str] = (),
        bystander: str | None = None,
        new_bot: Row | None = None,
    ) -> None:
        self.target = target
        self.ledger = ledger
        self._decoys = decoys
        self._canaries = canaries
        self.stored = Stored(target.database_url, target.data_folder)
        installation = str(self.stored.rows("installation")[0]["id"])
        self.machine = Machine(target.engine, installation, target.secret_roots)
        # Its own requests are looked through like all others.
        self._client = Client(target.base_url, target.bearer, ledger)
        self._bystander = Client(target.base_url, bystander, ledger) if bystander else None
        self.trial = Trial(self._client, new_bot)
        self.remember()

    def remember(self) -> None:
        """Take the bystander's bots as they have to be from now on, for instance after their engine was killed."""
        self._untouched = self._bystanders()

    def check(self, within: float = 60.0, *, trial: bool = True) -> list[str]:
        """Wait until nothing is in a passing state, at most ``within`` seconds; return every broken invariant.

        ``trial``: also create, stop, start, read and delete a bot (I12).
        """
        passing = self.settle(within)
        state = self._state()
        found = [f"I5: {one} after {within:g} s" for one in passing]
        parts: list[Callable[[State], Iterator[str]]] = [
            self._orphans, self._ghosts, self._ports, self._lost, self._reasons, self._lies, self._doubles
        ]  # fmt: skip
        for part in parts:
            found += part(state)
        found += [f"I9: {one}" for one in (self._decoys.harmed() if self._decoys else [])]
        found += self._touched()
        if trial:
            found += [f"I12: {one}" for one in self.trial.run()]
        return [*found, *self._leaks(state), *self._odd_answers()]

    def passing(self) -> list[str]:
        """Return what is not settled now, as sentences; bots of all owners."""
        found = []
        for row in self.stored.rows("instance"):
            said = f"{row['id']} is {row['status']} {row['reason']} with operation {row['operation']}"
            if row["operation"] is not None or row["status"] in (*PASSING, "deleted"):
                found.append(said)
        return found

    def settle(self, within: float) -> list[str]:
        """Wait until nothing is in a passing state, at most so many seconds; return what still is."""
        deadline = time.monotonic() + within
        while (passing := self.passing()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return passing

    def _state(self) -> State:
        """Look at everything, until nothing changed while it was looked at."""
        before: dict[str, Row] = {}
        for _ in range(CONSISTENT_TRIES):
            rows = {row["id"]: row for row in self.stored.rows("instance")}
            containers = self.machine.containers()
            answer = self._client.call("GET", "/api/instances")
            shown = {one["id"]: one for one in answer.json()["instances"]} if answer and answer.status == 200 else {}
            if shown == before and answer is not None:
                return State(shown, rows, containers)
            before = shown
        return State(before, rows, containers)

    def _orphans(self, state: State) -> Iterator[str]:
        live = {instance_id for instance_id, row in state.rows.items() if row["status"] != "deleted"}
        for one in state.containers:
            if instance_of(one) not in live:
                yield f"I1: the container {one['Name']} ({one['State']['Status']}) has no row"
        for what, instance_id, _ in self.machine.kept():
            if instance_id not in live:
                yield f"I1: the {what} has no row"
        for folder in self.machine.secret_folders():
            if folder.name not in live:
                yield f"I1: the secrets in {folder} have no row"
        for row in self.stored.rows("secret"):
            if row["instance_id"] not in state.rows:
                yield f"I1: the secret {row['field']} of {row['instance_id']} has no instance"

    @staticmethod
    def _ghosts(state: State) -> Iterator[str]:
        for instance_id, row in state.rows.items():
            states = [one["State"]["Status"] for one in state.of(instance_id)]
            if row["status"] == "running" and states != ["running"]:
                yield f"I2: {instance_id} is running, its containers are {states}"

    def _ports(self, state: State) -> Iterator[str]:
        low, high = self.target.ports
        counts = Counter(row["host_port"] for row in state.rows.values() if row["host_port"] is not None)
        for port, times in counts.items():
            if times > 1 or not low <= port <= high:
                yield f"I3: port {port} is held by {times} rows, and the range is {low}-{high}"
        for one in state.containers:
            row, port = state.rows.get(instance_of(one)), published(one)
            if row is not None and row["host_port"] != port:
                yield f"I3: {row['id']} has port {row['host_port']} and its container {port}"
            if row is None:
                yield f"I3: port {port} is not freed: {one['Name']} holds it"

    def _lost(self, state: State) -> Iterator[str]:
        for instance_id, outcomes in self.ledger.outcomes.items():
            shown, engine_says = state.shown.get(instance_id), state.engine_says(instance_id)
            if shown is None:
                if GONE not in outcomes:
                    yield f"I4: {instance_id} was acknowledged ({sorted(outcomes)}) and is gone"
                elif engine_says != MISSING or instance_id in state.rows:
                    yield f"I4: {instance_id} was deleted; container: {engine_says}, row: {instance_id in state.rows}"
            elif outcomes == {GONE}:
                yield f"I4: {instance_id} was deleted and is {shown['status']}"
            elif RUNNING not in outcomes and (shown["status"] == "running" or engine_says not in ENDED):
                yield f"I4: {instance_id} was stopped, and is {shown['status']}, its container {engine_says}"
            elif STOPPED not in outcomes and (shown["status"] == "stopped" or engine_says in ENDED):
                said = f"{shown['status']} {shown['statusReason']}, its container {engine_says}"
                yield f"I4: {instance_id} was started, and is {said}"

    @staticmethod
    def _reasons(state: State) -> Iterator[str]:
        for instance_id, row in state.rows.items():
            if row["status"] == "error" and not (row["reason"] and row["detail"]):
                yield f"I5: {instance_id} is in error for no reason"

    def _lies(self, state: State) -> Iterator[str]:
        """Compare what the API shows with what the engine says."""
        for instance_id, shown in state.shown.items():
            engine_says, status, reason = state.engine_says(instance_id), shown["status"], shown["statusReason"]
            right: tuple[str, ...] = ("running",)
            if status == "stopped":
                right = ENDED if shown["containerId"] is None else ENDED[:3]
            elif status == "error":
                right = CONTAINER_OF_REASON.get(reason, ())
            elif status in PASSING:
                # That is told as I5.
                continue
            if engine_says not in right:
                yield f"I6: {instance_id} is shown as {status} {reason}, and the engine says {engine_says}"
            for one in state.of(instance_id):
                if one["Id"] != shown["containerId"]:
                    yield f"I6: {instance_id} is shown with container {shown['containerId']}, and has {one['Id']}"
            if status == "running" and not _answers(shown["port"]):
                yield f"I6: {instance_id} is shown as running, and nothing answers at port {shown['port']}"

    def _doubles(self, state: State) -> Iterator[str]:
        for instance_id, times in Counter(map(instance_of, state.containers)).items():
            if times > 1:
                yield f"I7: {instance_id} has {times} containers"
        names = Counter(row["name"] for row in state.rows.values())
        for key, name in self.ledger.names.items():
            if names[name] > 1:
                yield f"I7: the idempotency key {key} made {names[name]} rows called {name}"

    def _leaks(self, state: State) -> Iterator[str]:
        """Look for the canaries wherever something is shown or kept."""
        found = set()
        for where, content in self._sinks(state):
            for number, canary in enumerate(self._canaries):
                if any(form in content for form in _forms(canary)):
                    # Not the canary itself: this sentence is printed.
                    found.add(f"I8: canary {number} is in {where}")
        yield from sorted(found)

    def _sinks(self, state: State) -> Iterator[tuple[str, bytes]]:
        pages = ["/dashboard", "/api/instances"]
        for instance_id, shown in state.shown.items():
            pages += [f"/api/instances/{instance_id}{part}" for part in ("", "/activity")]
            pages += [f"/api/instances/{instance_id}/logs"] if shown["containerId"] else []
            pages += [f"/dashboard/instances/{instance_id}"]
        for page in pages:
            self._client.call("GET", page, Accept="text/html" if page.startswith("/dashboard") else "application/json")
        for answer in self.ledger.answers:
            yield f"the answer to {answer.method} {answer.path}", answer.body + repr(answer.headers).encode()
        for log in self.target.logs:
            yield f"the log {log}", log.read_bytes()
        for one in self.machine.containers():
            yield f"the inspection of {one['Name']}", repr(one).encode()
        for what, _, said in self.machine.kept():
            yield f"the inspection of the {what}", repr(said).encode()
        yield from self.stored.clear()

    def _odd_answers(self) -> Iterator[str]:
        seen = set()
        for answer in self.ledger.answers:
            for said in _oddities(answer):
                if said not in seen:
                    seen.add(said)
                    yield f"I11: {answer.method} {answer.path}: {said}"

    def _bystanders(self) -> dict[str, Any]:
        if self._bystander is None:
            return {}
        answer = self._bystander.call("GET", "/api/instances")
        assert answer is not None
        assert answer.status == 200, answer
        runs = {
            instance_of(one): (one["Id"], one["State"]["Status"], one["State"]["StartedAt"], one["RestartCount"])
            for one in self.machine.containers()
        }
        return {one["id"]: (one, runs.get(one["id"])) for one in answer.json()["instances"]}

    def _touched(self) -> Iterator[str]:
        now = self._bystanders()
        for instance_id, before in self._untouched.items():
            if now.get(instance_id) != before:
                yield f"I10: {instance_id} of another owner was {before} and is {now.get(instance_id)}"
            answer = self._client.call("GET", f"/api/instances/{instance_id}")
            if answer is None or answer.status != 404:
                yield f"I10: {instance_id} of another owner can be seen: {answer}"


def _oddities(answer: Answer) -> Iterator[str]:
    """Say what is wrong with an answer by what the documents promise."""
    if answer.status not in HTTP:
        yield f"status {answer.status}: {answer.body[:300]!r}"
    if answer.status == 503 and not re.fullmatch("[1-9][0-9]*", answer.headers.get("retry-after", "")):
        yield "503 without Retry-After"
    if not answer.path.startswith("/api/"):
        return
    try:
        said = answer.json() if answer.body else {}
    except ValueError:
        yield f"no JSON, but {answer.body[:100]!r}"
        return
    if answer.status >= 400 and not (isinstance(said, dict) and said.get("code")):
        yield f"status {answer.status} without a code"
    shown = [said["instance"]] if "instance" in said else said.get("instances", ())
    for one in shown:
        if one["status"] not in STATUSES:
            yield f"the status {one['status']!r}"


def _forms(canary: str) -> set[bytes]:
    """Return the ways in which a secret may be written somewhere."""
    plain = canary.encode()
    return {
        plain,
        base64.b64encode(plain),
        plain.hex().encode(),
        quote(canary, safe="").encode(),
        escape(canary).encode(),
    }


def _answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
