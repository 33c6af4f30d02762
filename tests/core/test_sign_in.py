"""Asking who is calling: one provider that fails harms neither the others nor the truth of the answer."""

from typing import Any

import pytest

from clawdeploy.core.contracts import AuthProvider, Credentials, Identity
from clawdeploy.core.errors import (
    DatabaseUnavailable,
    InvalidCredentials,
    NotSignedIn,
    SignInUnavailable,
)
from clawdeploy.core.sign_in import identify

CALLER = Credentials({"authorization": "Bearer hunter2"}, {"session": "hunter2"})
ANN = Identity("ann", "knowing", ambient=False)


class Answering:
    """A provider that gives the same answer to everybody."""

    def __init__(self, answer: Any) -> None:
        self.name = "answering"
        self.asked = 0
        self._answer = answer

    def authenticate(self, credentials: Credentials) -> Identity | None:
        self.asked += 1
        if isinstance(self._answer, BaseException):
            raise self._answer
        answer: Identity | None = self._answer
        return answer


FAILURES = [
    LookupError("Bearer hunter2 is not in the table"),
    SystemExit("hunter2"),
    "hunter2",
    {"user_id": "hunter2"},
    True,
]
IDS = ["raises", "exits", "a text", "a dictionary", "yes"]


@pytest.mark.parametrize("failure", FAILURES, ids=IDS)
def test_the_other_providers_are_asked_all_the_same(failure: object) -> None:
    assert identify([Answering(failure), Answering(None), Answering(ANN)], CALLER) is ANN
    with pytest.raises(InvalidCredentials):
        identify([Answering(failure), Answering(InvalidCredentials())], CALLER)


@pytest.mark.parametrize("failure", FAILURES, ids=IDS)
def test_when_nobody_else_knows_the_caller_they_are_not_called_signed_out(failure: object) -> None:
    last = Answering(None)
    with pytest.raises(SignInUnavailable):
        identify([Answering(None), Answering(failure), last], CALLER)
    assert last.asked == 1


@pytest.mark.parametrize("failure", FAILURES, ids=IDS)
def test_what_may_hold_a_credential_is_not_logged(failure: object, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SignInUnavailable) as raised:
        identify([Answering(failure)], CALLER)
    kind = type(failure).__name__ if isinstance(failure, BaseException) else "TypeError"
    assert f"Auth provider answering failed: {kind} in " in caplog.text
    assert "hunter2" not in caplog.text
    assert raised.value.__cause__ is raised.value.__context__ is None, "nor does it travel on with the error"


def test_a_provider_that_is_sure_ends_it() -> None:
    asked = Answering(None)
    assert identify([Answering(ANN), asked], CALLER) is ANN
    with pytest.raises(InvalidCredentials):
        identify([Answering(InvalidCredentials()), asked], CALLER)
    assert asked.asked == 0


def test_what_a_provider_raises_on_purpose_is_its_answer() -> None:
    with pytest.raises(DatabaseUnavailable):
        identify([Answering(DatabaseUnavailable()), Answering(ANN)], CALLER)


@pytest.mark.parametrize("providers", [[], [Answering(None)], [Answering(None), Answering(None)]])
def test_nobody_knows_a_stranger(providers: list[AuthProvider]) -> None:
    with pytest.raises(NotSignedIn):
        identify(providers, CALLER)


def test_ctrl_c_is_no_answer() -> None:
    with pytest.raises(KeyboardInterrupt):
        identify([Answering(KeyboardInterrupt()), Answering(ANN)], CALLER)
