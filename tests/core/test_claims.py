"""Claims: of all threads and processes one at a time works on an instance."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from clawdeploy.core import claim_keeper
from clawdeploy.core.claim_keeper import GOOD_FOR, LIFETIME, Claim, ClaimLost
from clawdeploy.core.claims import Claims
from clawdeploy.core.contracts import Operation, Status, Wish
from clawdeploy.core.errors import InstanceNotFound, NoContainer, OperationInProgress, RuntimeUnavailable
from clawdeploy.core.events import StatusChanged
from clawdeploy.core.platform import Platform
from clawdeploy.core.store import InstanceStore
from clawdeploy.core.testing import BrokenRuntime, SlowRuntime, eventually
from tests.core.plain_blueprint import Journal
from tests.core.surroundings import OWNER, STRANGER, Clock, Surroundings, made
from tests.platforms import GOOD

STOP, START, DELETE = (
    (Wish.STOP, Operation.STOP),
    (Wish.RUN, Operation.START),
    (Wish.DELETE, Operation.DELETE),
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(surroundings: Surroundings, clock: Clock) -> Platform:
    return surroundings.open(clock=clock)


@pytest.fixture
def claims(surroundings: Surroundings, platform: Platform, clock: Clock) -> Claims:
    """Claims of another process than the platform's own."""
    return claims_at(surroundings, clock)


def claims_at(surroundings: Surroundings, clock: Callable[[], datetime], renewed_every: float = 5.0) -> Claims:
    vault = surroundings.vault()
    store = InstanceStore(surroundings.looking(), surroundings.rows, vault, clock)
    return Claims(store, surroundings.witness.observe, renewed_every)


@pytest.fixture
def instance_id(platform: Platform) -> str:
    return made(platform)


def take(claims: Claims, instance_id: str, wished: tuple[Wish, Operation]) -> Claim:
    return claims.take(OWNER, instance_id, *wished, with_container=True)


def test_a_claim_writes_the_wish_and_says_what_goes_on(
    surroundings: Surroundings, claims: Claims, instance_id: str
) -> None:
    claim = take(claims, instance_id, STOP)
    row = surroundings.row(instance_id)
    assert (row.wish, row.operation, row.reason, row.status) == ("stop", "stop", "stopping", "running")
    assert row.claim == claim.token
    assert (claim.actor, claim.resumed) == (OWNER, False)


@pytest.mark.parametrize("second", [STOP, START, DELETE])
def test_a_second_operation_is_told_what_goes_on(
    claims: Claims, instance_id: str, second: tuple[Wish, Operation]
) -> None:
    take(claims, instance_id, STOP)
    with pytest.raises(OperationInProgress) as refused:
        take(claims, instance_id, second)
    assert "being stopped" in refused.value.detail


def test_what_was_wrong_before_is_not_taken_for_what_goes_on(
    surroundings: Surroundings, claims: Claims, instance_id: str
) -> None:
    surroundings.set_row(instance_id, status="error", reason="crashed", detail="It ended by itself.")
    take(claims, instance_id, START)
    with pytest.raises(OperationInProgress) as refused:
        take(claims, instance_id, STOP)
    assert "The container is starting." in refused.value.detail


def test_a_comparison_gives_way(claims: Claims, instance_id: str) -> None:
    comparing = claims.resume(instance_id, "sync")
    assert comparing
    assert take(claims, instance_id, STOP)
    with pytest.raises(ClaimLost):
        claims.save(comparing, status=Status.ERROR)


def test_of_many_at_once_one_gets_it(surroundings: Surroundings, claims: Claims, instance_id: str) -> None:
    def attempt(_: int) -> Claim | None:
        try:
            return take(claims, instance_id, STOP)
        except OperationInProgress:
            return None

    with ThreadPoolExecutor(8) as threads:
        taken = [claim for claim in threads.map(attempt, range(24)) if claim]
    assert [claim.token for claim in taken] == [surroundings.row(instance_id).claim]


def test_a_claim_lapses_by_itself(claims: Claims, instance_id: str, clock: Clock) -> None:
    first = take(claims, instance_id, STOP)
    clock.advance(seconds=LIFETIME.total_seconds() - 1)
    assert claims.resume(instance_id, "sync") is None
    clock.advance(seconds=2)
    second = claims.resume(instance_id, "sync")
    assert second
    assert second.resumed
    for write in (
        lambda: claims.save(first, reason="stopping"),
        lambda: claims.finish(first, status=Status.STOPPED),
        lambda: claims.forget(first),
        lambda: claims.row(first),
        lambda: claims.move_port(first, (10000, 10010), ()),
    ):
        with pytest.raises(ClaimLost):
            write()
    claims.release(first)
    assert claims.row(second).operation == "stop", "a lost claim can neither write nor give back another's"


def test_a_claim_of_before_the_clock_was_put_back_has_lapsed(claims: Claims, instance_id: str, clock: Clock) -> None:
    take(claims, instance_id, STOP)
    clock.advance(seconds=-LIFETIME.total_seconds() + 1)
    assert claims.resume(instance_id, "sync") is None, "clocks differ a little"
    clock.advance(hours=-1)
    assert claims.resume(instance_id, "sync")


@pytest.mark.parametrize("reason", ["pulling_image", "waiting_until_ready"])
def test_another_wish_takes_over_from_a_mere_watcher(
    surroundings: Surroundings, claims: Claims, instance_id: str, reason: str
) -> None:
    first = take(claims, instance_id, START)
    claims.save(first, reason=reason, detail="Watching.")
    with pytest.raises(OperationInProgress):
        take(claims, instance_id, START)
    second = take(claims, instance_id, STOP)
    with pytest.raises(ClaimLost):
        claims.row(first)
    assert surroundings.row(instance_id).claim == second.token
    with pytest.raises(OperationInProgress):
        take(claims, instance_id, START)


@pytest.mark.parametrize("reason", ["creating_container", "starting", "stopping"])
def test_nobody_takes_over_from_one_who_acts(claims: Claims, instance_id: str, reason: str) -> None:
    first = take(claims, instance_id, START)
    claims.save(first, reason=reason)
    for wished in (STOP, DELETE, START):
        with pytest.raises(OperationInProgress):
            take(claims, instance_id, wished)


def test_a_stranger_can_claim_nothing(claims: Claims, instance_id: str) -> None:
    with pytest.raises(InstanceNotFound):
        claims.take(STRANGER, instance_id, *STOP, with_container=False)


def test_what_is_deleted_can_be_claimed_by_nobody_but_a_sync(claims: Claims, instance_id: str) -> None:
    claims.release(take(claims, instance_id, DELETE))
    for wished in (STOP, START):
        with pytest.raises(InstanceNotFound):
            take(claims, instance_id, wished)
    assert claims.resume(instance_id, "sync")


def test_what_could_not_be_deleted_can_be_deleted_again(claims: Claims, instance_id: str) -> None:
    first = take(claims, instance_id, DELETE)
    with pytest.raises(InstanceNotFound):
        take(claims, instance_id, DELETE)
    claims.release(first)
    assert take(claims, instance_id, DELETE)


def test_a_delete_wins_against_whoever_looked_before(
    surroundings: Surroundings, platform: Platform, clock: Clock, instance_id: str
) -> None:
    """A start that found the instance, and is overtaken by a whole delete before it gets its claim."""
    deleting = surroundings.open(BrokenRuntime(surroundings.memory))
    overtaken = False

    def slow_clock() -> datetime:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            with suppress(RuntimeUnavailable):
                deleting.instances.delete(OWNER, instance_id)
        return clock()

    with pytest.raises(InstanceNotFound):
        take(claims_at(surroundings, slow_clock), instance_id, START)
    assert overtaken
    row = surroundings.row(instance_id)
    assert (row.wish, row.status, row.operation) == ("delete", "deleted", "delete")


def test_an_instance_that_never_got_a_container(surroundings: Surroundings, claims: Claims, instance_id: str) -> None:
    surroundings.set_row(instance_id, container_id=None, detail="Its image cannot be downloaded.")
    with pytest.raises(NoContainer) as refused:
        take(claims, instance_id, START)
    assert "Its image cannot be downloaded. A PATCH" in refused.value.detail
    surroundings.set_row(instance_id, detail="")
    with pytest.raises(NoContainer):
        take(claims, instance_id, START)
    assert surroundings.row(instance_id).claim is None
    assert claims.take(OWNER, instance_id, *START, with_container=False)


def test_a_change_of_status_is_told_once_and_only_when_it_is_one(
    surroundings: Surroundings, claims: Claims, instance_id: str
) -> None:
    surroundings.witness.events.clear()
    claim = take(claims, instance_id, STOP)
    claims.save(claim, reason="stopping")
    assert surroundings.witness.events == []
    claims.finish(claim, status=Status.STOPPED, reason="", detail="")
    (event,) = surroundings.witness.of(StatusChanged)
    assert (event.before, event.after, event.instance_id) == (Status.RUNNING, Status.STOPPED, instance_id)
    row = surroundings.row(instance_id)
    assert row.status_since == row.updated_at == event.at


def test_a_claim_that_is_kept_is_renewed(surroundings: Surroundings, instance_id: str, clock: Clock) -> None:
    claims = claims_at(surroundings, clock, renewed_every=0.02)
    claim = take(claims, instance_id, STOP)
    with claims.kept(claim):
        clock.advance(seconds=LIFETIME.total_seconds() * 2)
        renewed = clock() + LIFETIME - timedelta(seconds=1)
        wait_until(lambda: surroundings.row(instance_id).claim_until > renewed)
        assert claims.resume(instance_id, "sync") is None
    clock.advance(seconds=LIFETIME.total_seconds() * 2)
    assert claims.resume(instance_id, "sync")
    claims.close()


def test_a_keeper_tries_again_soon(
    surroundings: Surroundings,
    instance_id: str,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claim_keeper, "TRIED_AGAIN_AFTER", 0.01)
    claims = claims_at(surroundings, clock, renewed_every=1.0)
    with claims.kept(take(claims, instance_id, STOP)):
        clock.error = OSError("The database is away.")
        assert eventually(lambda: caplog.text.count("could not be renewed") > 20, within=10)
        clock.error = None
    claims.close()


def test_a_keeper_that_cannot_be_started_for_a_moment_is_started_by_whoever_keeps_a_claim_next(
    surroundings: Surroundings, instance_id: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that has too many threads says so; work goes on, and claims are renewed after that."""

    def refusing(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    claims = claims_at(surroundings, clock, renewed_every=0.02)
    claim = take(claims, instance_id, STOP)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refusing)
        with claims.kept(claim):
            claims.save(claim, reason="stopping")
    with claims.kept(claim):
        clock.advance(seconds=LIFETIME.total_seconds() * 2)
        wait_until(lambda: surroundings.row(instance_id).claim_until > clock())
    claims.close()


def test_work_goes_on_only_with_a_claim_that_is_good_for_a_while(
    surroundings: Surroundings, claims: Claims, instance_id: str, clock: Clock
) -> None:
    """After an outage of the database it may have lapsed, and nobody may have taken it over yet."""
    claim = take(claims, instance_id, STOP)
    for look in (claims.row, lambda claim: claims.save(claim, reason="stopping")):
        clock.advance(seconds=LIFETIME.total_seconds() + 1)
        look(claim)
        assert surroundings.row(instance_id).claim_until >= clock() + GOOD_FOR
        assert claims_at(surroundings, clock).resume(instance_id, "sync") is None
    clock.advance(seconds=LIFETIME.total_seconds() + 1)
    assert claims_at(surroundings, clock).resume(instance_id, "sync")
    with pytest.raises(ClaimLost):
        claims.row(claim)


def test_a_claim_that_is_good_is_not_renewed_at_each_look(
    surroundings: Surroundings, claims: Claims, instance_id: str, clock: Clock
) -> None:
    claim = take(claims, instance_id, STOP)
    until = surroundings.row(instance_id).claim_until
    clock.advance(seconds=2)
    claims.row(claim)
    assert surroundings.row(instance_id).claim_until == until


def test_a_keeper_survives_a_database_that_is_away(
    surroundings: Surroundings, instance_id: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    claims = claims_at(surroundings, clock, renewed_every=0.02)
    claim = take(claims, instance_id, STOP)
    with claims.kept(claim):
        clock.error = OSError("The database is away.")
        wait_until(lambda: "could not be renewed" in caplog.text)
        clock.error = None
        clock.advance(seconds=LIFETIME.total_seconds() * 2)
        wait_until(lambda: surroundings.row(instance_id).claim_until > clock())
    claims.close()


# -- the same through the use cases ----------------------------------------------------------------------------------


def test_an_operation_meanwhile_is_refused_until_the_first_is_done(surroundings: Surroundings) -> None:
    instance_id = made(surroundings.open())
    runtime = SlowRuntime(surroundings.memory, calls=("stop",))
    platform = surroundings.open(runtime, WAIT_SECONDS=0)
    platform.instances.stop(OWNER, instance_id)
    assert runtime.entered.wait(10)
    attempts: list[Callable[[], object]] = [
        lambda: platform.instances.start(OWNER, instance_id),
        lambda: platform.instances.stop(OWNER, instance_id),
        lambda: platform.instances.delete(OWNER, instance_id),
        lambda: platform.instances.patch(OWNER, instance_id, {"status": "running", "name": "other"}),
    ]
    for attempt in attempts:
        with pytest.raises(OperationInProgress) as refused:
            attempt()
        assert "The bot is being stopped." in refused.value.detail
    assert platform.instances.get(OWNER, instance_id).name == "test", "a refused change must change nothing"
    assert platform.instances.patch(OWNER, instance_id, {"name": "other"}).name == "other"
    runtime.release()
    surroundings.witness.until(StatusChanged, after=Status.STOPPED)
    assert surroundings.open().instances.start(OWNER, instance_id).status == Status.RUNNING


@pytest.mark.parametrize("call", ["stop", "delete"])
def test_a_pull_can_be_given_up(surroundings: Surroundings, call: str) -> None:
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {"nginx:alpine"}
    runtime = SlowRuntime(surroundings.memory, calls=("pull",))
    platform = surroundings.open(runtime, WAIT_SECONDS=0)
    instance = platform.instances.create(OWNER, GOOD)
    assert runtime.entered.wait(10)
    with pytest.raises(OperationInProgress) as refused:
        platform.instances.patch(OWNER, instance.id, {"status": "running"})
    assert "downloaded" in refused.value.detail
    if call == "delete":
        platform.instances.delete(OWNER, instance.id)
        wait_until(lambda: surroundings.count("instance") == 0)
    else:
        platform.instances.patch(OWNER, instance.id, {"status": "stopped"})
        surroundings.reaches(instance.id, status="stopped", operation=None)
    runtime.release()
    surroundings.open().reconciler.sync(patience=10)
    assert not surroundings.memory.observe_all(), "the watcher went on although its claim was gone"


def test_a_pull_that_was_given_up_disturbs_nobody_when_it_ends(surroundings: Surroundings) -> None:
    """It has changed nothing, so that there is nothing to undo in what runs by now."""
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {"nginx:alpine"}
    journal = Journal(surroundings.memory)
    runtime = SlowRuntime(journal, calls=("pull",))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(surroundings.open(runtime).instances.create, OWNER, GOOD)
        assert runtime.entered.wait(10)
        others = surroundings.open(journal).instances
        (instance,) = others.list(OWNER).instances
        surroundings.reaches(instance.id, reason="pulling_image")
        assert others.stop(OWNER, instance.id).status == Status.STOPPED
        assert others.start(OWNER, instance.id).status == Status.RUNNING
        journal.done.clear()
        runtime.release()
        assert first.result(20).status == Status.RUNNING
    assert journal.done == []
    assert not surroundings.row(instance.id).secrets_unread


def test_a_stop_that_took_over_a_pull_is_kept(surroundings: Surroundings) -> None:
    """The engine went away between the pull and the stop: the later wish counts, and nothing may be stuck."""
    surroundings.memory.engine.images = set()
    surroundings.memory.engine.registry = {"nginx:alpine"}
    runtime = SlowRuntime(surroundings.memory, calls=("pull",))
    instance = surroundings.open(runtime, WAIT_SECONDS=0).instances.create(OWNER, GOOD)
    assert runtime.entered.wait(10)
    with pytest.raises(RuntimeUnavailable):
        surroundings.open(BrokenRuntime(surroundings.memory)).instances.patch(OWNER, instance.id, {"status": "stopped"})
    row = surroundings.row(instance.id)
    assert (row.wish, row.status, row.operation, row.claim) == ("stop", "error", "stop", None)
    runtime.release()
    surroundings.open().reconciler.sync(patience=10)
    surroundings.reaches(instance.id, status="stopped", operation=None)
    assert not surroundings.memory.observe_all()


def test_closing_gives_back_what_is_held(surroundings: Surroundings, claims: Claims, instance_id: str) -> None:
    claim = take(claims, instance_id, STOP)
    with claims.kept(claim):
        claims.close()
        assert surroundings.row(instance_id).claim is None
        with pytest.raises(ClaimLost):
            claims.save(claim, reason="stopping")


def wait_until(condition: Callable[[], bool]) -> None:
    assert eventually(condition, within=10.0)


def test_what_was_deleted_while_it_was_compared_is_not_brought_back(
    surroundings: Surroundings, claims: Claims, instance_id: str
) -> None:
    comparing = claims.resume(instance_id, "sync")
    assert comparing
    deleting = take(claims, instance_id, DELETE)
    claims.forget(deleting)
    with pytest.raises(ClaimLost):
        claims.begin(comparing, Operation.RECOVER, "It ended.")
