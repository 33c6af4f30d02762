"""What the engine tells by itself, and how a bot that crashes in a loop is held back: on a real engine."""

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, Status
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.testing import Stage, eventually
from clawdeploy.plugins.docker_runtime import events
from clawdeploy.plugins.docker_runtime.events import LONGEST_LINE, lines
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.core.surroundings import Witness
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.blueprints import Scripted
from tests.plugins.docker_runtime.conftest import MakeRuntime

KILLS = 10

RecordProperty = Callable[[str, object], None]


def test_lines_are_put_together_and_bounded() -> None:
    assert list(lines([b'{"a"', b":1}\n{}", b"\n", b"\n{"])) == [b'{"a":1}', b"{}"]
    with pytest.raises(RuntimeUnavailable):
        list(lines([b"x" * (LONGEST_LINE + 1)]))


def test_an_engine_that_hangs_while_it_is_asked_for_its_news_is_no_engine_that_tells_none(
    make_runtime: MakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever listens takes an engine that ends without a word for one that has no news, and listens never again."""
    monkeypatch.setattr(events, "SILENCE_SECONDS", 0.5)
    with engines.silent() as address:
        runtime = make_runtime(address=address)
        # It knows the version from before, when the engine answered.
        runtime._engine._api = "1.41"
        with pytest.raises(RuntimeUnavailable):
            next(runtime.events())


@pytest.mark.engine
def test_a_container_with_half_of_our_labels_breaks_nothing(
    runtime: DockerRuntime, stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    heard = runtime.events()
    assert next(heard) == ""
    labels = {INSTALLATION_LABEL: runtime._installation}
    half = witness.create_container(spec.images[0], ["sh"], labels=labels)["Id"]
    try:
        instance_id, _ = stage.started(spec)
        assert next(heard) == instance_id
    finally:
        witness.remove_container(half, force=True)


@pytest.mark.engine
def test_an_external_kill_shows_within_two_seconds(
    tmp_path: Path,
    make_runtime: MakeRuntime,
    spec: ContainerSpec,
    witness: docker.APIClient,
    record_property: RecordProperty,
) -> None:
    platform = memory_platform(
        tmp_path, runtime=make_runtime, plugins={"s": Scripted(spec)}, PORT_RANGE="23000-23999", SYNC_SECONDS=3600
    )
    bot = platform.instances.create("ann", {**GOOD, "blueprint": "scripted"}, wait=30)
    assert bot.status is Status.RUNNING, bot.detail
    platform.start_background()
    took = []
    try:
        for _ in range(KILLS):
            began = time.monotonic()
            witness.stop(bot.container_id or "", timeout=0)
            stopped = time.monotonic()
            assert eventually(lambda: platform.instances.get("ann", bot.id).status is Status.STOPPED, 5)
            took.append(time.monotonic() - stopped)
            assert platform.instances.get("ann", bot.id).reason == "stopped_outside"
            assert time.monotonic() - began < 10
            assert platform.instances.start("ann", bot.id, wait=30).status is Status.RUNNING
    finally:
        platform.instances.delete("ann", bot.id, wait=30)
        platform.close()
    record_property("external_stop_shown_after_seconds", {"median": median(took), "max": max(took)})
    assert max(took) < 2.0


def stop(witness: docker.APIClient, container_id: str) -> None:
    witness.stop(container_id, timeout=5)


def interrupt(witness: docker.APIClient, container_id: str) -> None:
    witness.kill(container_id, "SIGINT")


def kill_after_a_lack_of_memory(witness: docker.APIClient, container_id: str) -> None:
    # Of a process beside the bot's own, which Docker goes on to tell of.
    hungry = witness.exec_create(container_id, ["sh", "-c", "text=aaaa; while true; do text=$text$text; done"])["Id"]
    witness.exec_start(hungry)
    witness.kill(container_id)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("end", "said"),
    [
        (stop, "stopped or sent a signal on the server, not from here, and ended with exit code 1."),
        (interrupt, "stopped or sent a signal on the server, not from here, and ended with exit code 130."),
        (kill_after_a_lack_of_memory, "stopped or killed on the server, not from here."),
    ],
)
def test_one_that_is_ended_by_hand_is_stopped_however_it_ends(
    tmp_path: Path,
    make_runtime: MakeRuntime,
    spec: ContainerSpec,
    witness: docker.APIClient,
    end: Callable[[docker.APIClient, str], None],
    said: str,
) -> None:
    script = "trap 'exit 1' TERM; httpd -p 8080 -h /www; while true; do sleep 0.1; done"
    fails = Scripted(replace(spec, command=("/bin/sh", "-c", script)))
    platform = memory_platform(
        tmp_path, runtime=make_runtime, plugins={"s": fails}, PORT_RANGE="23000-23999", SYNC_SECONDS=3600
    )
    bot = platform.instances.create("ann", {**GOOD, "blueprint": "scripted"}, wait=30)
    assert bot.status is Status.RUNNING, bot.detail
    platform.start_background()
    try:
        end(witness, bot.container_id or "")
        assert eventually(lambda: platform.instances.get("ann", bot.id).status is not Status.RUNNING, 5)
        seen = platform.instances.get("ann", bot.id)
        assert (seen.status, seen.reason) == (Status.STOPPED, "stopped_outside"), seen.detail
        assert seen.detail == f"It was {said} Start brings it back."
        assert platform.instances.start("ann", bot.id, wait=30).status is Status.RUNNING
    finally:
        platform.instances.delete("ann", bot.id, wait=30)
        platform.close()


@pytest.mark.engine
def test_a_crash_that_docker_mends_leaves_a_trace(
    tmp_path: Path, make_runtime: MakeRuntime, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    platform = memory_platform(
        tmp_path, runtime=make_runtime, plugins={"s": Scripted(spec)}, PORT_RANGE="23000-23999", SYNC_SECONDS=3600
    )
    bot = platform.instances.create("ann", {**GOOD, "blueprint": "scripted"}, wait=30)
    assert bot.status is Status.RUNNING, bot.detail
    platform.start_background()

    def told() -> list[tuple[str, str, str, str]]:
        happened = platform.instances.activity("ann", bot.id)
        return [(one.actor, one.what, one.reason, one.detail) for one in happened]

    def crashes() -> int:
        return sum(reason == "crashed" for _, _, reason, _ in told())

    try:
        for _ in range(2):
            noted = crashes()
            os.kill(witness.inspect_container(bot.container_id or "")["State"]["Pid"], signal.SIGKILL)
            assert eventually(partial(lambda before: crashes() == before + 1, noted), 10), told()
            assert eventually(lambda: platform.instances.get("ann", bot.id).status is Status.RUNNING, 10)
    finally:
        platform.instances.delete("ann", bot.id, wait=30)
        platform.close()


@pytest.mark.engine
def test_a_crash_loop_is_stopped_and_told_and_stop_wins(
    tmp_path: Path, make_runtime: MakeRuntime, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    crashing = replace(spec, command=("sh", "-c", "exit 3"))
    seen = Witness()
    platform = memory_platform(
        tmp_path,
        runtime=make_runtime,
        plugins={"s": Scripted(crashing), "witness": seen},
        PORT_RANGE="23000-23999",
        SYNC_SECONDS=1,
    )
    platform.start_background()
    bot = platform.instances.create("ann", {**GOOD, "blueprint": "scripted"}, wait=60)
    try:
        assert (bot.status, bot.reason) == (Status.ERROR, "crash_loop"), bot
        said = r": 3 times in the last 10 minutes, ((the last time|before that) )?with exit code 3\."
        assert re.search(said, bot.detail), bot.detail
        assert "started again 10 seconds later" in bot.detail
        assert witness.inspect_container(bot.container_id or "")["State"]["Status"] == "exited"
        assert eventually(lambda: "20 seconds later" in platform.instances.get("ann", bot.id).detail, 40)
        assert platform.instances.stop("ann", bot.id, wait=30).status is Status.STOPPED
        began = witness.inspect_container(bot.container_id or "")["State"]["StartedAt"]
        assert not eventually(
            lambda: witness.inspect_container(bot.container_id or "")["State"]["StartedAt"] != began, 3
        ), "it was started again although it was to be stopped"
    finally:
        platform.instances.delete("ann", bot.id, wait=30)
        platform.close()
