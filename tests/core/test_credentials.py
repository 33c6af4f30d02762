"""Credentials that we issue: only hashes are kept, and what is single-use is used once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from clawdeploy.core.contracts import CredentialStore
from clawdeploy.core.errors import InvalidInput
from clawdeploy.core.platform import Platform
from clawdeploy.core.testing import eventually
from tests.core.surroundings import OWNER, STRANGER, Clock, Surroundings

KIND, OTHER_KIND = "api_token", "session"
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(surroundings: Surroundings, clock: Clock) -> CredentialStore:
    return surroundings.open(clock=clock).credentials


def test_a_credential_is_shown_once_and_kept_as_a_hash(
    surroundings: Surroundings, store: CredentialStore, clock: Clock
) -> None:
    secret, record = store.issue(KIND, OWNER, prefix="cd_", label="laptop", lifetime=HOUR)
    value = secret.reveal()
    assert value.startswith("cd_")
    assert len(value) >= 46
    assert (record.kind, record.user_id, record.label, record.last_used_at) == (KIND, OWNER, "laptop", None)
    assert record.expires_at == record.created_at + HOUR
    with surroundings.looking().reading():
        (row,) = surroundings.rows.credential.select().dicts()
    assert value not in str(row)
    assert value[3:] not in str(row)


def test_a_live_credential_is_found_by_its_value_only(store: CredentialStore) -> None:
    secret, record = store.issue(KIND, OWNER)
    found = store.find(KIND, secret.reveal())
    assert found
    assert found.id == record.id
    for wrong in ("", secret.reveal() + "x", secret.reveal()[:-1], record.id, "\x00", "\ud800", "x" * 100_000):
        assert store.find(KIND, wrong) is None
    assert store.find(OTHER_KIND, secret.reveal()) is None, "a link is no session"


def test_an_expired_credential_is_dead_and_can_be_forgotten(store: CredentialStore, clock: Clock) -> None:
    mortal, _ = store.issue(KIND, OWNER, lifetime=HOUR)
    immortal, _ = store.issue(KIND, OWNER)
    clock.advance(hours=1)
    assert store.find(KIND, mortal.reveal()) is None
    assert store.redeem(KIND, mortal.reveal()) is None
    assert len(store.list(KIND)) == 1
    assert store.prune() == 1
    assert store.prune() == 0
    clock.advance(days=10_000)
    assert store.find(KIND, immortal.reveal())


def test_a_credential_that_lives_no_time_at_all_is_dead_at_once(store: CredentialStore) -> None:
    secret, _ = store.issue(KIND, OWNER, lifetime=timedelta(0))
    assert store.find(KIND, secret.reveal()) is None


def test_its_use_is_noted_at_most_once_a_minute(store: CredentialStore, clock: Clock) -> None:
    secret, _ = store.issue(KIND, OWNER)

    def last_used() -> object:
        return store.list(KIND)[0].last_used_at

    store.find(KIND, secret.reveal())
    first = last_used()
    assert first
    clock.advance(seconds=50)
    store.find(KIND, secret.reveal())
    assert last_used() == first
    clock.advance(seconds=11)
    store.find(KIND, secret.reveal())
    assert last_used() != first


def test_a_revoked_credential_is_dead(store: CredentialStore) -> None:
    secret, record = store.issue(KIND, OWNER)
    assert not store.revoke(KIND, record.id, STRANGER)
    assert not store.revoke(OTHER_KIND, record.id)
    assert not store.revoke(KIND, "nobody")
    assert store.find(KIND, secret.reveal())
    assert store.revoke(KIND, record.id, OWNER)
    assert not store.revoke(KIND, record.id)
    assert store.find(KIND, secret.reveal()) is None


def test_of_many_that_redeem_at_once_one_gets_it(store: CredentialStore) -> None:
    secret, record = store.issue(KIND, OWNER, lifetime=HOUR)
    with ThreadPoolExecutor(8) as threads:
        redeemed = list(threads.map(lambda _: store.redeem(KIND, secret.reveal()), range(16)))
    assert [each.id for each in redeemed if each] == [record.id]
    assert store.redeem(KIND, secret.reveal()) is None


def test_credentials_are_listed_newest_first_by_kind_and_user(store: CredentialStore, clock: Clock) -> None:
    ids = []
    for owner in (OWNER, STRANGER, OWNER):
        ids.append(store.issue(KIND, owner)[1].id)
        clock.advance(seconds=1)
    store.issue(OTHER_KIND, OWNER)
    assert [record.id for record in store.list(KIND)] == list(reversed(ids))
    assert [record.id for record in store.list(KIND, OWNER)] == [ids[2], ids[0]]
    assert store.list(KIND, "nobody") == []


def test_a_user_or_label_that_cannot_be_shown_is_refused(surroundings: Surroundings, store: CredentialStore) -> None:
    for name in ("", " ann", "ann ", "a\nb", "\x00", "\x1b[0m", "x" * 101, "\ud800"):
        with pytest.raises(InvalidInput) as refused:
            store.issue(KIND, name)
        assert list(refused.value.errors) == ["user"]
        if name:
            with pytest.raises(InvalidInput) as refused:
                store.issue(KIND, OWNER, label=name)
            assert list(refused.value.errors) == ["name"]
    assert surroundings.count("credential") == 0


def test_a_label_takes_the_joiners_of_any_script_and_a_user_does_not(store: CredentialStore) -> None:
    for text in ("👨\u200d👩\u200d👧", "می\u200cروم"):
        assert store.issue(KIND, OWNER, label=text)[1].label == text
        with pytest.raises(InvalidInput):
            store.issue(KIND, text)
    for text in ("\u200d", "a\u202eb"):
        with pytest.raises(InvalidInput):
            store.issue(KIND, OWNER, label=text)


def test_a_credential_works_while_nobody_can_write(
    surroundings: Surroundings, store: CredentialStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """To note its use is worth a try, and no more."""
    secret, record = store.issue(KIND, OWNER)
    row = surroundings.rows.credential
    with surroundings.looking().transaction():
        assert row.update(label="locked").where(row.id == record.id).execute() == 1
        for _ in range(3):
            found = store.find(KIND, secret.reveal())
            assert found
            assert found.id == record.id
    assert caplog.text.count("could not be noted") == 1, "it is not tried, and waited for, again and again"
    assert secret.reveal() not in caplog.text

    def noted() -> bool:
        clock.advance(minutes=1)
        store.find(KIND, secret.reveal())
        return store.list(KIND)[0].last_used_at is not None

    assert eventually(noted, 5)


def test_while_one_waits_to_note_a_use_no_other_does(surroundings: Surroundings, store: CredentialStore) -> None:
    secret, record = store.issue(KIND, OWNER)
    row = surroundings.rows.credential
    with ThreadPoolExecutor(1) as threads:
        with surroundings.looking().transaction():
            assert row.update(label="locked").where(row.id == record.id).execute() == 1
            waiting = threads.submit(store.find, KIND, secret.reveal())
            assert eventually(store._noting.locked, 5)  # type: ignore[attr-defined]
            assert store.find(KIND, secret.reveal())
            assert not waiting.done()
        assert waiting.result(10)


def test_any_other_user_and_label(store: CredentialStore) -> None:
    for name in ("ann", "user_2abc", "Ännchen 🙂", "a'b; DROP TABLE credential", "x" * 100):
        _, record = store.issue(KIND, name, label=name)
        assert (record.user_id, record.label) == (name, name)


def test_they_outlive_the_process(surroundings: Surroundings, open_again: Callable[[], Platform]) -> None:
    secret, record = surroundings.open().credentials.issue(KIND, OWNER)
    found = open_again().credentials.find(KIND, secret.reveal())
    assert found == record


@pytest.fixture
def open_again(surroundings: Surroundings) -> Callable[[], Platform]:
    return surroundings.open
