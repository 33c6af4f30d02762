"""Four programs of two owners, which use a server all at once and write down what they were promised."""

import random
import secrets
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from tests.faults.ledger import RUNNING, STOPPED, Answer, Client, Ledger
from tests.faults.oracle import Oracle
from tests.faults.scene import Scene

T = TypeVar("T")

OWNERS = ("ann", "eve")
PROGRAMS = 4
MOST_BOTS = 4
"""How many bots an owner has at most."""
AGAIN_SECONDS = 0.1
ANSWERED_WITHIN = 90.0
"""How long a program asks the same thing again and again until it is answered."""
READS = ("", "/logs", "/activity")


class Owner:
    """Somebody with bots, with what their programs were promised, and with an oracle that looks at just these bots.

    One program at a time changes a bot; all may read it.
    """

    def __init__(self, scene: Scene, name: str) -> None:
        self.name = name
        self.ledger = Ledger()
        self.bearer = scene.served.bearer if name == "ann" else scene.bearer(name, scene.target.database_url)
        target = replace(scene.target, bearer=self.bearer)
        self.oracle = Oracle(target, self.ledger, canaries=scene.canaries)
        self.settings: dict[str, set[int | None]] = {}
        """For each bot what its ``config`` may hold: what was acknowledged last, and what was sent since."""
        self.bots: set[str] = set()
        self._idle: list[str] = []
        self._meddled: Counter[str] = Counter()
        self._lock = threading.Lock()

    def joins(self, bot: str) -> None:
        """Add a new bot, for every program of the owner to use."""
        with self._lock:
            self.settings[bot] = {None}
            self.bots.add(bot)
            self._idle.append(bot)

    def leaves(self, bot: str) -> None:
        """Forget a bot that was deleted."""
        with self._lock:
            self.bots.discard(bot)

    @contextmanager
    def one_bot(self, chance: random.Random) -> Iterator[str | None]:
        """Give a bot that nobody else changes meanwhile; ``None`` when there is none."""
        with self._lock:
            bot = self._idle.pop(chance.randrange(len(self._idle))) if self._idle else None
            before = self._meddled[bot] if bot else 0
        yield bot
        with self._lock:
            if bot in self.bots:
                self._idle.append(bot)
            meddled = bot and self._meddled[bot] != before
        if bot and meddled:
            self.unsure(bot)

    def meddle(self, bot: str, action: Callable[[], object]) -> None:
        """Do something to a bot's container behind its owner's back: nobody knows what becomes of it."""
        with self._lock:
            self._meddled[bot] += 1
        action()
        with self._lock:
            self._meddled[bot] += 1
        self.unsure(bot)

    def unsure(self, bot: str) -> None:
        """Note that a bot may run or not, whatever was promised."""
        for outcome in (RUNNING, STOPPED):
            self.ledger.begins(bot, outcome)

    def broken(self, within: float) -> list[str]:
        """Return what is broken of what concerns this owner; whether everything works is tried with the scene's."""
        found = self.oracle.check(within, trial=False)
        answer = Client(self.oracle.target.base_url, self.bearer, self.ledger).call("GET", "/api/instances")
        for shown in answer.json()["instances"] if answer and answer.status == 200 else ():
            possible = self.settings.get(shown["id"])
            if possible and shown["config"].get("number") not in possible:
                found.append(f"I4: the config of {shown['id']} is {shown['config']} and should be one of {possible}")
        return [f"{self.name}: {one}" for one in found]


class Program(threading.Thread):
    """Does one thing after the other, at random, until :meth:`finish`; ``fields`` are those of a new bot."""

    def __init__(self, owner: Owner, base_url: str, number: int, seed: int, fields: dict[str, Any]) -> None:
        super().__init__(name=f"program {number}")
        self.done: Counter[str] = Counter()
        self.failure = ""
        self._owner = owner
        self._client = Client(base_url, owner.bearer, owner.ledger)
        self._chance = random.Random(f"{seed} {number}")
        self._fields = fields
        self._over = threading.Event()

    def run(self) -> None:
        """Go on until told to finish, or until something happens that must not."""
        while not self._over.is_set() and not self.failure:
            try:
                self._step()
            except Exception:
                self.failure = traceback.format_exc()
            self._over.wait(self._chance.uniform(0, 0.2))

    def begin_nothing_new(self) -> None:
        """Only ask on until what was asked is answered."""
        self._over.set()

    def finish(self) -> None:
        """Begin nothing new, and wait until what was begun is answered."""
        self.begin_nothing_new()
        self.join(2 * ANSWERED_WITHIN)
        assert not self.is_alive(), f"{self.name} waits for ever"

    def _step(self) -> None:
        actions: dict[Callable[[], None], int] = {
            self._create: 3,
            lambda: self._change("start"): 3,
            lambda: self._change("stop"): 3,
            lambda: self._change("restart"): 2,
            self._contradict: 1,
            self._patch: 2,
            self._patch_status: 2,
            self._delete: 2,
            self._read: 4,
        }
        self._chance.choices(list(actions), list(actions.values()))[0]()

    def _create(self) -> None:
        if len(self._owner.bots) >= MOST_BOTS:
            return self._read()
        # No other run of the same seed has it, on the same server.
        key = f"key-{secrets.token_hex(8)}"
        bot = self._until(lambda: self._client.create(key, {**self._fields, "name": f"bot of {key}"}), f"create {key}")
        self._owner.joins(bot)
        return None

    def _change(self, verb: str) -> None:
        with self._owner.one_bot(self._chance) as bot:
            if bot:
                self.done[verb] += 1
                keyed = {"Idempotency_Key": secrets.token_hex(8)} if self._chance.random() < 0.5 else {}
                self._answered(self._client.change(bot, verb, **keyed))

    def _contradict(self) -> None:
        """Ask for one thing and its opposite at the same instant."""
        with self._owner.one_bot(self._chance) as bot:
            if bot:
                self.done["contradict"] += 1
                self._owner.unsure(bot)
                with ThreadPoolExecutor(2) as both:
                    asked = [f"/api/instances/{bot}/{verb}" for verb in ("start", "stop")]
                    list(both.map(lambda path: self._client.call("POST", path), asked))

    def _patch(self) -> None:
        number = self._chance.getrandbits(32)
        with self._owner.one_bot(self._chance) as bot:
            if bot:
                self.done["patch"] += 1
                self._owner.settings[bot].add(number)
                answer = self._client.call("PATCH", f"/api/instances/{bot}", {"config": {"number": number}})
                if answer is not None and answer.status == 200:
                    self._owner.settings[bot] = {number}
                self._answered(answer)

    def _patch_status(self) -> None:
        wished = self._chance.choice((RUNNING, STOPPED))
        with self._owner.one_bot(self._chance) as bot:
            if bot:
                self.done["patch status"] += 1
                before = self._owner.ledger.begins(bot, wished)
                answer = self._client.call("PATCH", f"/api/instances/{bot}", {"status": wished})
                if answer is not None and answer.status == 200:
                    self._client.told(bot, wished, answer.json()["instance"])
                elif answer is not None and answer.status < 500:
                    self._owner.ledger.refused(bot, before)
                self._answered(answer)

    def _delete(self) -> None:
        with self._owner.one_bot(self._chance) as bot:
            if bot:
                self._until(lambda: _gone(self._client.change(bot, "delete")), f"delete {bot}")
                self._owner.leaves(bot)

    def _read(self) -> None:
        self.done["read"] += 1
        bots = sorted(self._owner.bots)
        path = f"/api/instances/{self._chance.choice(bots)}{self._chance.choice(READS)}" if bots else "/api/instances"
        self._answered(self._client.call("GET", self._chance.choice((path, "/api/instances"))))

    def _until(self, ask: Callable[[], T | None], what: str) -> T:
        """Ask the same again and again until there is an answer that settles it."""
        self.done[what.partition(" ")[0]] += 1
        deadline = time.monotonic() + ANSWERED_WITHIN
        while (settled := ask()) is None:
            assert time.monotonic() < deadline, f"{what} was never answered"
            time.sleep(AGAIN_SECONDS)
        return settled

    def _answered(self, answer: Answer | None) -> None:
        if answer is None:
            # There is no server at the moment; another one soon is.
            time.sleep(AGAIN_SECONDS)


def _gone(answer: Answer | None) -> Answer | None:
    return answer if answer is not None and answer.status in (200, 404) else None


class Load:
    """All programs on one scene; they begin at once.

    ``base_urls`` are the servers, if there are others than the scene's one; each owner uses all of them.
    """

    def __init__(self, scene: Scene, seed: int, base_urls: Sequence[str] = ()) -> None:
        servers = base_urls or [scene.base_url]
        self.owners = [Owner(scene, name) for name in OWNERS]
        self.programs = [
            Program(self.owners[number % 2], servers[number // 2 % len(servers)], number, seed, scene.bot(""))
            for number in range(PROGRAMS)
        ]
        for program in self.programs:
            program.start()

    @property
    def failures(self) -> list[str]:
        """What happened to programs that must not happen, as tracebacks."""
        return [f"{program.name}: {program.failure}" for program in self.programs if program.failure]

    def begin_nothing_new(self) -> None:
        """Let the programs do no more than what they are doing now."""
        for program in self.programs:
            program.begin_nothing_new()

    def failed_requests(self) -> list[str]:
        """Return the requests that were not answered, and those that the server could not serve."""
        found = []
        for owner in self.owners:
            found += owner.ledger.unanswered
            found += [f"{one.method} {one.path}: {one.status}" for one in owner.ledger.answers if one.status >= 500]
        return found

    def finish(self) -> None:
        """Let all programs come to an end."""
        for program in self.programs:
            program.finish()

    def done(self) -> Counter[str]:
        """Return how often each thing was done."""
        return sum((program.done for program in self.programs), Counter())

    def answers(self) -> Counter[str]:
        """Return how often each answer was given."""
        return Counter(f"{one.method} {one.status}" for owner in self.owners for one in owner.ledger.answers)
