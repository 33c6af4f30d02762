"""What has happened to an instance is kept with it, by whoever did it, and its owner can read it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from clawdeploy.core.activity import KEPT, evidence
from clawdeploy.core.contracts import Activity, ContainerState, Observation, Operation, Status
from clawdeploy.core.errors import ImageUnavailable, InstanceNotFound, RuntimeFailure
from clawdeploy.core.platform import Platform
from clawdeploy.core.progress import Progress, progress
from clawdeploy.core.testing import BrokenRuntime
from tests.core.surroundings import OWNER, STRANGER, TELEGRAM_TOKEN, Surroundings, made
from tests.platforms import GOOD

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def told(platform: Platform, instance_id: str) -> list[tuple[str, str, str, str]]:
    """Return what has happened, oldest first."""
    happened = platform.instances.activity(OWNER, instance_id, KEPT)
    return [(one.actor, one.kind, one.what, one.reason) for one in reversed(happened)]


def test_a_life_is_told_in_order(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    platform.instances.stop(OWNER, instance_id)
    platform.instances.patch(OWNER, instance_id, {"name": "new", "apiKey": "sk-1", "botToken": TELEGRAM_TOKEN})
    platform.instances.restart(OWNER, instance_id)
    surroundings.memory.crash(instance_id)
    platform.reconciler.sync("sync")
    assert told(platform, instance_id) == [
        (OWNER, "asked", "create", ""),
        (OWNER, "state", "creating", "creating_container"),
        (OWNER, "state", "creating", "starting"),
        (OWNER, "state", "creating", "waiting_until_ready"),
        (OWNER, "state", "running", ""),
        (OWNER, "asked", "stop", ""),
        (OWNER, "state", "stopped", ""),
        (OWNER, "changed", "apiKey,botToken,name", ""),
        (OWNER, "asked", "restart", ""),
        (OWNER, "state", "creating", "starting"),
        (OWNER, "state", "creating", "waiting_until_ready"),
        (OWNER, "state", "running", ""),
        ("sync", "state", "error", "crashed"),
    ]


def test_what_was_seen_is_kept_as_evidence(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    surroundings.memory.loop(instance_id, 2, exit_code=137, out_of_memory=True)
    platform.reconciler.look([instance_id], "engine")
    (newest,) = platform.instances.activity(OWNER, instance_id, 1)
    container = surroundings.memory.observe(instance_id).container_id or ""
    assert (newest.actor, newest.what, newest.reason) == ("engine", "error", "out_of_memory")
    assert newest.evidence == {
        "container": "restarting",
        "containerId": container[:12],
        "exitCode": 137,
        "outOfMemory": True,
        "restartCount": 2,
    }


def test_what_an_engine_says_is_bounded(surroundings: Surroundings) -> None:
    assert evidence(Observation(ContainerState.EXITED, engine_error="x" * 10_000))["engineError"] == "x" * 300


def test_a_sync_that_finds_nothing_new_notes_nothing(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    before = told(platform, instance_id)
    for _ in range(3):
        platform.reconciler.sync("sync")
    assert told(platform, instance_id) == before


@pytest.mark.parametrize("change", [{"status": "stopped"}, {"apiKey": "sk-1"}])
def test_what_an_engine_refuses_again_and_again_is_told_once(
    surroundings: Surroundings, change: dict[str, str]
) -> None:
    runtime = BrokenRuntime(surroundings.memory, calls=("stop",), error=RuntimeFailure("It cannot be stopped."))
    platform = surroundings.open(runtime)
    instance_id = made(platform)
    with suppress(RuntimeFailure):
        platform.instances.patch(OWNER, instance_id, change)
    refused = platform.instances.get(OWNER, instance_id)
    before = told(platform, instance_id)
    assert (refused.reason, before[-1]) == ("runtime_failure", (OWNER, "state", "running", "runtime_failure"))
    for _ in range(3):
        platform.reconciler.sync("sync", patience=20)
    assert told(platform, instance_id) == before
    assert platform.instances.get(OWNER, instance_id).detail == refused.detail
    runtime.mend()
    platform.reconciler.sync("sync", patience=20)
    assert platform.instances.get(OWNER, instance_id).reason == ""


def test_no_secret_is_in_it(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform, apiKey="sk-never-told")
    platform.instances.patch(OWNER, instance_id, {"apiKey": "sk-never-told-either"})
    assert "never-told" not in repr(platform.instances.activity(OWNER, instance_id))


def test_only_the_owner_reads_it_and_it_goes_with_the_instance(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    with pytest.raises(InstanceNotFound):
        platform.instances.activity(STRANGER, instance_id)
    with pytest.raises(InstanceNotFound):
        platform.instances.progress(STRANGER, instance_id)
    assert surroundings.count("activity") > 0
    platform.instances.delete(OWNER, instance_id)
    assert surroundings.count("activity") == 0


def test_the_oldest_entries_go(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id, other = made(platform), made(platform)
    for number in range(KEPT + 5):
        platform.instances.patch(OWNER, instance_id, {"name": f"name {number}"})
    assert surroundings.count("activity") == KEPT + len(told(platform, other))
    assert {what for _, _, what, _ in told(platform, instance_id)} == {"name"}
    assert len(platform.instances.activity(OWNER, instance_id, 7)) == 7


def test_what_failed_to_be_stored_is_not_told(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    instance_id = made(platform)
    before = told(platform, instance_id)
    with surroundings.looking().transaction():
        surroundings.looking().peewee.execute_sql("ALTER TABLE secret RENAME TO elsewhere")
    with pytest.raises(Exception, match="secret"):
        platform.instances.patch(OWNER, instance_id, {"name": "new", "apiKey": "sk-1"})
    with surroundings.looking().transaction():
        surroundings.looking().peewee.execute_sql("ALTER TABLE elsewhere RENAME TO secret")
    assert told(platform, instance_id) == before


class TestProgress:
    def test_a_creation_that_succeeds(self, surroundings: Surroundings) -> None:
        platform = surroundings.open()
        seen = platform.instances.progress(OWNER, made(platform))
        assert seen is not None
        assert (seen.operation, seen.outcome) == ("create", "done")
        assert [(step.name, step.state) for step in seen.steps] == [
            ("image", "done"),
            ("container", "done"),
            ("start", "done"),
            ("ready", "done"),
        ]
        assert seen.steps[0].seconds is None, "the image was there"
        assert all(step.seconds is not None for step in seen.steps[1:])

    def test_a_creation_that_fails_says_where_and_why_and_can_be_tried_again(self, surroundings: Surroundings) -> None:
        runtime = BrokenRuntime(surroundings.memory, ImageUnavailable("No such image."), calls=("pull",))
        surroundings.memory.engine.images = set()
        platform = surroundings.open(runtime)
        instance_id = platform.instances.create(OWNER, GOOD).id
        seen = platform.instances.progress(OWNER, instance_id)
        assert seen is not None
        assert seen.outcome == "failed"
        assert [step.state for step in seen.steps] == ["failed", "todo", "todo", "todo"]
        assert seen.steps[0].detail == "No such image."
        surroundings.memory.engine.images = {"nginx:alpine"}
        assert platform.instances.retry(OWNER, instance_id).status == Status.RUNNING
        again = platform.instances.progress(OWNER, instance_id)
        assert again is not None
        assert again.outcome == "done"

    def test_after_a_stop_there_is_none(self, surroundings: Surroundings) -> None:
        platform = surroundings.open()
        instance_id = made(platform)
        platform.instances.stop(OWNER, instance_id)
        assert platform.instances.progress(OWNER, instance_id) is None


def story(*reasons: str, operation: Operation = Operation.CREATE) -> list[Activity]:
    """Return what happens when an operation goes through these phases, ten seconds each, newest first."""
    happened = [Activity(AT, OWNER, "asked", operation)]
    for number, reason in enumerate(reasons, 1):
        status = {"": "running", "stopped_outside": "stopped"}.get(reason, "creating")
        failed = reason in ("image_unavailable", "port_taken", "crashed", "runtime_unavailable")
        at = AT + timedelta(seconds=10 * number)
        happened.append(Activity(at, OWNER, "state", "error" if failed else status, reason, f"why: {reason}"))
    return happened[::-1]


def seen(*reasons: str, operation: Operation = Operation.CREATE, later: int = 5) -> Progress:
    happened = story(*reasons, operation=operation)
    found = progress(happened, happened[0].at + timedelta(seconds=later))
    assert found is not None
    return found


def shown(found: Progress) -> list[str]:
    return [f"{step.state}:{'' if step.seconds is None else int(step.seconds)}" for step in found.steps]


PULLED = ("creating_container", "pulling_image", "creating_container", "starting", "waiting_until_ready", "")


def test_where_it_is_is_seen_at_every_moment() -> None:
    assert shown(seen()) == ["running:", "todo:", "todo:", "todo:"]
    assert shown(seen(*PULLED[:1])) == ["running:", "todo:", "todo:", "todo:"]
    assert shown(seen(*PULLED[:2])) == ["running:5", "todo:", "todo:", "todo:"]
    assert shown(seen(*PULLED[:3])) == ["done:10", "running:25", "todo:", "todo:"]
    assert shown(seen(*PULLED[:4])) == ["done:10", "done:30", "running:5", "todo:"]
    assert shown(seen(*PULLED[:5])) == ["done:10", "done:30", "done:10", "running:5"]
    assert shown(seen(*PULLED)) == ["done:10", "done:30", "done:10", "done:10"]
    assert [seen(*PULLED[:count]).outcome for count in range(7)] == ["running"] * 6 + ["done"]


@pytest.mark.parametrize(
    ("reasons", "states"),
    [
        (("creating_container", "pulling_image", "image_unavailable"), ["failed", "todo", "todo", "todo"]),
        (("creating_container", "starting", "port_taken"), ["done", "done", "failed", "todo"]),
        (("starting", "waiting_until_ready", "crashed"), ["done", "done", "done", "failed"]),
        (("starting", "waiting_until_ready", "stopped_outside"), ["done", "done", "done", "failed"]),
    ],
)
def test_what_failed_is_at_its_step(reasons: tuple[str, ...], states: list[str]) -> None:
    found = seen(*reasons)
    assert found.outcome == "failed"
    assert [step.state for step in found.steps] == states
    assert [step.detail for step in found.steps if step.state == "failed"] == [f"why: {reasons[-1]}"]


def test_what_is_put_off_goes_on() -> None:
    put_off = ("creating_container", "starting", "runtime_unavailable")
    assert seen(*put_off).outcome == "running"
    assert [step.state for step in seen(*put_off).steps] == ["done", "done", "running", "todo"]
    assert seen(*put_off, "starting", "waiting_until_ready", "").outcome == "done"


def test_a_start_begins_with_starting() -> None:
    assert shown(seen(operation=Operation.START)) == ["done:", "done:", "running:5", "todo:"]


@pytest.mark.parametrize("operation", [Operation.STOP, Operation.DELETE])
def test_there_is_no_way_to_run_when_something_else_was_asked(operation: Operation) -> None:
    assert progress(story(operation=operation), AT) is None
    assert progress([], AT) is None
