"""The machine: what can happen, one thing after another, and when it is looked whether all promises are kept."""

import sys
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clawdeploy.core.contracts import ContainerState
from clawdeploy.core.errors import InstanceNotFound
from clawdeploy.core.platform import Platform
from tests.core.machine import oracle
from tests.core.machine.happenings import HAPPENINGS, happen
from tests.core.machine.people import People
from tests.core.machine.world import World
from tests.core.machine.wrongs import AROUND, ASKED, WRONG, Wrong
from tests.core.surroundings import TELEGRAM_TOKEN

OWNERS = ("ann", "bob")
MOST_BOTS = 4
RARELY = 8
"""Steps between two times that everything settles, at least: it takes as long as ten others."""
LONGEST_BACK_OFF = 301.0
WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
"""Which bot, counted from the newest: most should happen to few, so that each goes through much."""
WHERE = st.integers(0, 1)
SECRETS = {"apiKey": [None, "1", "2"], "botToken": [None, TELEGRAM_TOKEN]}

OWNER = st.sampled_from(OWNERS)
KEY = st.sampled_from(["", "", "k-1"])
CHANGE = st.sampled_from([(field, value) for field, values in SECRETS.items() for value in values])

ASK = st.tuples(st.just("ask"), WHICH, st.sampled_from(ASKED), WHERE, WRONG)
CONTAINER = st.tuples(st.just("container"), WHICH, st.sampled_from(list(HAPPENINGS)))
WATCH = st.tuples(st.just("watch"), st.sampled_from(["sync", "sync", "look", "resume"]), WHERE, WRONG)
AROUND_ALL = st.tuples(st.just("around"), st.sampled_from(list(AROUND)), WHERE)
PATCH = st.tuples(st.just("patch"), WHICH, CHANGE, WHERE, WRONG)
CREATE = st.tuples(st.just("create"), OWNER, WHERE, KEY, st.sampled_from([None, "1"]), WRONG)

STEPS = st.one_of(ASK, CONTAINER, WATCH, AROUND_ALL, st.one_of(PATCH, CREATE, ASK, CONTAINER))
"""What can happen next. One rule for all of it: Hypothesis leaves whole rules out of many runs."""


class Machine(RuleBasedStateMachine):
    """People, operators, bots, engines and databases, each of which does anything at any time."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()
        self.people = People(self.world)
        self._steps = 0

    @initialize(secret=st.sampled_from([None, "1"]))
    def begin(self, secret: str | None) -> None:
        """Begin with a bot of each owner, because nothing can happen without one."""
        for owner in OWNERS:
            self.people.create(self.people.newcomer(owner, "", secret), 0)

    @rule(step=STEPS)
    def happens(self, step: tuple[Any, ...]) -> None:
        what, *rest = step
        getattr(self, f"_{what}")(*rest)

    def _create(self, owner: str, where: int, key: str, secret: str | None, wrong: Wrong) -> None:
        """Make a bot; what was sent before with the same key is not made once more."""
        if key or len(self.people.alive) < MOST_BOTS:
            bot = self.people.newcomer(owner, key, secret)
            self.people.arm(wrong)
            self.people.create(bot, where)

    def _ask(self, which: int, call: str, where: int, wrong: Wrong) -> None:
        self.people.arm(wrong)
        self.people.ask(self.people.bot(which), call, where)

    def _patch(self, which: int, change: tuple[str, str | None], where: int, wrong: Wrong) -> None:
        self.people.arm(wrong)
        self.people.patch(self.people.bot(which), *change, where)

    def _container(self, which: int, what: str) -> None:
        happen(self.world, self.people.bot(which).id, what)

    def _watch(self, what: str, where: int, wrong: Wrong) -> None:
        """Do what the watch does from time to time."""
        ids = [bot.id for bot in self.people.bots if bot.id]

        def do(platform: Platform) -> object:
            reconciler = platform.reconciler
            return reconciler.look(ids) if what == "look" else getattr(reconciler, what)()

        self.people.arm(wrong)
        outcome = self.people.call(where, do)
        assert outcome.error is None or outcome.struck, outcome.error

    def _around(self, what: str, where: int) -> None:
        AROUND[what](self.world, where)

    @invariant()
    def promises_are_kept(self) -> None:
        self._steps += 1
        rows = self.world.rows()
        self.people.learn(rows)
        wrong = oracle.always(self.world, self.people.bots, rows)
        assert not wrong, wrong

    @precondition(lambda self: self._steps >= RARELY)
    @rule()
    def settle(self) -> None:
        """Mend everything, let much time pass, and look whether all is as it was promised."""
        self._steps = 0
        self.world.mend()
        for instance_id in list(self.world.memory.engine.containers):
            happen(self.world, instance_id, "comes up")
        for seconds in (9.0, LONGEST_BACK_OFF, 6.0, 6.0):
            self.world.clock.advance(seconds)
            self._crash_on()
            self._pass()
        before = _stored(self.world.rows())
        self._pass()
        rows = self.world.rows()
        assert before == _stored(rows), "it does not come to rest"
        self.people.learn(rows)
        wrong = oracle.settled(self.world, self.people.bots, rows)
        wrong += [said for owner in OWNERS for said in self._seen_by(owner, rows)]
        assert not wrong, wrong
        self.people.settled(rows)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.settle()
                self._everything_works()
        finally:
            self.world.end()

    def _crash_on(self) -> None:
        memory = self.world.memory
        for instance_id, container in memory.engine.containers.items():
            if container.state is ContainerState.RESTARTING:
                # Whatever is not stopped crashes once more, and the engine counts on.
                memory.loop(instance_id, container.restart_count + 1, container.exit_code or 0, container.out_of_memory)

    def _pass(self) -> None:
        reconciler = self.world.processes[0].platform.reconciler
        reconciler.resume()
        reconciler.sync()

    def _seen_by(self, owner: str, rows: dict[str, Any]) -> list[str]:
        """Look with an owner's eyes: all of its own is there, and nothing of anybody else can be touched."""
        instances = self.world.processes[0].platform.instances
        own = {instance.id: instance for instance in instances.list(owner).instances}
        wrong = [] if set(own) == {each for each in rows if rows[each].owner == owner} else [f"{owner} sees {set(own)}"]
        for bot in self.people.bots:
            if bot.id in own:
                wrong += oracle.secrets(bot, own[bot.id].secrets_set)
            elif bot.id:
                for do in (instances.get, instances.stop, instances.retry, instances.delete):
                    try:
                        do(owner, bot.id)
                        wrong.append(f"{owner} may {do.__name__} {bot.name}")
                    except InstanceNotFound:
                        pass
        return wrong + ([] if _stored(self.world.rows()) == _stored(rows) else [f"{owner} changed others"])

    def _everything_works(self) -> None:
        """Whatever has happened: there is a port for each bot that there is room for, and all calls work."""
        instances = self.world.processes[0].platform.instances
        engine = self.world.memory.engine
        self.world.newcomers_are_mute = False
        for _ in range(oracle.ports_left(self.world, self.world.rows())):
            made = instances.create("ann", {"name": "last", "model": "gpt-5.2", "channel": "telegram"})
            assert made.status == "running", made
            assert instances.stop("ann", made.id).status == "stopped"
            assert instances.start("ann", made.id).status == "running"
            assert "started" in instances.logs("ann", made.id, 10)
        for instance in instances.list("ann").instances:
            instances.delete("ann", instance.id)
            assert instance.id not in engine.containers
            assert instance.id not in self.world.rows()


def _stored(rows: dict[str, Any]) -> dict[str, Any]:
    return {each: row.__data__ for each, row in rows.items()}
