"""A served site on the machine's engine, asked by clients while something goes wrong, and what must hold then."""

import json
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL
from tests.browser.sites import STANDIN_IMAGE, remove_all
from tests.faults.asked import Asked, judged
from tests.faults.crowd import crowd
from tests.platforms import GOOD
from tests.web.serving import SERVE, Answer, Served, free_port, run_serve

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SETTLED_WITHIN = 60.0
READS_AGAIN_WITHIN = 3.0
CHANGES_AGAIN_WITHIN = 10.0
"""The engine's work included, and that bots whose change was cut short are claimed for up to 8 s."""
MOST_THREADS = 40
"""Of a worker: 16 for requests, as many operations as clients can begin, and those that are always there."""
OUTAGE = "clawdeploy.core.outage"
MOST_TOLD = 8
"""Lines about an outage: two workers tell that nothing can be read, and that nothing can be written, perhaps twice."""
CONTENT = {"Content_Type": "application/json"}


class Refused(AssertionError):
    """A request that should have worked was not answered with 200."""


@dataclass
class Wished:
    """What the clients have been promised: the state of each bot that was acknowledged last, ``None`` if unknown."""

    bots: dict[str, str | None] = field(default_factory=dict)

    def of(self, *states: str | None) -> list[str]:
        return [bot for bot, state in self.bots.items() if state in states]


class Site:
    """One or two servers with one database, on the machine's engine.

    ``program`` is what they run, if that is not ``clawdeploy serve``.
    """

    def __init__(self, folder: Path, *, servers: int = 1, program: Sequence[str] = SERVE, **settings: str) -> None:
        usual = {"RUNTIME": "docker", "STANDIN_IMAGE": STANDIN_IMAGE, "PORT_RANGE": "27000-27999", "WORKERS": "2"}
        self.asked: list[Asked] = []
        self.wished = Wished()
        self.servers: list[Served] = []
        self._engine = docker.from_env()
        self._settings = {**usual, "SECRET_KEYS": KEY, **settings}
        for number in range(servers):
            place = folder / f"server{number}"
            (place / "data").mkdir(parents=True)
            self.servers.append(Served(place, program, **self._settings))
        self.served = self.servers[0]
        self.installation = self.served.installation

    def another(self, place: Path) -> "subprocess.CompletedProcess[str]":
        """Start one more server, which is expected to end by itself, and return what it said."""
        place.mkdir()
        return run_serve(place, PORT=str(free_port()), **self._settings)

    def call(self, method: str, path: str, body: object = None, *, by: Served | None = None, **headers: str) -> Answer:
        """Ask, and remember how it went."""
        sent = None if body is None else json.dumps(body).encode()
        began = time.monotonic()
        answer = (by or self.served).call(method, path, sent, **(CONTENT if sent else {}), **headers)
        seconds = time.monotonic() - began
        code, wrong = judged(answer, seconds)
        self.asked.append(Asked(method, path, answer.status, code, seconds, began, wrong))
        return answer

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        if answer.status != 200:
            raise Refused(answer.status, answer.body)
        return json.loads(answer.body)

    def create(self, name: str = "bot", by: Served | None = None) -> str:
        """Make a bot, which has to work, and return its id."""
        made = self.try_("create", by=by)
        assert made is not None, self.asked[-1]
        return made

    def try_(self, action: str, bot: str = "", by: Served | None = None) -> str | None:
        """Try a create, start, stop or delete, take note of what was promised, and return the bot's id if it was."""
        if action == "create":
            answer = self.call("POST", "/api/instances", GOOD, by=by)
            bot = json.loads(answer.body)["instance"]["id"] if answer.status == 201 else ""
        elif action == "delete":
            self.wished.bots[bot] = None
            answer = self.call("DELETE", f"/api/instances/{bot}", by=by)
        else:
            before, self.wished.bots[bot] = self.wished.bots.get(bot), None
            answer = self.call("POST", f"/api/instances/{bot}/{action}", by=by)
            if answer.status in (400, 409):
                self.wished.bots[bot] = before
        if answer.status < 300:
            self.wished.bots[bot] = {"delete": "gone", "stop": "stopped"}.get(action, "running")
            return bot
        return None

    def listed(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        page = self.get("/api/instances?limit=100")
        while True:
            found |= {each["id"]: each for each in page["instances"]}
            if "nextCursor" not in page:
                return found
            page = self.get(f"/api/instances?limit=100&cursor={page['nextCursor']}")

    def containers(self) -> dict[str, str]:
        """Say what the engine itself knows: the state of each bot's container."""
        mine = {"label": f"{INSTALLATION_LABEL}={self.installation}"}
        seen: dict[str, str] = {}
        for one in self._engine.api.containers(all=True, filters=mine):
            bot = one["Labels"][INSTANCE_LABEL]
            assert bot not in seen, f"two containers of {bot}"
            seen[bot] = "stopped" if one["State"] == "exited" else one["State"]
        return seen

    def endures(
        self, trouble: AbstractContextManager[object], lasts: float, seed: int, reading: int = 3
    ) -> dict[str, float]:
        """Let clients work before, during and after the trouble; all promises hold, and it works again by itself.

        Returns what was measured: how long answers took, how soon a read and a change worked again, and how soon
        everything had settled, in seconds; and the most threads that a worker had.
        """
        with crowd(self, seed, reading=reading):
            pause(1.0)
            with trouble:
                pause(lasts)
                threads = self.threads()
            ended = time.monotonic()
            eventually(lambda: all(self._works_again(ended, reads=reads) < 60 for reads in (True, False)), 60)
            pause(0.5)
        settled = self.settles()
        wrong = [asked for asked in self.asked if asked.wrong]
        assert not wrong, (len(wrong), len(self.asked), wrong[:5])
        complaints = self.complaints()
        assert complaints == [], complaints
        measured = {
            "longest_read": max(asked.seconds for asked in self.asked if asked.reads),
            "longest_change": max(asked.seconds for asked in self.asked if not asked.reads),
            "refused": float(sum(asked.status == 503 for asked in self.asked)),
            "reads_again_after": self._works_again(ended, reads=True),
            "changes_again_after": self._works_again(ended, reads=False),
            "settled_after": settled,
            "threads": float(threads),
        }
        assert measured["reads_again_after"] < READS_AGAIN_WITHIN, measured
        assert measured["changes_again_after"] < CHANGES_AGAIN_WITHIN, measured
        assert threads <= MOST_THREADS, measured
        self.cycle()
        return {name: round(value, 2) for name, value in measured.items()}

    def _works_again(self, since: float, *, reads: bool) -> float:
        """Return how long after a moment the first request was answered that was sent after it."""
        worked = [
            asked.began + asked.seconds - since
            for asked in self.asked
            if asked.reads == reads and asked.status < 300 and asked.began > since
        ]
        return min(worked, default=float("inf"))

    def _reads(self) -> bool:
        return self.call("GET", "/api/instances").status == 200

    def cycle(self) -> None:
        """Make a bot, stop it, start it, read its log and delete it, all of which has to work within moments."""
        # By any of its processes: each finds out by itself that the database is back, within a second.
        assert eventually(lambda: all(self._reads() for _ in range(10)), READS_AGAIN_WITHIN)
        bot = self.create()
        for action in ("stop", "start"):
            assert self.try_(action, bot), self.asked[-1]
        self.get(f"/api/instances/{bot}/logs")
        assert self.try_("delete", bot), self.asked[-1]
        assert bot not in self.listed()
        assert bot not in self.containers()

    def complaints(self) -> list[str]:
        """Return what is wrong with the logs: unexpected errors, and an outage that was told of more than once."""
        wrong: list[str] = []
        for served in self.servers:
            lines = served.log.read_text().splitlines()
            told = [line for line in lines if " [-] " in line and OUTAGE not in line and "WARNING" in line]
            outages = [line for line in lines if OUTAGE in line and "cannot be" in line]
            wrong += [line for line in lines if "Traceback" in line or " ERROR " in line or " CRITICAL " in line]
            if len(told) + len(outages) > MOST_TOLD:
                wrong += [*told, *outages]
        return wrong

    def settles(self, within: float = SETTLED_WITHIN) -> float:
        """Wait until nothing is going on and rows, containers and promises agree; returns after how many seconds."""
        began = time.monotonic()
        said = ["not looked"]

        def agree() -> bool:
            try:
                said[0] = self._disagreement()
            except Refused as refused:
                said[0] = repr(refused)
            return not said[0]

        assert eventually(agree, within), said[0]
        return time.monotonic() - began

    def _disagreement(self) -> str:
        listed, seen = self.listed(), self.containers()
        busy = [each for each in listed.values() if each["operation"] or each["status"] not in ("running", "stopped")]
        if busy:
            return f"busy: {busy}"
        shown = {bot: each["status"] for bot, each in listed.items()}
        if shown != seen:
            return f"shown {shown}, seen {seen}"
        for bot, state in self.wished.bots.items():
            if state is not None and shown.get(bot, "gone") != state:
                return f"{bot} was promised to be {state} and is {shown.get(bot, 'gone')}"
        return ""

    def threads(self) -> int:
        """Return how many threads the busiest worker has."""
        return max(len(list(Path(f"/proc/{pid}/task").iterdir())) for each in self.servers for pid in each.workers())

    def close(self) -> None:
        for served in self.servers:
            with suppress(ProcessLookupError, FileNotFoundError):
                served.kill()
        remove_all(self.installation)
        self._engine.close()


def pause(seconds: float) -> None:
    """Let the clients work for a while."""
    threading.Event().wait(seconds)
