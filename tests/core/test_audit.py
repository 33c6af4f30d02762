"""The audit trail: an entry for each change of a credential, kept for a while, pushed out by nobody."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core import audit as audit_module
from clawdeploy.core.audit import FAILED, LONGEST_DETAIL, AuditEntry
from clawdeploy.core.context import address, begin_request, user
from clawdeploy.core.database import MIGRATIONS
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.platform import Platform
from tests.core.surroundings import OWNER, Clock, Surroundings, made


@pytest.fixture(autouse=True)
def _nobody() -> Iterator[None]:
    begin_request()
    yield
    begin_request()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(surroundings: Surroundings, clock: Clock) -> Platform:
    return surroundings.open(clock=clock, AUDIT_DAYS=30)


def told(platform: Platform, **which: Any) -> list[tuple[str, str, str]]:
    return [(entry.who, entry.what, entry.user_id) for entry in platform.audit.newest(1000, **which)]


def test_every_change_of_a_credential_is_noted_whoever_makes_it(platform: Platform) -> None:
    credentials = platform.credentials
    user.set("cli")
    link, _ = credentials.issue("sign_in_link", "ann")
    user.set("")
    address.set("192.0.2.7")
    used = credentials.redeem("sign_in_link", link.reveal())
    assert used is not None
    secret, session = credentials.issue("session", used.user_id, label="Firefox on Linux")
    user.set("bob")
    assert not credentials.revoke("session", session.id, "bob"), "it is not his"
    assert credentials.redeem("sign_in_link", link.reveal()) is None
    user.set("ann")
    assert credentials.revoke("session", session.id, "ann")
    assert not credentials.revoke("session", session.id, "ann")
    assert told(platform) == [
        ("ann", "session.ended", "ann"),
        ("ann", "session.made", "ann"),
        ("ann", "sign_in_link.ended", "ann"),
        ("cli", "sign_in_link.made", "ann"),
    ]
    newest = platform.audit.newest(1)[0]
    assert newest == AuditEntry(newest.at, "ann", "session.ended", "ann", session.id, "192.0.2.7", "Firefox on Linux")
    for value in (link.reveal(), secret.reveal()):
        assert value not in str(platform.audit.newest(1000))


def test_without_its_entry_nothing_is_changed(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = platform.credentials.issue("api_token", "ann")

    def fails(*arguments: object, **named: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(platform.audit, "note", fails)
    with pytest.raises(DatabaseUnavailable):
        platform.credentials.issue("api_token", "ann")
    with pytest.raises(DatabaseUnavailable):
        platform.credentials.revoke("api_token", token.id)
    assert platform.credentials.list("api_token") == [token]


def test_of_two_that_end_a_credential_at_once_one_is_noted(platform: Platform, surroundings: Surroundings) -> None:
    _, token = platform.credentials.issue("api_token", "ann")
    row = surroundings.rows.credential
    with ThreadPoolExecutor(1) as threads:
        with surroundings.looking().transaction():
            row.delete().where(row.id == token.id).execute()
            # It finds what is not gone yet for anybody else, and has to wait before it can delete that, too.
            asked = threads.submit(platform.credentials.revoke, "api_token", token.id)
            assert not wait([asked], 0.5).done
        assert asked.result(10) is False
    assert [what for _, what, _ in told(platform)] == ["api_token.made"]


def test_entries_have_an_age(platform: Platform, surroundings: Surroundings, clock: Clock) -> None:
    platform.audit.note("old", user_id="ann")
    clock.advance(days=20)
    platform.audit.note("middle", user_id="bob")
    assert [what for _, what, _ in told(platform, user_id="bob")] == ["middle"]
    assert [what for _, what, _ in told(platform, since=platform.clock())] == []
    clock.advance(days=10, seconds=1)
    assert [what for _, what, _ in told(platform)] == ["middle"], "what is too old is not shown"
    assert surroundings.count("audit") == 2
    platform.audit.note("new")
    assert surroundings.count("audit") == 2, "nor kept when there is a newer one"
    clock.advance(days=100)
    platform.audit.forget_old()
    assert surroundings.count("audit") == 0


def test_a_server_that_starts_forgets_what_is_too_old(surroundings: Surroundings, clock: Clock) -> None:
    platform = surroundings.open(clock=clock, AUDIT_DAYS=1)
    platform.audit.note("old")
    clock.advance(days=2)
    platform.start_background()
    assert surroundings.count("audit") == 0


def test_failures_push_out_nothing_but_failures(
    platform: Platform, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "MOST_FAILURES", 5)
    monkeypatch.setattr(audit_module, "LOOKED_AT_EVERY", 10)
    platform.credentials.issue("api_token", "ann")
    for _ in range(60):
        platform.audit.note(FAILED)
    whats = [what for _, what, _ in told(platform)]
    assert 5 <= whats.count(FAILED) < 5 + 2 * 10
    assert whats.count("api_token.made") == 1


def test_an_entry_is_bounded(platform: Platform) -> None:
    platform.audit.note("long", detail="x" * 10**6)
    assert len(platform.audit.newest(1)[0].detail) == LONGEST_DETAIL


def test_a_database_of_the_version_before_keeps_its_rows_and_begins_a_trail(surroundings: Surroundings) -> None:
    assert (Path(MIGRATIONS) / "0013_audit.py").exists()
    platform = surroundings.open()
    instance_id = made(platform, apiKey="sk-1")
    token, _ = platform.credentials.issue("api_token", OWNER)
    platform.close()
    with surroundings.looking().transaction():
        for statement in ("DROP TABLE audit", "DELETE FROM schema_migration WHERE name = '0013_audit'"):
            surroundings.looking().peewee.execute_sql(statement)
    before = surroundings.row(instance_id).__data__
    newer = surroundings.open()
    assert newer.applied_migrations == ["0013_audit"]
    assert surroundings.row(instance_id).__data__ == before
    assert newer.instances.get(OWNER, instance_id).secrets_set == {"apiKey"}
    record = newer.credentials.find("api_token", token.reveal())
    assert record is not None
    assert newer.audit.newest(10) == []
    newer.credentials.revoke("api_token", record.id)
    assert [entry.what for entry in newer.audit.newest(10)] == ["api_token.ended"]
