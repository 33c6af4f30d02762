"""One readable line for each event, that no value in it can forge."""

import logging
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from clawdeploy.core import events
from clawdeploy.core.contracts import Status
from clawdeploy.core.events import CredentialIssued, Event, InstanceChanged, InstanceCreated, StatusChanged
from clawdeploy.plugins.activity_log import line, observe

NOW = datetime(2026, 1, 31, tzinfo=UTC)
EVENTS = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]


def test_an_event_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "clawdeploy.activity"):
        observe(InstanceCreated(NOW, "me", "abc", "me"))
    assert caplog.messages == ["instance created actor=me instance_id=abc owner=me"]


def test_a_status_change_is_told_in_full() -> None:
    told = line(StatusChanged(NOW, "sync", "abc", "me", Status.RUNNING, Status.ERROR, "crashed", "It ended with 3."))
    assert told == (
        "status changed actor=sync instance_id=abc owner=me before=running after=error reason=crashed "
        "detail='It ended with 3.'"
    )


def test_changed_fields_are_listed() -> None:
    assert line(InstanceChanged(NOW, "me", "abc", "me", ("name", "botToken"))).endswith("fields=name,botToken")


@pytest.mark.parametrize(
    "evil", ["a\nstatus changed", "a\r\nb", "\x1b[2Jgone", "a\x00b", "\u202etxt", "a\u2028b", "\x9bm"]
)
def test_nothing_in_a_value_can_forge_a_line_or_steer_a_terminal(evil: str) -> None:
    told = line(CredentialIssued(NOW, evil, "session", evil, "id"))
    assert told.isprintable()
    assert evil not in told


def test_a_long_value_is_cut() -> None:
    assert len(line(CredentialIssued(NOW, "me", "session", "x" * 100_000, "id"))) < 500


@dataclass(frozen=True)
class BotPraised(Event):
    """An event of somebody else's plugin."""

    stars: int


def test_events_of_other_plugins_are_told_too() -> None:
    assert line(BotPraised(NOW, "me", 5)) == "bot praised actor=me stars=5"


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_of_the_core_can_be_told(kind: Any) -> None:
    values = {field.name: NOW if field.name == "at" else field.name for field in fields(kind)}
    told = line(kind(**values))
    assert all(f"{name}={name}" in told for name in values if name != "at")
