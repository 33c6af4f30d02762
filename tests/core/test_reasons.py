"""A sentence for each reason."""

import pytest

from clawdeploy.core.contracts import ContainerState, Observation
from clawdeploy.core.phases import FIRST_PHASE, ONLY_WATCHING
from clawdeploy.core.reasons import SENTENCES, explain


@pytest.mark.parametrize("reason", SENTENCES)
def test_every_reason_is_a_whole_sentence(reason: str) -> None:
    said = explain(reason)
    assert not said or (said[0].isupper() and said.endswith("."))
    assert "{" not in said


def test_what_was_seen_is_filled_in() -> None:
    seen = Observation(ContainerState.EXITED, exit_code=3, restart_count=5)
    assert explain("crashed", seen) == "It ended by itself with exit code 3. The logs may say why."
    assert "5 times in the last 10 minutes, with exit code 3" in explain("crash_loop", seen, 5)
    assert explain("crash_loop", seen, 1).startswith("It keeps ending by itself, with exit code 3.")


def test_how_much_memory_was_too_little_is_said() -> None:
    seen = Observation(ContainerState.EXITED, exit_code=137, out_of_memory=True, memory_bytes=256 * 2**20)
    said = "It ran out of memory (256 MB) 4 times in the last 10 minutes and was ended by the system."
    assert explain("out_of_memory", seen, 4) == said
    assert explain("out_of_memory", seen) == "It ran out of memory (256 MB) and was ended by the system."


def test_what_was_not_seen_is_said_to_be_unknown() -> None:
    assert "exit code unknown" in explain("crashed", Observation(ContainerState.EXITED))


def test_every_phase_has_a_sentence() -> None:
    assert {*FIRST_PHASE.values(), *ONLY_WATCHING} <= set(SENTENCES)
