"""What has to be true: the table of docs/architecture.md, written once more, and the invariants."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from clawdeploy.core.contracts import ContainerState, Status, Wish
from clawdeploy.core.reasons import SENTENCES
from clawdeploy.plugins.memory_runtime.engine import ALIVE, MemoryContainer
from tests.core.machine.world import PORTS, Facts, World

Said = tuple[str, str]

MISSING: Said = ("error", "container_missing")
STOPPED: Said = ("stopped", "")
SETTLED = ("running", "stopped", "error")


@dataclass
class Bot:
    """What an owner was told about one of its bots.

    ``wishes`` are what it may have been asked for last: more than one when an answer was lost. ``secrets`` are by field
    the values that may be stored. ``uncertain``: nobody knows whether it was made. ``version`` counts what was asked.
    """

    name: str
    owner: str
    key: str = ""
    id: str = ""
    uncertain: bool = True
    wishes: set[Wish] = field(default_factory=lambda: {Wish.RUN})
    secrets: dict[str, set[str | None]] = field(default_factory=dict)
    version: int = 0

    @property
    def deleted(self) -> bool:
        """Whether its owner was told that it is deleted, or will be."""
        return self.wishes == {Wish.DELETE}


def expected(wish: Wish, container: MemoryContainer | None, facts: Facts, has_id: bool) -> set[Said]:
    """Return what may be said of an instance that nobody works on. Empty: it must not be in this state at all."""
    if container is None:
        return _without_container(wish, facts, has_id)
    state = container.state
    if wish is Wish.STOP and state in ALIVE and facts.started_by != "hand":
        return set()
    if state is ContainerState.RUNNING:
        if facts.mute:
            return {("error", "unhealthy"), ("error", "not_ready")}
        return {("running", "started_outside" if wish is Wish.STOP else "")}
    if state is ContainerState.PAUSED:
        return {("stopped", "paused_outside")}
    loop = {("error", "out_of_memory" if container.out_of_memory else "crash_loop")}
    if state is ContainerState.RESTARTING:
        # One that its owner wishes to run is held back.
        return loop | {("error", "crashed")} if wish is Wish.STOP else set()
    if wish is Wish.STOP:
        return {STOPPED}
    # What an engine refused to start is tried again and has come up by now, but for one that was never started: that
    # waits for its owner, as if it had not been made.
    never_ran = _failed(facts) if state is ContainerState.CREATED else set()
    return _ended(container, facts) | never_ran | (loop if facts.sick else set())


def _without_container(wish: Wish, facts: Facts, has_id: bool) -> set[Said]:
    if wish is Wish.STOP:
        if facts.vanished and not facts.unheard_of:
            return {MISSING}
        return {STOPPED} | ({MISSING} if has_id else set())
    return _failed(facts) | ({MISSING} if facts.vanished else set())


def _ended(container: MemoryContainer, facts: Facts) -> set[Said]:
    by_hand = facts.ended_by == "hand" or (facts.ended_by == "engine" and facts.told_by_hand)
    if by_hand:
        return {("stopped", "stopped_outside")}
    return {"crash": {("error", "crashed")}, "memory": {("error", "out_of_memory")}}.get(facts.ended_by, set())


def _failed(facts: Facts) -> set[Said]:
    return {("error", reason) for reason in facts.excuses if reason in SENTENCES}


def always(world: World, bots: list[Bot], rows: dict[str, Any]) -> list[str]:
    """Return which promises that hold at every moment are broken."""
    wrong = list(world.broken)
    names = Counter(row.name for row in rows.values())
    wrong += [f"{name} was made {count} times" for name, count in names.items() if count > 1]
    ports = [row.host_port for row in rows.values() if row.host_port is not None]
    if len(ports) != len(set(ports)) or not all(PORTS[0] <= port <= PORTS[1] for port in ports):
        wrong.append(f"ports {ports}")
    for bot in bots:
        wrong += [f"{bot.name}: {said}" for said in _always(bot, rows.get(bot.id), world)]
    return wrong


def _always(bot: Bot, row: Any, world: World) -> list[str]:
    if row is None:
        maybe_gone = bot.uncertain or Wish.DELETE in bot.wishes
        return [] if maybe_gone else ["it was acknowledged and is lost"]
    wrong = []
    if row.owner != bot.owner or row.name != bot.name:
        wrong.append("it is somebody else's now")
    if row.status not in [status.value for status in Status]:
        wrong.append(f"status {row.status}")
    if row.reason not in SENTENCES or (row.reason and not row.detail):
        wrong.append(f"reason {row.reason!r} with the sentence {row.detail!r}")
    if row.status == Status.ERROR and not row.reason:
        wrong.append("an error without a reason")
    if Wish(row.wish) not in bot.wishes:
        wrong.append(f"it was asked to {sorted(bot.wishes)}, but {row.wish} is wished")
    if bot.deleted and row.status != Status.DELETED:
        wrong.append("its owner deleted it and can still see it")
    return wrong


def settled(world: World, bots: list[Bot], rows: dict[str, Any]) -> list[str]:
    """Return which promises are broken when all faults are mended and much time has passed."""
    wrong = always(world, bots, rows)
    engine = world.memory.engine
    left = [*engine.containers, *(key[1] for key in engine.volumes), *(key[1] for key in engine.secrets)]
    wrong += [f"an orphan of {each}" for each in sorted(set(left) - set(rows) - world.too_late)]
    wrong += [f"nobody knows of {row.id}" for row in rows.values() if row.id not in [bot.id for bot in bots]]
    for bot in bots:
        if row := rows.get(bot.id):
            wrong += [f"{bot.name}: {said}" for said in settled_one(world, bot, row)]
    wrong += [said for row in rows.values() for said in told(world, row)]
    runs = [bot for bot in bots if bot.id in rows and (rows[bot.id].status, rows[bot.id].wish) == ("running", Wish.RUN)]
    wrong += [said for bot in runs for said in old_secrets(world, bot)]
    return wrong


def old_secrets(world: World, bot: Bot) -> list[str]:
    """Return which secrets a bot that runs has that are not those which are stored."""
    if bot.id not in world.memory.engine.containers:
        # It runs as far as anybody knows.
        return []
    has = mounted(world, bot.id)
    return [
        f"{bot.name} has {has} for {field}, of {values}"
        for field, values in bot.secrets.items()
        if has.get(f"/run/{field}") not in values
    ]


def settled_one(world: World, bot: Bot, row: Any) -> list[str]:
    """Return which promises are broken for a bot that nobody works on."""
    # The claim of a process that died is only remembered: it lapsed by itself.
    claimed = row.claim is not None and row.claim_until > world.clock()
    if row.operation or claimed or row.status not in SETTLED:
        return [f"it is stuck: {row.status} {row.reason}, operation {row.operation}, claim {row.claim}"]
    facts, container = world.facts[bot.id], world.memory.engine.containers.get(bot.id)
    wrong = []
    may_be = expected(Wish(row.wish), container, facts, row.container_id is not None)
    if (row.status, row.reason) not in may_be:
        seen = "no container" if container is None else f"{container.state.value}, exit code {container.exit_code}"
        wrong.append(f"{row.status} {row.reason} with wish {row.wish}; {seen}, {facts}: expected {may_be}")
    if row.retry_at is not None and not facts.sick:
        wrong.append(f"it is to be brought back at {row.retry_at} and is not")
    if container is not None and row.made_from != container.spec.fixed:
        wrong.append("its container was made from something else than is recorded")
    if container is not None and row.container_id != container.id:
        wrong.append("another container than the one that there is")
    return wrong


def told(world: World, row: Any) -> list[str]:
    """Return whether the newest entry of an owner's activity says something else than the row."""
    entry = world.tables.activity
    with world.looking.reading():
        # That it ended and its engine started it again is told as well; the state is the same before and after.
        mended = entry.detail.endswith("Docker started it again.")
        states = entry.select().where(entry.instance_id == row.id, entry.kind == "state", ~mended)
        newest = states.order_by(entry.id.desc()).first()
    if newest is None or (newest.what, newest.reason) == (row.status, row.reason):
        return []
    return [f"{row.name}: activity ends with {newest.what} {newest.reason}, but it is {row.status} {row.reason}"]


def secrets(bot: Bot, stored: Collection[str]) -> list[str]:
    """Return which fields of a bot are set and should not be, or the other way round."""
    return [
        f"{bot.name}: {field} is {'set' if field in stored else 'not set'}, of {values}"
        for field, values in bot.secrets.items()
        if (field in stored) not in {value is not None for value in values}
    ]


def ports_left(world: World, rows: dict[str, Any]) -> int:
    """Return how many ports neither a bot nor another program has."""
    held = {row.host_port for row in rows.values()} | world.memory.engine.foreign_ports
    return len([port for port in range(PORTS[0], PORTS[1] + 1) if port not in held])


def mounted(world: World, instance_id: str) -> dict[str, str]:
    """Return what a container has at the paths that it was made with."""
    container = world.memory.engine.containers[instance_id]
    files = [file.path for file in container.spec.secret_files]
    return {path: (world.memory.file(instance_id, path) or b"").decode() for path in files}
