"""Who replaces a secret may do so because others know the old one: a bot that runs with it is restarted."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from clawdeploy.core.contracts import Bot, ContainerSpec, ContainerState, Operation, Secret, Status
from clawdeploy.core.errors import EngineError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import BrokenRuntime
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from tests.core.plain_blueprint import Journal, Plain, mounted
from tests.core.surroundings import OWNER, TELEGRAM_TOKEN, Clock, Surroundings, made
from tests.platforms import GOOD

PATIENCE = 20
AFRESH = ["stop", "start"]
ANEW = ["stop", "remove", "create", "start"]


@pytest.fixture
def platform(plain_platform: Platform) -> Platform:
    return plain_platform


@pytest.fixture
def bot(platform: Platform, journal: Journal) -> str:
    instance_id = made(platform, blueprint="plain", apiKey="sk-1")
    journal.done.clear()
    return instance_id


def sync(platform: Platform) -> None:
    platform.reconciler.sync(patience=PATIENCE)


def given(surroundings: Surroundings, instance_id: str) -> dict[str, str]:
    """Return the secrets that a bot can read."""
    paths = mounted(surroundings, instance_id)
    return {path: (surroundings.memory.file(instance_id, path) or b"").decode() for path in paths}


def change(platform: Platform, instance_id: str, key: str, field: str = "apiKey") -> None:
    """Change a secret as a request does that is cut short before anything is done about it."""
    platform.instances._store.change(OWNER, instance_id, {}, {field: Secret(key)})


def asked(platform: Platform, instance_id: str) -> list[tuple[str, str, str]]:
    """Return who asked for what and why, the latest first."""
    told = platform.instances.activity(OWNER, instance_id)
    return [(one.actor, one.what, one.detail) for one in told if one.kind == "asked"]


@pytest.mark.parametrize(
    ("change", "done", "files"),
    [
        ({"apiKey": "sk-2"}, AFRESH, {"/run/apiKey": "sk-2"}),
        ({"apiKey": None}, ANEW, {}),
        ({"botToken": TELEGRAM_TOKEN}, ANEW, {"/run/apiKey": "sk-1", "/run/botToken": TELEGRAM_TOKEN}),
        ({"apiKey": "sk-2", "status": "running"}, AFRESH, {"/run/apiKey": "sk-2"}),
    ],
)
def test_a_bot_that_runs_is_restarted(
    surroundings: Surroundings,
    platform: Platform,
    journal: Journal,
    bot: str,
    change: dict[str, str | None],
    done: list[str],
    files: dict[str, str],
) -> None:
    before = platform.instances.get(OWNER, bot)
    after = platform.instances.patch(OWNER, bot, change)
    assert (after.status, after.operation, after.host_port) == (Status.RUNNING, None, before.host_port)
    assert journal.done == done
    assert given(surroundings, bot) == files
    sync(platform)
    assert journal.done == done, "once is enough"


def test_it_is_said_why(platform: Platform, bot: str) -> None:
    platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    assert asked(platform, bot)[0] == (OWNER, "restart", "One of its secrets was changed.")


@pytest.mark.parametrize("change", [{"apiKey": "sk-1"}, {"botToken": None}, {"name": "Renamed"}, {}])
def test_nothing_is_disturbed_by_what_changes_no_secret(
    platform: Platform, journal: Journal, bot: str, change: dict[str, str | None]
) -> None:
    assert platform.instances.patch(OWNER, bot, change).status is Status.RUNNING
    sync(platform)
    assert journal.done == []


def test_one_that_is_stopped_gets_it_when_it_starts(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    platform.instances.stop(OWNER, bot)
    journal.done.clear()
    assert platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"}).status is Status.STOPPED
    sync(platform)
    assert journal.done == []
    platform.instances.start(OWNER, bot)
    sync(platform)
    assert journal.done == ["start"]
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


@pytest.mark.parametrize("call", ["observe", "stop", "start"])
def test_while_the_engine_is_away_it_is_stored_and_done_later(
    surroundings: Surroundings, bot: str, call: str, journal: Journal
) -> None:
    runtime = BrokenRuntime(journal, calls=(call,))
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    after = platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    assert (after.operation, after.reason) == (Operation.RESTART, "runtime_unavailable")
    runtime.mend()
    sync(platform)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


@pytest.mark.parametrize("field", ["apiKey", "botToken"])
def test_one_that_is_starting_begins_anew(
    surroundings: Surroundings, platform: Platform, journal: Journal, field: str
) -> None:
    surroundings.memory.ready = False
    bot = platform.instances.create(OWNER, {**GOOD, "blueprint": "plain", "apiKey": "sk-1"}, wait=0).id
    surroundings.reaches(bot, reason="waiting_until_ready", started=True)
    value = "sk-2" if field == "apiKey" else TELEGRAM_TOKEN
    after = platform.instances.patch(OWNER, bot, {field: value, "name": "Renamed"})
    assert (after.operation, after.name) == (Operation.CREATE, "Renamed")
    surroundings.reaches(bot, reason="waiting_until_ready", started=True, secrets_unread=False)
    surroundings.memory.ready = True
    surroundings.reaches(bot, status="running", operation=None)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-1", f"/run/{field}": value}
    assert surroundings.memory.engine.containers[bot].spec.environment == {"NAME": "Renamed"}
    assert journal.done == ["create", "start", *ANEW]


class InBetween(WrappedRuntime):
    """Does something once, just before or just after the engine does what it is asked."""

    moment = ""
    happens: Callable[[], object] = staticmethod(lambda: None)

    def before(self, call: str) -> None:
        if self.moment == call:
            self.moment = ""
            self.happens()


@pytest.mark.parametrize("moment", ["stop", "start", "observe", "probe"])
def test_whenever_it_is_changed_the_bot_ends_up_with_it(surroundings: Surroundings, moment: str) -> None:
    runtime = InBetween(surroundings.memory)
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    runtime.happens = lambda: platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"}, wait=0)
    runtime.moment = moment
    platform.instances.restart(OWNER, bot)
    assert not runtime.moment
    sync(platform)
    surroundings.reaches(bot, status="running", operation=None, secrets_unread=False)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


def test_what_a_process_has_left_is_done_by_the_next_look(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    """As when it was changed in the moment in which an operation ended."""
    change(platform, bot, "sk-2")
    assert platform.instances._store.restless() == [bot]
    platform.reconciler.look([bot], "engine")
    surroundings.reaches(bot, status="running", operation=None, secrets_unread=False)
    assert journal.done == AFRESH
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}
    assert asked(platform, bot)[0] == ("sync", "restart", "One of its secrets was changed.")


def test_one_that_is_held_back_is_tried_at_once(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    surroundings.memory.loop(bot, 3)
    sync(platform)
    held = platform.instances.get(OWNER, bot)
    assert (held.status, held.reason) == (Status.ERROR, "crash_loop")
    journal.done.clear()
    platform.instances.patch(OWNER, bot, {"botToken": TELEGRAM_TOKEN})
    assert platform.instances._store.restless() == [bot]
    sync(platform)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert journal.done == ["remove", "create", "start"]


def test_one_whose_pause_is_over_comes_back_with_it(surroundings: Surroundings, journal: Journal) -> None:
    clock = Clock()
    platform = surroundings.open(journal, plugins={"plain": Plain()}, clock=clock)
    bot = made(platform, blueprint="plain")
    surroundings.memory.loop(bot, 3)
    sync(platform)
    platform.instances.patch(OWNER, bot, {"botToken": TELEGRAM_TOKEN})
    clock.advance(seconds=60)
    sync(platform)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert given(surroundings, bot) == {"/run/botToken": TELEGRAM_TOKEN}


@pytest.mark.parametrize("moment", ["observe", "start", "probe"])
def test_one_that_is_just_being_brought_back_comes_back_with_it(surroundings: Surroundings, moment: str) -> None:
    runtime = InBetween(surroundings.memory)
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain")
    surroundings.memory.end_with_engine()
    runtime.happens = lambda: platform.instances._store.change(OWNER, bot, {}, {"botToken": Secret(TELEGRAM_TOKEN)})
    claim = platform.instances._claims.resume(bot, "sync")
    assert claim
    platform.instances._claims.begin(claim, Operation.RECOVER, "")
    runtime.moment = moment
    sync(platform)
    assert not runtime.moment
    sync(platform)
    surroundings.reaches(bot, status="running", operation=None, secrets_unread=False)
    assert given(surroundings, bot) == {"/run/botToken": TELEGRAM_TOKEN}


def test_one_that_crashes_is_restarted(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    surroundings.memory.loop(bot, 1)
    sync(platform)
    assert platform.instances.get(OWNER, bot).reason == "crashed"
    platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    sync(platform)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert journal.done == AFRESH


def test_one_that_somebody_has_paused_is_left_alone_until_it_goes_on(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    with surroundings.memory.engine.lock:
        surroundings.memory.engine.containers[bot].state = ContainerState.PAUSED
    sync(platform)
    platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    sync(platform)
    assert (platform.instances.get(OWNER, bot).reason, journal.done) == ("paused_outside", [])
    with surroundings.memory.engine.lock:
        surroundings.memory.engine.containers[bot].state = ContainerState.RUNNING
    sync(platform)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert journal.done == AFRESH


def test_one_whose_new_container_cannot_be_made_now_is_made_later(
    surroundings: Surroundings, journal: Journal, bot: str
) -> None:
    """It needs a file for a secret that it did not have, and its image is not here while its registry is away."""
    clock = Clock()
    platform = surroundings.open(journal, plugins={"plain": Plain()}, clock=clock)
    surroundings.memory.engine.images = set()
    failed = platform.instances.patch(OWNER, bot, {"botToken": TELEGRAM_TOKEN})
    assert (failed.status, failed.reason, failed.container_id) == (Status.ERROR, "image_unavailable", None)
    assert "It is started again 10 seconds later; Stop ends that." in failed.detail
    sync(platform)
    assert platform.instances.get(OWNER, bot).reason == "image_unavailable"
    surroundings.memory.engine.images = None
    clock.advance(seconds=11)
    sync(platform)
    sync(platform)
    assert platform.instances.get(OWNER, bot).status is Status.RUNNING
    assert given(surroundings, bot) == {"/run/apiKey": "sk-1", "/run/botToken": TELEGRAM_TOKEN}


@pytest.mark.parametrize("once_more", [False, True])
def test_one_that_is_to_be_stopped_and_somebody_starts_is_left_alone_and_said_to_have_the_old_one(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str, once_more: bool
) -> None:
    """Until its owner restarts it, or gives the same secret once more."""
    platform.instances.stop(OWNER, bot)
    platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    journal.done.clear()
    with surroundings.memory.engine.lock:
        surroundings.memory.engine.containers[bot].state = ContainerState.RUNNING
    sync(platform)
    seen = platform.instances.get(OWNER, bot)
    assert (seen.status, seen.reason, journal.done) == (Status.RUNNING, "started_outside", [])
    assert given(surroundings, bot) == {"/run/apiKey": "sk-1"}
    assert "after one of its secrets was changed: Restart gives it the new one. Stop ends it." in seen.detail
    instances = platform.instances
    seen = instances.patch(OWNER, bot, {"apiKey": "sk-2"}) if once_more else instances.restart(OWNER, bot)
    assert (seen.status, seen.reason) == (Status.RUNNING, "")
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


def test_one_that_was_removed_is_not_made_anew_for_that(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    surroundings.memory.vanish(bot)
    sync(platform)
    platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
    sync(platform)
    assert (platform.instances.get(OWNER, bot).reason, journal.done) == ("container_missing", [])


def test_a_database_of_before_that_was_known_disturbs_nothing(
    surroundings: Surroundings, platform: Platform, journal: Journal, bot: str
) -> None:
    platform.close()
    looking = surroundings.looking()
    with looking.transaction():
        looking.peewee.execute_sql("ALTER TABLE instance DROP COLUMN secrets_unread")
        looking.peewee.execute_sql("DELETE FROM schema_migration WHERE name = '0015_secrets_unread'")
    updated = surroundings.open(journal, plugins={"plain": Plain()})
    assert updated.applied_migrations == ["0015_secrets_unread"]
    sync(updated)
    assert journal.done == []
    assert updated.instances.patch(OWNER, bot, {"apiKey": "sk-2"}).status is Status.RUNNING
    assert journal.done == AFRESH


def test_a_blueprint_that_never_says_the_same_twice_ends(surroundings: Surroundings, journal: Journal) -> None:
    class Fickle(Plain):
        turn = 0

        def container(self, bot: Bot) -> ContainerSpec:
            self.turn += 1
            return replace(super().container(bot), environment={"TURN": str(self.turn)})

    platform = surroundings.open(journal, plugins={"fickle": Fickle()})
    surroundings.memory.ready = False
    bot = platform.instances.create(OWNER, {**GOOD, "blueprint": "plain"}, wait=0).id
    surroundings.reaches(bot, reason="waiting_until_ready", started=True)
    platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"}, wait=0)
    surroundings.memory.ready = True
    surroundings.reaches(bot, status="running", operation=None)
    assert journal.done == ["create", "start", *ANEW]
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


def test_one_that_the_engine_does_not_stop_runs_on_and_is_tried_until_it_is_stopped(
    surroundings: Surroundings, journal: Journal
) -> None:
    runtime = BrokenRuntime(journal, calls=("stop",), error=RuntimeFailure("It cannot be stopped."))
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    for _ in range(3):
        after = platform.instances.patch(OWNER, bot, {"apiKey": "sk-2"})
        assert (after.status, after.operation, after.reason) == (Status.RUNNING, Operation.RESTART, "runtime_failure")
        assert "It cannot be stopped." in after.detail
        sync(platform)
    runtime.mend()
    sync(platform)
    after = platform.instances.get(OWNER, bot)
    assert (after.status, after.operation) == (Status.RUNNING, None)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}


@pytest.mark.parametrize("error", [RuntimeUnavailable("It is away."), RuntimeFailure("It cannot be stopped.")])
def test_one_that_a_sync_restarts_and_the_engine_does_not_stop_is_said_to_run(
    surroundings: Surroundings, journal: Journal, error: EngineError
) -> None:
    runtime = BrokenRuntime(journal, calls=("stop",), error=error)
    platform = surroundings.open(runtime, plugins={"plain": Plain()})
    bot = made(platform, blueprint="plain", apiKey="sk-1")
    change(platform, bot, "sk-2")
    for n in range(2):
        begun = [] if n else [{"id": bot, "before": "running", "after": "running", "reason": "starting"}]
        assert platform.reconciler.sync(patience=PATIENCE) == begun
        after = platform.instances.get(OWNER, bot)
        assert (after.status, after.operation, after.reason) == (Status.RUNNING, Operation.RESTART, error.code)
    runtime.mend()
    sync(platform)
    after = platform.instances.get(OWNER, bot)
    assert (after.status, after.reason, after.operation) == (Status.RUNNING, "", None)
    assert given(surroundings, bot) == {"/run/apiKey": "sk-2"}
