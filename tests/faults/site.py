"""A served site on the machine's engine, asked by several clients while something goes wrong, and what must hold then."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL
from tests.browser.sites import STANDIN_IMAGE, remove_all
from tests.platforms import GOOD
from tests.web.serving import Answer, Served

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
LONGEST_ANSWER = 10.0
"""Seconds within which everything is answered, whatever the database does."""
SETTLED_WITHIN = 60.0
MOST_BOTS = 3
READS = ("/api/instances", "/dashboard", "/api/instances/{}", "/dashboard/instances/{}", "/api/instances/{}/activity")
CONTENT = {"Content_Type": "application/json"}


@dataclass(frozen=True)
class Asked:
    """One request and what came of it."""

    method: str
    path: str
    status: int
    code: str
    seconds: float
    began: float
    wrong: str

    @property
    def reads(self) -> bool:
        return self.method == "GET"


@dataclass
class Wished:
    """What the clients have been promised: the state of each bot that was acknowledged last, ``None`` if unknown."""

    bots: dict[str, str | None] = field(default_factory=dict)

    def of(self, *states: str | None) -> list[str]:
        return [bot for bot, state in self.bots.items() if state in states]


class Site:
    """One or two servers with one database, on the machine's engine."""

    def __init__(self, folder: Path, *, servers: int = 1, **settings: str) -> None:
        usual = {"RUNTIME": "docker", "STANDIN_IMAGE": STANDIN_IMAGE, "PORT_RANGE": "27000-27999", "WORKERS": "2"}
        self.asked: list[Asked] = []
        self.wished = Wished()
        self.servers: list[Served] = []
        self._engine = docker.from_env()
        self._settings = {**usual, "SECRET_KEYS": KEY, **settings}
        for number in range(servers):
            place = folder / f"server{number}"
            (place / "data").mkdir(parents=True)
            self.servers.append(Served(place, **self._settings))
        self.served = self.servers[0]
        self.installation = self.served.installation

    def call(self, method: str, path: str, body: object = None, *, by: Served | None = None, **headers: str) -> Answer:
        """Ask, and remember how it went."""
        sent = None if body is None else json.dumps(body).encode()
        began = time.monotonic()
        answer = (by or self.served).call(method, path, sent, **(CONTENT if sent else {}), **headers)
        seconds = time.monotonic() - began
        code, wrong = _judged(answer, seconds)
        self.asked.append(Asked(method, path, answer.status, code, seconds, began, wrong))
        return answer

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, (answer.status, answer.body)
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

    @contextmanager
    def clients(self, seed: int, changing: int = 3, reading: int = 3) -> Iterator[None]:
        """Have clients look and change without a pause while the block runs."""
        over = threading.Event()
        failures: list[BaseException] = []

        def work(number: int) -> None:
            chance = random.Random(seed * 1000 + number)
            by = self.servers[number % len(self.servers)]
            mine: list[str] = []
            try:
                while not over.wait(0.05):
                    if number < changing:
                        self._change(chance, mine, by)
                    else:
                        self._read(chance, by)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(changing + reading)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(60)
        assert failures == []

    def _change(self, chance: random.Random, mine: list[str], by: Served) -> None:
        if len(mine) < MOST_BOTS and (not mine or chance.random() < 0.3):
            made = self.try_("create", by=by)
            if made:
                mine.append(made)
            return
        bot = chance.choice(mine)
        action = chance.choice(("stop", "start", "stop", "start", "delete"))
        self.try_(action, bot, by)
        if action == "delete":
            # Whether it was promised or not: what is gone cannot be asked for anything.
            mine.remove(bot)

    def _read(self, chance: random.Random, by: Served) -> None:
        path = chance.choice(READS)
        if "{}" in path:
            known = list(self.wished.bots)
            if not known:
                return
            path = path.format(chance.choice(known))
        self.call("GET", path, by=by, **({"Accept": "text/html"} if path.startswith("/dashboard") else {}))

    def listed(self) -> dict[str, Any]:
        return {each["id"]: each for each in self.get("/api/instances?limit=100")["instances"]}

    def containers(self) -> dict[str, str]:
        """Say what the engine itself knows: the state of each bot's container."""
        mine = {"label": f"{INSTALLATION_LABEL}={self.installation}"}
        seen: dict[str, str] = {}
        for one in self._engine.api.containers(all=True, filters=mine):
            bot = one["Labels"][INSTANCE_LABEL]
            assert bot not in seen, f"two containers of {bot}"
            seen[bot] = "stopped" if one["State"] == "exited" else one["State"]
        return seen

    def works_again(self, within: float) -> float:
        """Wait until a read and a change are answered as usual; returns after how many seconds."""
        began = time.monotonic()

        def does() -> bool:
            bot = self.try_("create")
            return bot is not None and self.call("GET", f"/api/instances/{bot}").status == 200

        assert eventually(does, within), (self.asked[-3:], self.served.log.read_text()[-3000:])
        return time.monotonic() - began

    def settles(self, within: float = SETTLED_WITHIN) -> float:
        """Wait until nothing is going on and rows, containers and promises agree; returns after how many seconds."""
        began = time.monotonic()
        said = ["not looked"]

        def agree() -> bool:
            said[0] = self._disagreement()
            return not said[0]

        assert eventually(agree, within), (said[0], self.served.log.read_text()[-3000:])
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

    def answered_well(self) -> None:
        """Fail if any answer so far was not one that a client can understand and act upon, in time."""
        wrong = [asked for asked in self.asked if asked.wrong]
        assert not wrong, (len(wrong), len(self.asked), wrong[:5])

    def threads(self) -> int:
        """Return how many threads the busiest worker has."""
        return max(len(list(Path(f"/proc/{pid}/task").iterdir())) for each in self.servers for pid in each.workers())

    def close(self) -> None:
        for served in self.servers:
            with suppress(ProcessLookupError):
                served.kill()
        remove_all(self.installation)
        self._engine.close()


def _judged(answer: Answer, seconds: float) -> tuple[str, str]:
    """Return the code of a problem, and what is wrong with an answer, if anything."""
    wrong = f"it took {seconds:.1f} s" if seconds > LONGEST_ANSWER else ""
    if answer.status < 400:
        return "", wrong
    if answer.headers["Content-Type"].startswith("text/html"):
        page = answer.body.decode()
        code = "page"
        if answer.status == 503 and "Try Again" not in page:
            wrong = "the page does not say to try again"
    else:
        code = answer.problem()["code"]
        if answer.status == 503 and code != "database_unavailable":
            wrong = f"503 {code}"
    if answer.status == 503 and not answer.headers["Retry-After"]:
        wrong = "no Retry-After"
    if answer.status not in (400, 404, 409, 503):
        wrong = f"status {answer.status}: {answer.body[:300]!r}"
    return code, wrong
