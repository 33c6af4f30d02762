"""Every error has a stable code and a sentence for a person."""

import pytest

from clawdeploy.core import errors
from clawdeploy.core.errors import (
    PUT_OFF,
    ClawDeployError,
    EngineError,
    InvalidInput,
    RuntimeFailure,
    RuntimeUnavailable,
)
from clawdeploy.core.reasons import SENTENCES
from clawdeploy.core.steps import FAILED_OPERATIONS

KINDS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ClawDeployError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_what_it_is(kind: type[ClawDeployError]) -> None:
    assert kind.__doc__
    assert kind.code.replace("_", "").islower()
    assert kind.summary[0].isupper()
    error = kind({}) if issubclass(kind, InvalidInput) else kind()
    assert str(error) == error.detail == kind.summary
    if not issubclass(kind, InvalidInput):
        assert str(kind("It is so.")) == kind("It is so.").detail == "It is so."


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in KINDS if kind is not EngineError]
    assert len(codes) == len(set(codes))


def test_every_error_of_an_engine_that_ends_an_operation_is_a_reason_with_a_sentence() -> None:
    codes = {kind.code for kind in KINDS if issubclass(kind, EngineError) and kind is not EngineError}
    # A missing image is downloaded, an unusable container made anew, and an engine that is away puts an operation off.
    assert codes - {"image_missing", "container_unusable", "runtime_unavailable"} == FAILED_OPERATIONS
    assert set(SENTENCES) >= FAILED_OPERATIONS | {"runtime_unavailable"}


def test_an_error_that_puts_a_change_off_is_the_same_with_one_sentence_more() -> None:
    class Refusal(RuntimeFailure):
        """A runtime's own, made of other things than its detail."""

        def __init__(self, status: int, said: str) -> None:
            super().__init__(f"The engine says: {said}")
            self.status = status

    for error in (Refusal(500, "No"), RuntimeUnavailable("It is gone."), EngineError()):
        before = error.detail
        told = error.put_off()
        assert type(told) is type(error)
        assert told.detail == f"{before.removesuffix('.')}. {PUT_OFF}"
        assert (error.detail, str(told)) == (before, str(error))
    assert vars(Refusal(500, "No").put_off())["status"] == 500


def test_invalid_input_names_its_fields() -> None:
    error = InvalidInput({"name": ("Too long.",), "apiKey": ["a", "b"]}, "Look again.")
    assert error.errors == {"name": ["Too long."], "apiKey": ["a", "b"]}
    assert error.detail == "Look again."
