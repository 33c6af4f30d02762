"""The stage on which runtimes are tested."""

import socket

import pytest

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Limits, Probe
from clawdeploy.core.testing import BrokenRuntime, Stage, VanishingRuntime, eventually, free_port
from clawdeploy.plugins.memory_runtime import MemoryRuntime

SPEC = ContainerSpec(("bot:1",), 80, Limits(2**20, 0.5, 10), probe=Probe(deadline=0.1))


def test_a_free_port_can_be_listened_on() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))


def test_a_condition_is_waited_for_and_no_longer_than_said() -> None:
    answers = iter([False, False, True])
    assert eventually(lambda: next(answers), within=10)
    assert not eventually(lambda: False, within=0.01)


def test_what_was_made_is_cleared() -> None:
    memory = MemoryRuntime()
    stage = Stage(memory)
    stage.ready(SPEC)
    stage.instance_id()
    assert len(memory.observe_all()) == 1
    stage.clear()
    assert not memory.observe_all()


def test_a_container_that_does_not_get_ready_fails_the_test() -> None:
    memory = MemoryRuntime()
    memory.ready = False
    with pytest.raises(AssertionError, match="never ready"):
        Stage(memory).ready(SPEC)


def test_a_state_that_is_not_reached_fails_the_test_with_what_was_seen() -> None:
    stage = Stage(MemoryRuntime())
    instance_id, _ = stage.started(SPEC)
    with pytest.raises(AssertionError, match="never exited, but Observation"):
        stage.reaches(instance_id, ContainerState.EXITED, within=0.01)


def test_a_broken_probe_does_not_pass() -> None:
    memory = MemoryRuntime()
    instance_id, _ = Stage(memory).started(SPEC)
    broken = BrokenRuntime(memory)
    assert not broken.probe(memory.observe(instance_id), SPEC.probe)
    broken.mend()
    assert broken.probe(memory.observe(instance_id), SPEC.probe)


def test_what_vanished_already_vanishes_quietly() -> None:
    runtime = VanishingRuntime(MemoryRuntime(), vanish_after="discard")
    instance_id, container_id = Stage(runtime).started(SPEC)
    assert runtime.logs(container_id, 1) == "started\n"
    runtime.discard(instance_id)
    runtime.discard(instance_id)
    assert not runtime.observe_all()
