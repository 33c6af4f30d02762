"""A session that another service keeps has one entry in the audit trail, whoever sees it first."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from clawdeploy.core import arrivals
from clawdeploy.core.arrivals import PAUSE, Arrivals
from clawdeploy.core.context import address
from clawdeploy.core.contracts import Identity
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.platform import Platform
from tests.core.surroundings import Clock, Surroundings

ANN = Identity("user_ann", "elsewhere", ambient=True, session="sess_1")


def arrived(platform: Platform) -> list[tuple[str, str, str, str]]:
    return [(each.what, each.user_id, each.subject, each.detail) for each in platform.audit.newest(1000)]


def test_the_first_use_is_noted_and_no_other(surroundings: Surroundings) -> None:
    platform, restarted = surroundings.open(), surroundings.open()
    noting, again = (Arrivals(each.audit, each.clock) for each in (platform, restarted))
    token = address.set("192.0.2.7")
    for identity in (
        ANN,
        ANN,
        Identity("user_ann", "elsewhere", ambient=False, session="sess_2"),
        Identity("user_bob", "elsewhere", ambient=True, session="sess_1"),
        Identity("user_ann", "local", ambient=True, credential_id="abc"),
    ):
        noting.note(identity)
        again.note(identity)
    address.reset(token)
    assert sorted(arrived(platform)) == [
        ("signed_in_with.elsewhere", "user_ann", "sess_1", "in a browser"),
        ("signed_in_with.elsewhere", "user_ann", "sess_2", "by a bearer token"),
        ("signed_in_with.elsewhere", "user_bob", "sess_1", "in a browser"),
    ]
    first = platform.audit.newest(1)[0]
    assert (first.who, first.address) == (first.user_id, "192.0.2.7")


def test_of_several_processes_that_see_it_at_once_one_notes_it(surroundings: Surroundings) -> None:
    platforms = [surroundings.open() for _ in range(4)]
    noting = [Arrivals(platform.audit, platform.clock) for platform in platforms]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda each: each.note(ANN), noting))
    assert len(arrived(platforms[0])) == 1


def test_who_is_known_costs_nothing_and_few_are_kept(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = surroundings.open()
    noting = Arrivals(platform.audit, platform.clock)
    monkeypatch.setattr(arrivals, "MOST_REMEMBERED", 3)
    for number in range(10):
        noting.note(Identity("user_ann", "elsewhere", ambient=True, session=f"sess_{number}"))
    assert len(noting._known) == 3
    with monkeypatch.context() as broken:
        broken.setattr(platform.audit, "note_first", lambda *_, **__: pytest.fail("it asks"))
        noting.note(Identity("user_ann", "elsewhere", ambient=True, session="sess_9"))


def test_nobody_is_kept_out_because_nobody_can_write(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    platform = surroundings.open(clock=clock)
    noting = Arrivals(platform.audit, platform.clock)
    asked = []

    def fails(*_: object, **__: object) -> None:
        asked.append(1)
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(platform.audit, "note_first", fails)
        for _ in range(5):
            noting.note(ANN)
        assert len(asked) == 1, "it is not tried again at once"
        assert "user_ann could not be noted" in caplog.text
    noting.note(ANN)
    assert arrived(platform) == []
    clock.advance(seconds=PAUSE.total_seconds())
    noting.note(ANN)
    assert len(arrived(platform)) == 1
