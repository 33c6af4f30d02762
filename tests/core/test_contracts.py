"""What crosses the seams says little about secrets and cannot be changed on the way."""

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from clawdeploy.core import contracts, events
from clawdeploy.core.contracts import Bot, Credentials, Limits, Secret, SecretFile, SeededFile
from clawdeploy.core.events import Event
from clawdeploy.plugins.telegram import Telegram

VALUE = "hunter2"


def test_a_secret_is_seen_only_by_who_asks() -> None:
    secret = Secret(VALUE)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>9}", repr([secret, {1: secret}])):
        assert VALUE not in shown
    assert secret.reveal() == VALUE
    assert not hasattr(secret, "__dict__")


def test_secrets_are_compared_by_value() -> None:
    assert Secret("x") == Secret("x")
    assert Secret("x") != Secret("y")
    assert Secret("x") != "x"
    assert len({Secret("x"), Secret("x")}) == 1


def test_what_carries_secrets_does_not_show_them() -> None:
    bot = Bot("one", "bot", "gpt-5.2", Telegram(), 10000, {"apiKey": Secret(VALUE)}, {})
    carriers: list[object] = [
        bot,
        SecretFile("/run/key", Secret(VALUE)),
        SeededFile("/srv/config", VALUE.encode()),
        Credentials({"authorization": VALUE, "cookie": VALUE}, {"session": VALUE}),
    ]
    for carrier in carriers:
        assert VALUE not in repr(carrier)
    assert repr(carriers[-1]) == "Credentials(headers=['authorization', 'cookie'], cookies=['session'])"


@pytest.mark.parametrize("name", [name for name in contracts.__all__ if is_dataclass(getattr(contracts, name))])
def test_what_is_handed_over_is_frozen(name: str) -> None:
    assert getattr(contracts, name).__dataclass_params__.frozen, f"{name} must be frozen"


def test_frozen_means_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits(1, 1.0, 1).pids = 2  # type: ignore[misc]


def event_kinds() -> list[type[Event]]:
    found = [each for each in vars(events).values() if isinstance(each, type) and issubclass(each, Event)]
    return [each for each in found if each is not Event]


@pytest.mark.parametrize("kind", event_kinds())
def test_events_say_when_and_who_and_hold_no_secret(kind: type[Event]) -> None:
    assert kind.__doc__
    assert [field.name for field in fields(kind)][:2] == ["at", "actor"]
    assert not {"value", "secret", "token", "password"} & {field.name for field in fields(kind)}
    assert all("Secret" not in str(field.type) for field in fields(kind))


def test_every_name_that_is_exported_is_there() -> None:
    for name in contracts.__all__:
        assert getattr(contracts, name).__doc__ or name in ("MISSING", "Access"), name
