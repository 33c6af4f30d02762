"""Two owners: what they do, what they were told, and whether that was allowed."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clawdeploy.core.contracts import Wish
from clawdeploy.core.errors import (
    ClawDeployError,
    DatabaseUnavailable,
    EngineError,
    IdempotencyInFlight,
    InstanceNotFound,
    NoContainer,
    OperationInProgress,
)
from clawdeploy.core.idempotency import FirstAnswer
from clawdeploy.core.platform import Platform
from tests.core.machine import oracle
from tests.core.machine.faults import Died
from tests.core.machine.happenings import happen
from tests.core.machine.oracle import Bot
from tests.core.machine.world import World
from tests.core.machine.wrongs import Wrong

CALL = "POST /api/instances"
CLAIM_SECONDS = 8.5
KEY_SECONDS = 61.0

Ask = Callable[[Platform, str, str], Any]

CALLS: dict[str, tuple[Wish, Ask]] = {
    "start": (Wish.RUN, lambda platform, owner, bot: platform.instances.start(owner, bot)),
    "stop": (Wish.STOP, lambda platform, owner, bot: platform.instances.stop(owner, bot)),
    "restart": (Wish.RUN, lambda platform, owner, bot: platform.instances.restart(owner, bot)),
    "retry": (Wish.RUN, lambda platform, owner, bot: platform.instances.retry(owner, bot)),
    "patch stopped": (
        Wish.STOP,
        lambda platform, owner, bot: platform.instances.patch(owner, bot, {"status": "stopped"}),
    ),
    "delete": (Wish.DELETE, lambda platform, owner, bot: platform.instances.delete(owner, bot)),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a call. ``clean``: nothing went wrong on the way, so that the outcome is certain."""

    value: Any = None
    error: ClawDeployError | None = None
    died: bool = False
    struck: bool = False
    clean: bool = False

    @property
    def unknown(self) -> bool:
        """Whether nobody can know if it was stored."""
        return self.died or isinstance(self.error, DatabaseUnavailable)

    @property
    def refused(self) -> bool:
        """Whether it was said that nothing was changed."""
        return isinstance(self.error, InstanceNotFound | NoContainer | OperationInProgress | IdempotencyInFlight)


class People:
    """Knows all bots, and what each acknowledgement means for them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bots: list[Bot] = []
        self._made_so_far = 0
        self._asked_last: Bot | None = None
        self._lapses = 0

    @property
    def alive(self) -> list[Bot]:
        """The bots that may be there."""
        return [bot for bot in self.bots if not bot.deleted]

    def bot(self, which: int) -> Bot:
        """Return a bot, counted from the newest."""
        return self.bots[-1 - which % len(self.bots)]

    def newcomer(self, owner: str, key: str, secret: str | None) -> Bot:
        """Return the bot that is to be made, or that was made before with the same key."""
        for bot in self.bots:
            if key and (bot.owner, bot.key) == (owner, key):
                return bot
        self._made_so_far += 1
        self.bots.append(Bot(f"bot {self._made_so_far}", owner, key, secrets={"apiKey": {None if key else secret}}))
        return self.bots[-1]

    def create(self, bot: Bot, where: int) -> None:
        """Make a bot, with its key if it has one."""
        self._asked_last = bot
        body: dict[str, Any] = {"name": bot.name, "model": "gpt-5.2", "channel": "telegram"}
        if not bot.key:
            (body["apiKey"],) = bot.secrets["apiKey"]
        # One that an earlier call has made is only found again, whatever goes on with it now.
        made_here = not bot.id
        outcome = self.call(where, lambda platform: _create(platform, bot, body))
        if outcome.value is not None:
            assert bot.id in ("", outcome.value), f"{bot.name} was made once more"
            bot.id, bot.uncertain = outcome.value, False
            if made_here:
                self._check_done(bot, outcome)
        elif not outcome.unknown:
            in_flight = isinstance(outcome.error, IdempotencyInFlight)
            gone = Wish.DELETE in bot.wishes and isinstance(outcome.error, InstanceNotFound)
            assert gone or (in_flight and self._interrupted_within(KEY_SECONDS)), outcome.error

    def ask(self, bot: Bot, call: str, where: int) -> None:
        """Ask for something that is a wish."""
        wish, do = CALLS[call]
        facts = self.world.facts[bot.id]
        before, excuses, alone, version = bot.wishes, facts.excuses, facts.left_alone, bot.version
        bot.wishes, facts.excuses, facts.left_alone = before | {wish}, set(), False
        self._asked_last = bot
        busy, lapses = self._is_busy(bot), self._lapses
        outcome = self.call(where, lambda platform: do(platform, bot.owner, bot.id), bot)
        lapsed = self._lapses > lapses
        assert outcome.error or outcome.died or lapsed or not busy, f"{call}, and {bot.name} was being worked on"
        others = bot.version != version
        bot.version += 1
        if outcome.refused and not others:
            bot.wishes, facts.excuses, facts.left_alone = before, facts.excuses | excuses, alone
        elif outcome.unknown or others:
            bot.wishes |= set() if outcome.refused else {wish}
            facts.excuses |= excuses
        else:
            bot.wishes = {wish}
        self._check_refusal(bot, outcome, call)
        if outcome.error is None and not outcome.died:
            self._check_done(bot, outcome)
            if call == "restart":
                self._check_mounted(bot, outcome)

    def patch(self, bot: Bot, field: str, value: str | None, where: int) -> None:
        """Change a secret, for which a bot is restarted that is said to run on, as if its owner had asked for that."""
        self._asked_last = bot
        facts, row = self.world.facts[bot.id], self.world.rows().get(bot.id)
        before, unread, alone = bot.wishes, facts.unread, facts.left_alone
        facts.unread = True
        if row is not None and row.status == "running" and row.operation != "stop":
            bot.wishes, facts.left_alone = before | {Wish.RUN}, False
        known = bot.secrets.setdefault(field, {None})
        bot.secrets[field] = known | {value}
        bot.version += 1
        version = bot.version
        outcome = self.call(where, lambda platform: platform.instances.patch(bot.owner, bot.id, {field: value}), bot)
        if outcome.refused:
            bot.secrets[field] = known
            if bot.version == version:
                bot.wishes, facts.unread, facts.left_alone = before, unread, alone
        elif not outcome.unknown:
            bot.secrets[field] = {value}
        self._check_refusal(bot, outcome, "patch")
        if outcome.error is None and not outcome.died:
            self._check_mounted(bot, outcome)

    # -- how calls are made ------------------------------------------------------------------------------------------

    def call(self, where: int, do: Callable[[Platform], Any], bot: Bot | None = None) -> Outcome:
        """Let one process do something; by what an owner does to a ``bot``, no other may change."""
        world, plan, process = self.world, self.world.plan, self.world.processes[where]
        struck, interrupted = plan.struck, plan.interrupted
        certain = not self._interrupted_within(CLAIM_SECONDS)
        before = world.rows() if bot else {}
        world.count_ports()
        value, error = None, None
        try:
            value = do(process.platform)
        except Died:
            pass
        except ClawDeployError as raised:
            error = raised
        if plan.interrupted > interrupted:
            # What was not written may have been the return of a claim.
            world.interrupted_at = world.clock()
        if process.dead:
            world.bury(process)
            return Outcome(died=True, struck=True)
        clean = certain and plan.struck == struck
        if bot and clean:
            assert _but(bot, before) == _but(bot, world.rows()), "others were touched"
        return Outcome(value, error, struck=plan.struck > struck, clean=clean)

    def arm(self, wrong: Wrong) -> None:
        """Let something go wrong with the next call."""
        self.world.plan.disarm()
        if wrong is not None:
            fault, what, where = wrong
            self.world.plan.arm(fault, lambda instance_id: self._meanwhile(what, where, instance_id))

    def learn(self, rows: dict[str, Any]) -> None:
        """Take note of what was made and not acknowledged."""
        for row in rows.values():
            for bot in self.bots:
                if not bot.id and bot.name == row.name:
                    bot.id = row.id
            # Noted at once, because it remembers whether there was a port left for it.
            self.world.facts[row.id]

    def settled(self, rows: dict[str, Any]) -> None:
        """Take for certain what became of everything, when nothing is going on any more."""
        for bot in self.bots:
            bot.uncertain = bot.uncertain and bool(bot.key) and bot.id not in rows
            if bot.id in rows:
                bot.wishes = {Wish(rows[bot.id].wish)}
            elif not bot.uncertain:
                bot.wishes = {Wish.DELETE}

    def _meanwhile(self, what: str, where: int, instance_id: str) -> None:
        self.learn(self.world.rows())
        bot = next((each for each in self.bots if each.id and each.id == instance_id), self._asked_last)
        what, late = what.removeprefix("late "), what.startswith("late ")
        if late:
            self._lapses += 1
            self.world.clock.advance(CLAIM_SECONDS)
        if what == "sync":
            self.call(where, lambda platform: platform.reconciler.sync())
        elif bot is not None and what in CALLS:
            self.ask(bot, what, where)
        elif bot is not None:
            happen(self.world, bot.id, what)

    def _is_busy(self, bot: Bot) -> bool:
        """Say whether somebody works on a bot, in a way that lets nobody else in."""
        row = self.world.rows().get(bot.id)
        if row is None or row.claim is None or row.operation in (None, "recover"):
            return False
        return row.claim_until > self.world.clock() and row.reason not in ("pulling_image", "waiting_until_ready")

    def _interrupted_within(self, seconds: float) -> bool:
        """Say whether something is going on, or was cut short so lately that what it held may not be free yet."""
        since = (self.world.clock() - self.world.interrupted_at).total_seconds()
        return self.world.plan.nested or since < seconds

    # -- whether it was allowed --------------------------------------------------------------------------------------

    def _check_refusal(self, bot: Bot, outcome: Outcome, call: str) -> None:
        error = outcome.error
        if isinstance(error, DatabaseUnavailable | EngineError):
            assert outcome.struck, f"{call}: {error}"
        elif isinstance(error, InstanceNotFound):
            there = bot.id and not bot.uncertain and Wish.DELETE not in bot.wishes
            assert not there or self.world.plan.nested, f"{call}: {bot} is lost"
        elif isinstance(error, OperationInProgress):
            assert not outcome.clean, f"{call}: {error.detail}"
        elif isinstance(error, NoContainer):
            row = self.world.rows().get(bot.id)
            assert row is None or row.container_id is None, f"{call}: {error.detail}"
        elif error is not None:
            raise AssertionError(f"{call} raised {error!r}")

    def _check_done(self, bot: Bot, outcome: Outcome) -> None:
        """What nothing went wrong with is done when it is acknowledged."""
        row = self.world.rows().get(bot.id)
        # What could not be started, such as for a port that another program holds, is tried again after a pause.
        waits = row is not None and row.retry_at is not None and row.reason in self.world.facts[bot.id].excuses
        if outcome.clean and row is not None and not waits:
            wrong = oracle.settled_one(self.world, bot, row)
            assert not wrong, wrong

    def _check_mounted(self, bot: Bot, outcome: Outcome) -> None:
        row = self.world.rows().get(bot.id)
        # While something goes on, such as a restart that was begun before, the last word is not spoken.
        if outcome.clean and row is not None and (row.status, row.operation) == ("running", None):
            assert not oracle.old_secrets(self.world, bot)


def _create(platform: Platform, bot: Bot, body: dict[str, Any]) -> str:
    """Do what the API does, with or without a key; returns the id of what was made."""
    if not bot.key:
        return platform.instances.create(bot.owner, body).id
    begun = platform.idempotency.begin(bot.owner, CALL, bot.key, {"name": bot.name})
    if isinstance(begun, FirstAnswer):
        return begun.body
    try:
        made = platform.instances.create(bot.owner, body, once=begun).id
    except ClawDeployError:
        platform.idempotency.release(begun)
        raise
    with suppress(DatabaseUnavailable):
        platform.idempotency.finish(begun, FirstAnswer(201, made, None))
    return made


def _but(bot: Bot, rows: dict[str, Any]) -> dict[str, Any]:
    """Return all rows but one, as they are stored."""
    return {each: row.__data__ for each, row in rows.items() if each != bot.id}
