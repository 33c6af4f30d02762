"""API tokens, issued by the real store and recognized from the header a program sends."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from clawdeploy.core.contracts import Credentials, Identity
from clawdeploy.core.errors import InvalidCredentials, NotSignedIn
from clawdeploy.core.events import CredentialIssued, CredentialRevoked
from clawdeploy.core.platform import Platform
from clawdeploy.plugins.api_tokens import token
from tests.platforms import memory_platform
from tests.plugins.surroundings import Clock, Listener, OpenedAlready


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock, listener: Listener) -> Iterator[Platform]:
    opened = memory_platform(tmp_path, clock=clock, plugins={"listener": listener})
    yield opened
    opened.close()


def run(platform: Platform, *arguments: str) -> Result:
    return CliRunner().invoke(token, arguments, obj=OpenedAlready(platform))


def issue(platform: Platform, *arguments: str) -> str:
    result = run(platform, "create", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.removesuffix("\n")


def who(platform: Platform, authorization: str) -> Identity:
    return platform.authenticate(Credentials({"authorization": authorization}, {}))


def test_a_token_is_printed_alone_and_says_who_is_calling(platform: Platform) -> None:
    value = issue(platform, "me", "--name", "laptop")
    assert value.startswith("cd_")
    assert len(value.split()) == 1
    identity = who(platform, f"Bearer {value}")
    assert (identity.user_id, identity.provider, identity.ambient) == ("me", "api_tokens", False)


@pytest.mark.parametrize("form", ["bearer {}", "BEARER {}", "Bearer   {} "])
def test_the_scheme_is_read_as_http_says(platform: Platform, form: str) -> None:
    assert who(platform, form.format(issue(platform, "me"))).user_id == "me"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic bWU6cHc=", "Bearer eyJhbGciOi.x.y", "cd_abc"]
)
def test_other_credentials_are_left_to_other_providers(platform: Platform, authorization: str) -> None:
    with pytest.raises(NotSignedIn):
        who(platform, authorization)


@pytest.mark.parametrize(
    "value", ["cd_", "cd_unknown", "cd_ with spaces", "cd_\x00", "cd_\ud800", "cd_" + "x" * 10_000]
)
def test_an_unknown_or_malformed_token_is_refused(platform: Platform, value: str) -> None:
    with pytest.raises(InvalidCredentials):
        who(platform, f"Bearer {value}")


def test_a_sign_in_link_is_not_a_token(platform: Platform) -> None:
    link, _ = platform.credentials.issue("sign_in_link", "me", prefix="cd_")
    with pytest.raises(InvalidCredentials):
        who(platform, f"Bearer {link.reveal()}")


def test_a_token_expires(platform: Platform, clock: Clock) -> None:
    value = issue(platform, "me", "--expires", "12h")
    clock.now += timedelta(hours=11, minutes=59)
    assert who(platform, f"Bearer {value}").user_id == "me"
    clock.now += timedelta(minutes=2)
    with pytest.raises(InvalidCredentials):
        who(platform, f"Bearer {value}")
    assert json.loads(run(platform, "list", "--json").stdout) == {"tokens": []}


def test_a_token_lives_for_90_days_unless_told_otherwise(platform: Platform, clock: Clock) -> None:
    value, immortal = issue(platform, "me"), issue(platform, "me", "--expires", "never")
    clock.now += timedelta(days=89, hours=23)
    assert who(platform, f"Bearer {value}").user_id == "me"
    clock.now += timedelta(hours=1)
    with pytest.raises(InvalidCredentials):
        who(platform, f"Bearer {value}")
    clock.now += timedelta(days=10_000)
    assert who(platform, f"Bearer {immortal}").user_id == "me"


@pytest.mark.parametrize(
    "said", ["0d", "30", "d", "-1d", "1.5d", "30D", "3651d", "90000h", "٣d", "", "tomorrow", "9" * 50 + "d"]
)
def test_an_unreadable_expiry_is_a_usage_error(platform: Platform, said: str) -> None:
    result = run(platform, "create", "me", "--expires", said)
    assert result.exit_code == 2
    assert "12h or 30d" in result.stderr
    assert json.loads(run(platform, "list", "--json").stdout) == {"tokens": []}


def test_the_list_shows_everything_but_the_value(platform: Platform, clock: Clock) -> None:
    value = issue(platform, "me", "--name", "laptop", "--expires", "30d")
    clock.now += timedelta(seconds=1)
    issue(platform, "you", "--expires", "never")
    who(platform, f"Bearer {value}")
    shown = run(platform, "list", "--json").stdout
    newest, oldest = json.loads(shown)["tokens"]
    assert (newest["userId"], newest["name"], newest["expiresAt"], newest["lastUsedAt"]) == ("you", "", None, None)
    assert (oldest["userId"], oldest["name"]) == ("me", "laptop")
    assert datetime.fromisoformat(oldest["expiresAt"]) - datetime.fromisoformat(oldest["createdAt"]) == timedelta(
        days=30
    )
    assert datetime.fromisoformat(oldest["lastUsedAt"]) > datetime.fromisoformat(oldest["createdAt"])
    table = run(platform, "list", "--user", "me").stdout
    assert "laptop" in table
    assert "you" not in table
    assert value not in shown + table


def test_an_empty_list_says_how_to_go_on(platform: Platform) -> None:
    result = run(platform, "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "token create USER" in result.stderr


def test_a_revoked_token_ends_at_once(platform: Platform) -> None:
    value = issue(platform, "me")
    token_id = json.loads(run(platform, "list", "--json").stdout)["tokens"][0]["id"]
    assert run(platform, "revoke", token_id).exit_code == 0
    with pytest.raises(InvalidCredentials):
        who(platform, f"Bearer {value}")
    again = run(platform, "revoke", token_id)
    assert again.exit_code == 1
    assert again.stderr.startswith("Error: There is no token with the id")


@pytest.mark.parametrize(("arguments", "left"), [((), []), (("--user", "me"), ["you"])])
def test_all_are_revoked_at_once(
    platform: Platform, listener: Listener, arguments: tuple[str, ...], left: list[str]
) -> None:
    values = [issue(platform, user) for user in ("me", "me", "you")]
    platform.credentials.issue("session", "me")
    revoked = json.loads(run(platform, "revoke-all", "--json", *arguments).stdout)["revoked"]
    assert len(revoked) == 3 - len(left)
    assert [record.user_id for record in platform.credentials.list("api_token")] == left
    assert len(platform.credentials.list("session")) == 1
    assert sum(isinstance(event, CredentialRevoked) for event in listener.events) == len(revoked)
    with pytest.raises(InvalidCredentials):
        who(platform, f"Bearer {values[0]}")
    noted = [entry.what for entry in platform.audit.newest(100)]
    assert noted.count("api_token.ended") == len(revoked)


def test_only_tokens_can_be_revoked_as_tokens(platform: Platform) -> None:
    _, session = platform.credentials.issue("session", "me")
    assert run(platform, "revoke", session.id).exit_code == 1
    assert [record.id for record in platform.credentials.list("session")] == [session.id]


@pytest.mark.parametrize("user", ["", " me", "a\nb", "x" * 101, "\x1b[31m"])
def test_an_impossible_user_makes_no_token(platform: Platform, user: str) -> None:
    result = run(platform, "create", user)
    assert result.exit_code == 1
    assert result.stdout == ""


def test_observers_are_told(platform: Platform, listener: Listener) -> None:
    value = issue(platform, "me")
    issued = listener.events[-1]
    assert isinstance(issued, CredentialIssued)
    assert (issued.actor, issued.kind, issued.user_id) == ("cli", "api_token", "me")
    run(platform, "revoke", issued.credential_id)
    revoked = listener.events[-1]
    assert isinstance(revoked, CredentialRevoked)
    assert (revoked.kind, revoked.user_id, revoked.credential_id) == ("api_token", "me", issued.credential_id)
    assert value not in repr(listener.events)


def test_every_command_explains_itself() -> None:
    for name, command in token.commands.items():
        assert command.get_short_help_str(), name
        with click.Context(command) as context:
            assert command.get_help(context)
