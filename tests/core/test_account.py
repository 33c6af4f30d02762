"""An account: its owner sees, makes and ends credentials, and nobody else does."""

from datetime import timedelta
from pathlib import Path

import pytest

from clawdeploy.core.account import LIFETIMES, MOST
from clawdeploy.core.contracts import Credentials, Identity
from clawdeploy.core.errors import CredentialNotFound, InvalidCredentials, InvalidInput, SignInByBrowserNeeded
from clawdeploy.core.events import CredentialIssued, CredentialRevoked, Event
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.platform import Platform
from tests.platforms import memory_platform

ANN = Identity("ann", "local", ambient=True)
BOB = Identity("bob", "local", ambient=True)
TOKENS = "api_token"


class Observer:
    """Keeps the events about credentials."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    @hookimpl
    def observe(self, event: Event) -> None:
        if isinstance(event, CredentialIssued | CredentialRevoked):
            self.seen.append((type(event).__name__, event.actor, event.user_id))


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def platform(tmp_path: Path, migrated_url: str, observer: Observer) -> Platform:
    return memory_platform(tmp_path, DATABASE_URL=migrated_url, plugins={"observer": observer})


def bearer(value: str) -> Credentials:
    return Credentials({"authorization": f"Bearer {value}"}, {})


def test_a_token_that_was_made_works_until_its_owner_ends_it(platform: Platform, observer: Observer) -> None:
    secret, record = platform.account.make(ANN, TOKENS, "  my script ", "never")
    assert (record.label, record.expires_at) == ("my script", None)
    assert platform.authenticate(bearer(secret.reveal())).user_id == "ann"
    assert [one.id for one in platform.account.credentials(ANN, TOKENS)] == [record.id]
    platform.account.end(ANN, TOKENS, record.id)
    with pytest.raises(InvalidCredentials):
        platform.authenticate(bearer(secret.reveal()))
    assert platform.account.credentials(ANN, TOKENS) == []
    assert observer.seen == [("CredentialIssued", "ann", "ann"), ("CredentialRevoked", "ann", "ann")]


@pytest.mark.parametrize("lifetime", [days for days in LIFETIMES if days != "never"])
def test_it_lives_as_long_as_was_chosen(platform: Platform, lifetime: str) -> None:
    _, record = platform.account.make(ANN, TOKENS, "script", lifetime)
    assert record.expires_at == record.created_at + timedelta(days=int(lifetime))


def test_nobody_sees_or_ends_what_is_anothers(platform: Platform) -> None:
    secret, record = platform.account.make(ANN, TOKENS, "script", "30")
    assert platform.account.credentials(BOB, TOKENS) == []
    with pytest.raises(CredentialNotFound):
        platform.account.end(BOB, TOKENS, record.id)
    with pytest.raises(CredentialNotFound):
        platform.account.end(ANN, "session", record.id)
    assert platform.authenticate(bearer(secret.reveal())).user_id == "ann"


def test_a_program_neither_makes_nor_ends_credentials(platform: Platform) -> None:
    _, record = platform.account.make(ANN, TOKENS, "script", "30")
    program = Identity("ann", "api_tokens", ambient=False)
    with pytest.raises(SignInByBrowserNeeded):
        platform.account.make(program, TOKENS, "another", "never")
    with pytest.raises(SignInByBrowserNeeded):
        platform.account.end(program, TOKENS, record.id)
    assert len(platform.account.credentials(program, TOKENS)) == 1


@pytest.mark.parametrize(
    ("label", "lifetime", "fields"),
    [("", "30", {"name"}), (" ", "31", {"name", "lifetime"}), ("x" * 101, "30", {"name"}), ("a\nb", "30", {"name"})],
)
def test_what_cannot_be_is_said_by_field(platform: Platform, label: str, lifetime: str, fields: set[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        platform.account.make(ANN, TOKENS, label, lifetime)
    assert set(refused.value.errors) == fields
    assert platform.account.credentials(ANN, TOKENS) == []


@pytest.mark.parametrize("kind", ["session", "sign_in_link", "", "nonsense"])
def test_only_kinds_that_say_so_can_be_made(platform: Platform, kind: str) -> None:
    with pytest.raises(CredentialNotFound):
        platform.account.make(ANN, kind, "script", "30")


def test_sign_in_links_are_on_no_page(platform: Platform) -> None:
    with pytest.raises(CredentialNotFound):
        platform.account.credentials(ANN, "sign_in_link")


def test_there_is_a_most(platform: Platform) -> None:
    for number in range(MOST):
        platform.account.make(ANN, TOKENS, f"script {number}", "30")
    with pytest.raises(InvalidInput) as refused:
        platform.account.make(ANN, TOKENS, "one more", "30")
    assert str(MOST) in refused.value.errors["name"][0]
    platform.account.make(BOB, TOKENS, "script", "30")
