"""Asking who is calling: one provider that fails harms neither the others nor the truth of the answer."""

from typing import Any

import pytest

from clawdeploy.core.contracts import AuthProvider, Credentials, Identity, Reception, SignIn, Visit
from clawdeploy.core.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    InvalidCredentials,
    NotSignedIn,
    SignInUnavailable,
)
from clawdeploy.core.sign_in import identify, in_use, receive, why_signed_out

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


# -- how people sign in ----------------------------------------------------------------------------------------------


class Offering(Answering):
    """A provider with a way to sign in."""

    def __init__(self, name: str, sign_in: SignIn | None) -> None:
        super().__init__(None)
        self.name = name
        self.sign_in = sign_in


LINK, CLERK = SignIn(fallback=True, sign_out="/sign-out"), SignIn(returns=True)


@pytest.mark.parametrize(
    ("offered", "asked", "way"),
    [
        ([], [], SignIn()),
        ([("tokens", None)], ["tokens"], SignIn()),
        ([("tokens", None), ("link", LINK)], ["tokens", "link"], LINK),
        ([("tokens", None), ("link", LINK), ("clerk", CLERK)], ["tokens", "clerk"], CLERK),
        ([("clerk", CLERK), ("link", LINK)], ["clerk"], CLERK),
    ],
)
def test_people_sign_in_in_one_way(offered: list[tuple[str, SignIn | None]], asked: list[str], way: SignIn) -> None:
    providers, chosen = in_use([Offering(name, sign_in) for name, sign_in in offered])
    assert [provider.name for provider in providers] == asked
    assert chosen == way


def test_two_ways_stop_start_up() -> None:
    with pytest.raises(ConfigurationError, match="clerk, saml"):
        in_use([Offering("clerk", CLERK), Offering("saml", SignIn())])


VISIT = Visit(CALLER, "/dashboard")


def receiving(answer: Any) -> SignIn:
    def decide(visit: Visit) -> Reception | None:
        assert visit is VISIT
        if isinstance(answer, BaseException):
            raise answer
        reception: Reception | None = answer
        return reception

    return SignIn(receive=decide)


@pytest.mark.parametrize("answer", [None, Reception(ANN), Reception(leads_to="https://login.example.org")])
def test_a_visit_is_received(answer: Reception | None) -> None:
    assert receive(receiving(answer), VISIT) == answer


def test_without_a_receiver_a_visit_is_nothing_special() -> None:
    assert receive(SignIn(), VISIT) is None


@pytest.mark.parametrize("failure", FAILURES, ids=IDS)
def test_a_receiver_that_fails_signs_nobody_out(failure: object, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SignInUnavailable):
        receive(receiving(failure), VISIT)
    assert "The sign-in failed" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("failure", FAILURES, ids=IDS)
def test_one_that_cannot_say_why_somebody_is_signed_out_says_nothing(
    failure: object, caplog: pytest.LogCaptureFixture
) -> None:
    def ended(_: Credentials) -> str:
        if isinstance(failure, BaseException):
            raise failure
        return "x" * 10_000

    assert why_signed_out(SignIn(), CALLER) == ""
    assert why_signed_out(SignIn(ended=ended), CALLER) in ("", "x" * 500)
    assert "hunter2" not in caplog.text


def test_what_a_receiver_raises_on_purpose_is_passed_on() -> None:
    with pytest.raises(InvalidCredentials):
        receive(receiving(InvalidCredentials()), VISIT)
