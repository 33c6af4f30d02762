"""A secret that is replaced in the middle of something else reaches the bot, and nothing else is undone."""

import time
from collections.abc import Callable

import pytest

from clawdeploy.core.claims import RECOVERY_PATIENCE
from clawdeploy.core.contracts import Bot, ContainerSpec, ContainerState, Operation, Status
from clawdeploy.core.errors import EngineError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime, eventually
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from tests.core.plain_blueprint import Journal, Plain
from tests.core.surroundings import OWNER, TELEGRAM_TOKEN, Surroundings, made
from tests.core.test_replacing_secrets import change, given, sync
from tests.platforms import GOOD

WITH_BOTH = {"/run/apiKey": "sk-1", "/run/botToken": TELEGRAM_TOKEN}


class Once:
    """Does something at the n-th time that it is told of, and says whether it did."""

    def __init__(self) -> None:
        self.left = 0
        self.happens: Callable[[], object] = lambda: None

    def told(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.happens()


class Between(Journal):
    """Does something just before one call."""

    def __init__(self, inner: object, call: str) -> None:
        super().__init__(inner)
        self.call = call
        self.once = Once()

    def before(self, call: str) -> None:
        super().before(call)
        if call == self.call:
            self.once.told()


class Asked(Plain):
    """Does something while it is asked, which is after the secrets were read."""

    def __init__(self) -> None:
        self.once = Once()

    def container(self, bot: Bot) -> ContainerSpec:
        self.once.told()
        return super().container(bot)


def end_with_engine(surroundings: Surroundings, bot: str) -> None:
    with surroundings.memory.engine.lock:
        container = surroundings.memory.engine.containers[bot]
        container.state, container.exit_code, container.ended_with_engine = ContainerState.EXITED, 137, True


def settles(surroundings: Surroundings, platform: Platform, bot: str) -> None:
    sync(platform)
    sync(platform)
    surroundings.reaches(bot, status="running", operation=None, secrets_unread=False)


@pytest.mark.parametrize(("call", "n"), [("observe", 1), ("observe", 2), ("observe", 3), ("start", 1)])
@pytest.mark.parametrize(
    ("body", "files"), [({"botToken": TELEGRAM_TOKEN}, WITH_BOTH), ({"apiKey": None}, {})], ids=["added", "removed"]
)
def test_one_that_is_brought_back_is_made_anew_for_it(
    surroundings: Surroundings, call: str, n: int, body: dict[str, str | None], files: dict[str, str]
) -> None:
    runtime = Between(surroundings.memory, call)
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    end_with_engine(surroundings, bot)
    took = []

    def change_it() -> None:
        began = time.monotonic()
        platform.instances.patch(OWNER, bot, body, wait=0)
        took.append(time.monotonic() - began)

    runtime.once.happens = change_it
    runtime.once.left = n
    settles(surroundings, platform, bot)
    assert len(took) == 1
    assert took[0] < RECOVERY_PATIENCE.total_seconds() / 2, "nothing has to end before a secret is stored"
    assert given(surroundings, bot) == files


@pytest.mark.parametrize("n", [1, 2])
def test_one_that_is_replaced_while_it_is_read_is_read_once_more(surroundings: Surroundings, n: int) -> None:
    blueprint = Asked()
    platform = surroundings.open(plugins={"plain": blueprint})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    blueprint.once.happens = lambda: change(platform, bot, TELEGRAM_TOKEN, "botToken")
    blueprint.once.left = n
    change(platform, bot, "sk-2")
    platform.instances.restart(OWNER, bot)
    settles(surroundings, platform, bot)
    assert blueprint.once.left <= 0
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2", "/run/botToken": TELEGRAM_TOKEN}


def test_one_that_was_stopped_while_it_starts_is_made_anew_for_it(surroundings: Surroundings) -> None:
    runtime = Between(surroundings.memory, "probe")
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")

    def stopped_and_changed() -> None:
        surroundings.memory.ready = False
        surroundings.memory.engine.containers[bot].state = ContainerState.EXITED
        platform.instances.patch(OWNER, bot, {"botToken": TELEGRAM_TOKEN}, wait=0)

    runtime.once.happens = stopped_and_changed
    runtime.once.left = 2
    platform.instances.restart(OWNER, bot, wait=0)
    assert eventually(lambda: runtime.done[-2:] == ["create", "start"] and runtime.once.left < 0, within=20.0), (
        runtime.done
    )
    surroundings.memory.ready = True
    surroundings.reaches(bot, status="running", operation=None)
    settles(surroundings, platform, bot)
    assert runtime.once.left <= 0
    assert given(surroundings, bot) == WITH_BOTH


def test_one_that_could_not_be_stopped_just_before_gets_it(surroundings: Surroundings) -> None:
    """It goes on, and nothing says when it is tried again."""
    runtime = BrokenRuntime(surroundings.memory, calls=("stop",), error=RuntimeFailure("It cannot be stopped."))
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    platform.instances.restart(OWNER, bot)
    assert platform.instances.get(OWNER, bot).reason == "runtime_failure"
    runtime.mend()
    platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    settles(surroundings, platform, bot)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


def test_of_one_that_was_never_made_nobody_says_that_it_has_old_secrets(surroundings: Surroundings) -> None:
    class NoImage(WrappedRuntime):
        def before(self, call: str) -> None:
            if call == "create":
                [row] = platform.instances.list(OWNER).instances
                change(platform, row.id, "sk-2")
                raise RuntimeFailure("It cannot be made.")

    platform = surroundings.open(NoImage(surroundings.memory), plugins={"plain": Plain()})
    bot = platform.instances.create(OWNER, {**GOOD, "blueprint": "plain", "apiKey": "sk-1"})
    assert (bot.status, bot.detail) == (Status.ERROR, "It cannot be made.")


def test_one_that_its_owner_has_stopped_in_between_stays_stopped(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = surroundings.open(plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    differing = platform.instances._store.differing

    def stopped_meanwhile(*asked: object) -> object:
        platform.instances.stop(OWNER, bot)
        # It only passes on what the product gives it, whatever that is.
        return differing(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(platform.instances._store, "differing", stopped_meanwhile)
    after = platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    assert (after.status, after.operation) == (Status.STOPPED, None)
    monkeypatch.undo()
    platform.instances.start(OWNER, bot)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


@pytest.mark.parametrize("error", [RuntimeUnavailable("It is away."), RuntimeFailure("It cannot be stopped.")])
def test_one_whose_stop_has_yet_to_be_carried_out_is_stopped(surroundings: Surroundings, error: EngineError) -> None:
    runtime = BrokenRuntime(surroundings.memory, calls=("stop",), error=error)
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    with pytest.raises(type(error)):
        platform.instances.stop(OWNER, bot)
    after = platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    assert (after.status, after.operation) == (Status.RUNNING, Operation.STOP)
    runtime.mend()
    sync(platform)
    assert platform.instances.get(OWNER, bot).status is Status.STOPPED
    assert surroundings.memory.observe(bot).state is ContainerState.EXITED
    platform.instances.start(OWNER, bot)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


def test_a_process_that_froze_before_it_gave_the_old_ones_does_not_leave_them(surroundings: Surroundings) -> None:
    frozen = Between(surroundings.memory, "start")
    late = surroundings.open(frozen, plugins={"plain": Plain()})
    other = surroundings.open(plugins={"plain": Plain()})
    bot = made(late, blueprint="plain", apiKey="sk-1")

    def others_go_on() -> None:
        surroundings.set_row(bot, claim=None, claim_until=None)
        sync(other)
        assert other.instances.patch(OWNER, bot, {"apiKey": "sk-2"}).status is Status.RUNNING
        assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}

    frozen.once.happens = others_go_on
    frozen.once.left = 1
    late.instances.restart(OWNER, bot)
    settles(surroundings, late, bot)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}
