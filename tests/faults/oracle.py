"""What must be so whatever has died: the invariants I1 to I12, checked past the product's own code.

    oracle = Oracle(Target(base_url, bearer, database_url, data_folder), ledger, decoys=decoys)
    broken = oracle.check(within=10.0)

Each broken invariant is a sentence that begins with its number and holds the evidence. The server has to be running.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import invariants
from tests.faults.answers import odd
from tests.faults.decoys import Decoys
from tests.faults.facts import Machine, Row, Stored, instance_of
from tests.faults.leaks import leaks
from tests.faults.ledger import Client, Ledger
from tests.faults.state import PASSING, State, look, shown_to
from tests.faults.trial import Trial


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
        state = look(self.stored, self.machine, self._client)
        found = [f"I5: {one} after {within:g} s" for one in passing]
        found += self._of(state)
        found += [f"I9: {one}" for one in (self._decoys.harmed() if self._decoys else [])]
        found += self._touched()
        if trial:
            found += [f"I12: {one}" for one in self.trial.run()]
        return [*found, *leaks(self._canaries, self._sinks(state)), *odd(self.ledger.answers)]

    def _of(self, state: State) -> Iterator[str]:
        yield from invariants.orphans(state)
        yield from invariants.ghosts(state)
        yield from invariants.wrong_ports(state, self.target.ports)
        yield from invariants.lost(state, self.ledger)
        yield from invariants.unexplained(state)
        yield from invariants.lies(state)
        yield from invariants.doubles(state, self.ledger)

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

    def _bystanders(self) -> dict[str, Any]:
        if self._bystander is None:
            return {}
        runs = {
            instance_of(one): (one["Id"], one["State"]["Status"], one["State"]["StartedAt"], one["RestartCount"])
            for one in self.machine.containers()
        }
        shown = shown_to(self._bystander)
        assert shown is not None, self.ledger.answers[-1]
        return {bot: (said, runs.get(bot)) for bot, said in shown.items()}

    def _touched(self) -> Iterator[str]:
        now = self._bystanders()
        for instance_id, before in self._untouched.items():
            if now.get(instance_id) != before:
                yield f"I10: {instance_id} of another owner was {before} and is {now.get(instance_id)}"
            answer = self._client.call("GET", f"/api/instances/{instance_id}")
            if answer is None or answer.status != 404:
                yield f"I10: {instance_id} of another owner can be seen: {answer}"
