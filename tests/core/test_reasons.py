"""A sentence for each reason."""

import re

import pytest

from clawdeploy.core.contracts import ContainerState, Observation
from clawdeploy.core.errors import ImageUnavailable, NameTaken, NoFreePort, PortTaken
from clawdeploy.core.phases import FIRST_PHASE, ONLY_WATCHING
from clawdeploy.core.reasons import SENTENCES, explain, mended
from clawdeploy.core.situation import Crash
from clawdeploy.core.steps import FAILED_OPERATIONS

AT = 1_800_000_000
SHORT = Crash(AT, 137, out_of_memory=True)
UNSEEN = Crash(AT)


@pytest.mark.parametrize("reason", SENTENCES)
def test_every_reason_is_a_whole_sentence(reason: str) -> None:
    said = explain(reason)
    assert not said or (said[0].isupper() and said.endswith("."))
    assert "{" not in said


def test_what_was_seen_is_filled_in() -> None:
    seen = Observation(ContainerState.EXITED, exit_code=3, restart_count=5)
    assert explain("crashed", seen) == "It ended by itself with exit code 3. The logs may say why."
    said = "It keeps ending by itself: 5 times in the last 10 minutes, with exit code 3. The logs may say why."
    assert explain("crash_loop", seen, [Crash(AT, 3)] * 5) == said
    assert (
        explain("crash_loop", seen, [Crash(AT, 3)])
        == "It keeps ending by itself, with exit code 3. The logs may say why."
    )


def test_how_much_memory_was_too_little_is_said() -> None:
    seen = Observation(ContainerState.EXITED, exit_code=137, out_of_memory=True, memory_bytes=256 * 2**20)
    said = "It ran out of memory (256 MB) 4 times in the last 10 minutes and was ended by the system."
    assert explain("out_of_memory", seen, [SHORT] * 4) == said
    assert explain("out_of_memory", seen) == "It ran out of memory (256 MB) and was ended by the system."


@pytest.mark.parametrize(
    ("crashes", "said"),
    [
        ([Crash(AT, 3), Crash(AT, 3), SHORT], "1 of them because {}, before that with exit code 3"),
        ([SHORT, Crash(AT, 3), Crash(AT, 3)], "1 of them because {}, the last time with exit code 3"),
        ([Crash(AT, 1), Crash(AT, 2), Crash(AT, 3)], "the last time with exit code 3"),
        ([Crash(AT, 3), UNSEEN, Crash(AT, 3)], "the last time with exit code 3"),
        ([Crash(AT, 3), UNSEEN, UNSEEN], "before that with exit code 3"),
        ([SHORT, UNSEEN, Crash(AT, 3)], "at least 1 of them because {}, the last time with exit code 3"),
    ],
)
def test_each_cause_is_counted_for_itself(crashes: list[Crash], said: str) -> None:
    seen = Observation(ContainerState.RUNNING, memory_bytes=256 * 2**20)
    short = "it ran out of memory (256 MB)"
    whole = f"It keeps ending by itself: 3 times in the last 10 minutes, {said.format(short)}. The logs may say why."
    assert explain("crash_loop", seen, crashes) == whole


def test_of_crashes_that_nobody_saw_no_cause_is_claimed() -> None:
    seen = Observation(ContainerState.RUNNING, memory_bytes=256 * 2**20)
    said = "It keeps ending by itself: 3 times in the last 10 minutes. The logs may say why."
    assert explain("crash_loop", seen, [UNSEEN] * 3) == said
    said = "It ran out of memory (256 MB) and was ended by the system. It ended 3 times in the last 10 minutes in all."
    assert explain("out_of_memory", seen, [SHORT, UNSEEN, UNSEEN]) == said


@pytest.mark.parametrize(
    ("crashes", "reason", "said"),
    [
        ([UNSEEN], "crashed", "It ended by itself"),
        ([Crash(AT, 3)], "crashed", "It ended by itself with exit code 3"),
        ([SHORT], "out_of_memory", "It ran out of memory (256 MB)"),
        ([UNSEEN, Crash(AT, 3)], "crashed", "It ended by itself 2 times, the last time with exit code 3"),
        ([UNSEEN, UNSEEN], "crashed", "It ended by itself 2 times"),
    ],
)
def test_what_an_engine_mended_is_told(crashes: list[Crash], reason: str, said: str) -> None:
    seen = Observation(ContainerState.RUNNING, memory_bytes=256 * 2**20)
    assert mended(len(crashes), crashes[-1], seen) == (reason, f"{said}, and Docker started it again.")
    # Somebody may have stopped it before Docker did, which counts that beforehand.
    ended = Observation(ContainerState.EXITED, memory_bytes=256 * 2**20, exit_code=3, ended_by_hand=True)
    assert mended(len(crashes), crashes[-1], ended) == (reason, f"{said}, and Docker was to start it again.")


def test_what_was_not_seen_is_said_to_be_unknown() -> None:
    assert "exit code unknown" in explain("crashed", Observation(ContainerState.EXITED))


def test_every_phase_has_a_sentence() -> None:
    assert {*FIRST_PHASE.values(), *ONLY_WATCHING} <= set(SENTENCES)


def test_what_is_not_looked_at_again_is_told_as_what_it_was() -> None:
    told = [SENTENCES[reason].split(". ")[0] for reason in FAILED_OPERATIONS]
    told += [error.summary for error in (ImageUnavailable, NameTaken, NoFreePort, PortTaken)]
    for sentence in told:
        assert not re.search(r"\b(is|are|has|holds|uses|cannot)\b", sentence), sentence


@pytest.mark.parametrize(
    ("exit_code", "how"),
    [
        (137, "was stopped or killed"),
        (0, "was stopped or ended by itself"),
        (143, "was stopped"),
        (None, "was stopped"),
    ],
)
def test_of_what_somebody_ended_no_more_is_said_than_is_known(exit_code: int | None, how: str) -> None:
    said = explain("stopped_outside", Observation(ContainerState.EXITED, exit_code=exit_code))
    assert said == f"It {how} on the server, not from here. Start brings it back."


def test_of_one_that_was_ended_by_hand_and_says_something_else_that_is_told() -> None:
    said = explain("stopped_outside", Observation(ContainerState.EXITED, exit_code=1, ended_by_hand=True))
    assert "stopped or sent a signal on the server, not from here, and ended with exit code 1. Start" in said
