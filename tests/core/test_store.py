"""Instances in the database."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from clawdeploy.core.contracts import Instance, Operation, Secret, Status, Wish
from clawdeploy.core.errors import DatabaseUnavailable, InstanceNotFound, InvalidInput, NoFreePort, WrongKey
from clawdeploy.core.platform import Platform
from clawdeploy.core.store import ID_LENGTH, ID_LETTERS, InstanceStore, new_id
from tests.core.surroundings import OWNER, STRANGER, Clock, Surroundings

PORTS = (10000, 10009)
COLUMNS = {
    "name": "test",
    "model": "gpt-5.2",
    "channel": "telegram",
    "blueprint": "standin",
    "wish": Wish.RUN,
    "status": Status.PENDING,
    "operation": Operation.CREATE,
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(surroundings: Surroundings, platform: Platform, clock: Clock) -> InstanceStore:
    """A store on a database whose tables the platform has made."""
    return InstanceStore(surroundings.looking(), surroundings.rows, surroundings.vault(), clock)


@pytest.fixture
def insert(store: InstanceStore) -> Callable[..., Instance]:
    def insert(owner: str = OWNER, ports: tuple[int, int] = PORTS, **values: str) -> Instance:
        secrets = {name: Secret(value) for name, value in values.items()}
        return store.insert({**COLUMNS, "owner": owner}, secrets, ports)

    return insert


def test_ids_are_fit_for_urls_and_names_and_never_the_same() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(each) == ID_LENGTH and set(each) <= set(ID_LETTERS) for each in ids)


def test_what_is_stored_is_what_comes_back(store: InstanceStore, insert: Callable[..., Instance], clock: Clock) -> None:
    inserted = insert(apiKey="sk-1", botToken="token")
    assert store.owned(OWNER, inserted.id) == inserted
    assert inserted.secrets_set == {"apiKey", "botToken"}
    assert (inserted.config, inserted.region, inserted.container_id) == ({}, None, None)
    assert abs(clock() - inserted.created_at) < timedelta(seconds=10)
    assert inserted.created_at.utcoffset() == timedelta(0)
    assert store.secrets(inserted.id) == {"apiKey": Secret("sk-1"), "botToken": Secret("token")}


def test_any_text_comes_back_as_it_was(store: InstanceStore, insert: Callable[..., Instance]) -> None:
    instance = insert()
    for text in ("näme", "🙂", "'; DROP TABLE instance; --", "%s", "a\tb", "\u202e", "\ufeff"):
        config = {text: [text, {"deep": text}], "number": 1.5, "none": None, "true": True}
        store.change(OWNER, instance.id, {"name": text, "config": config}, {})
        changed = store.owned(OWNER, instance.id)
        assert (changed.name, changed.config) == (text, config)


def test_another_owner_finds_nothing(store: InstanceStore, insert: Callable[..., Instance]) -> None:
    instance = insert(apiKey="sk-1")
    with pytest.raises(InstanceNotFound):
        store.owned(STRANGER, instance.id)
    with pytest.raises(InstanceNotFound):
        store.change(STRANGER, instance.id, {"name": "mine now"}, {"apiKey": None})
    assert store.page(STRANGER, None, None).instances == []
    assert store.owned(OWNER, instance.id) == instance


def test_what_is_deleted_is_hidden_from_its_owner(store: InstanceStore, insert: Callable[..., Instance]) -> None:
    instance = insert()
    with store.database.transaction():
        store.row.update(status=Status.DELETED).execute()
    with pytest.raises(InstanceNotFound):
        store.owned(OWNER, instance.id)
    with pytest.raises(InstanceNotFound):
        store.change(OWNER, instance.id, {"name": "back"}, {})
    assert store.page(OWNER, None, None).instances == []
    assert [row.id for row in store.all_rows()] == [instance.id]


def test_secrets_are_set_replaced_kept_and_removed(store: InstanceStore, insert: Callable[..., Instance]) -> None:
    instance = insert(apiKey="one", botToken="kept")
    store.change(OWNER, instance.id, {}, {"apiKey": Secret("two"), "extra": Secret("three")})
    assert store.secrets(instance.id) == {
        "apiKey": Secret("two"), "botToken": Secret("kept"), "extra": Secret("three")
    }  # fmt: skip
    changed = store.change(OWNER, instance.id, {}, {"apiKey": None, "extra": None, "never": None})
    assert changed.secrets_set == {"botToken"}


def test_a_change_moves_only_what_it_changes(
    store: InstanceStore, insert: Callable[..., Instance], clock: Clock
) -> None:
    instance = insert()
    clock.advance(seconds=5)
    changed = store.change(OWNER, instance.id, {"name": "new"}, {})
    assert changed.updated_at > instance.updated_at
    assert (changed.created_at, changed.status_since) == (instance.created_at, instance.status_since)


def test_a_ciphertext_opens_only_where_it_belongs(store: InstanceStore, insert: Callable[..., Instance]) -> None:
    one, two = insert(apiKey="one"), insert(apiKey="two")
    secret = store._secret
    with store.database.transaction():
        stolen = secret.get(secret.instance_id == one.id).ciphertext
        secret.update(ciphertext=stolen).where(secret.instance_id == two.id).execute()
    with pytest.raises(WrongKey):
        store.secrets(two.id)


# -- pages -----------------------------------------------------------------------------------------------------------


def test_instances_come_newest_first_in_pages(
    store: InstanceStore, insert: Callable[..., Instance], clock: Clock
) -> None:
    ids = []
    for _ in range(5):
        ids.append(insert().id)
        clock.advance(seconds=1)
    insert(STRANGER)
    newest = list(reversed(ids))
    assert [each.id for each in store.page(OWNER, None, None).instances] == newest
    first = store.page(OWNER, 2, None)
    second = store.page(OWNER, 2, first.next_cursor)
    third = store.page(OWNER, 2, second.next_cursor)
    assert [each.id for page in (first, second, third) for each in page.instances] == newest
    assert third.next_cursor is None
    assert store.page(OWNER, 5, None).next_cursor is None


def test_instances_of_one_moment_are_neither_lost_nor_repeated(
    store: InstanceStore, insert: Callable[..., Instance]
) -> None:
    ids = {insert().id for _ in range(5)}
    with store.database.transaction():
        store.row.update(created_at=store.clock()).execute()
    seen: list[str] = []
    cursor = None
    for _ in range(5):
        page = store.page(OWNER, 1, cursor)
        seen += [each.id for each in page.instances]
        cursor = page.next_cursor
    assert (set(seen), len(seen), cursor) == (ids, 5, None)


def test_a_page_is_steady_while_newer_ones_are_made(
    store: InstanceStore, insert: Callable[..., Instance], clock: Clock
) -> None:
    old = insert()
    clock.advance(seconds=1)
    middle = insert()
    first = store.page(OWNER, 1, None)
    clock.advance(seconds=1)
    insert()
    assert [each.id for each in first.instances] == [middle.id]
    assert [each.id for each in store.page(OWNER, 1, first.next_cursor).instances] == [old.id]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


BAD_CURSORS = [
    "",
    "x",
    "====",
    "not a cursor",
    "\x00",
    "\ud800",
    "ü",
    "a" * 10_000,
    encoded("1700000000000000"),
    encoded("1700000000000000."),
    encoded("1700000000000000.\x00"),
    encoded("1700000000000000.' OR 1=1"),
    encoded("-1.abc"),
    encoded("99999999999999999999999.abc"[:40]),
    encoded("nan.abc"),
    encoded("17000000000000\ud800.abc"),
    encoded("9" * 5000 + ".abc"),
]


def test_a_cursor_that_is_not_ours_is_refused(store: InstanceStore) -> None:
    for cursor in BAD_CURSORS:
        with pytest.raises(InvalidInput) as refused:
            store.page(OWNER, 1, cursor)
        assert list(refused.value.errors) == ["cursor"], cursor


# -- ports -----------------------------------------------------------------------------------------------------------


def test_ports_are_unique_in_range_and_all_of_them_usable(
    store: InstanceStore, insert: Callable[..., Instance]
) -> None:
    used = {insert().host_port for _ in range(10)}
    assert used == set(range(10000, 10010))
    with pytest.raises(NoFreePort) as refused:
        store.with_free_port((10000, 10009), (), lambda port: port)
    assert (
        refused.value.detail
        == "All ports from 10000 to 10009 were in use. Delete a bot or widen the port range, then try again."
    )
    assert insert().host_port is None
    assert insert().host_port is None
    with store.database.transaction():
        store.row.delete().where(store.row.host_port == 10004).execute()
    assert insert().host_port == 10004


def test_ports_are_unique_among_many_threads(store: InstanceStore, insert: Callable[..., Instance]) -> None:
    with ThreadPoolExecutor(8) as threads:
        ports = list(threads.map(lambda _: insert(ports=(10000, 10063)).host_port, range(64)))
    assert sorted(filter(None, ports)) == list(range(10000, 10064))


def test_a_port_that_was_found_taken_is_not_given(store: InstanceStore) -> None:
    given = {store.with_free_port((10000, 10003), (10000, 10002), lambda port: port) for _ in range(30)}
    assert given == {10001, 10003}
    with pytest.raises(NoFreePort):
        store.with_free_port((10000, 10001), (10000, 10001), lambda port: port)


def test_a_port_that_is_lost_to_others_again_and_again(store: InstanceStore, insert: Callable[..., Instance]) -> None:
    taken = insert().host_port

    def write(port: int) -> None:
        store.row.create(**COLUMNS, owner=OWNER, id=new_id(), host_port=taken, created_at=store.clock(),
                         updated_at=store.clock(), status_since=store.clock())  # fmt: skip

    with pytest.raises(DatabaseUnavailable) as refused:
        store.with_free_port(PORTS, (), write)
    assert "Too many bots" in refused.value.detail
    assert len(store.all_rows()) == 1


class TestSearching:
    @pytest.fixture
    def named(self, store: InstanceStore, clock: Clock) -> None:
        for owner, name in ((OWNER, "Ärger 100%"), (OWNER, "Zoë_1"), (OWNER, "plain"), (STRANGER, "plain")):
            store.insert({**COLUMNS, "owner": owner, "name": name}, {}, PORTS)
            clock.advance(seconds=1)

    @pytest.mark.usefixtures("named")
    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("", ["plain", "Zoë_1", "Ärger 100%"]),
            ("äRG", ["Ärger 100%"]),
            ("ZOË", ["Zoë_1"]),
            ("%", ["Ärger 100%"]),
            ("_", ["Zoë_1"]),
            ("nothing", []),
            ("A", ["plain"]),
        ],
    )
    def test_a_name_is_found_by_any_part_whatever_its_case(
        self, store: InstanceStore, text: str, names: list[str]
    ) -> None:
        found = store.search(OWNER, text, "", 0, 10)
        assert [one.name for one in found.instances] == names
        assert found.total == len(names)

    @pytest.mark.usefixtures("named")
    def test_a_page_comes_with_the_whole_number_and_the_number_of_each_status(self, store: InstanceStore) -> None:
        first = store.search(OWNER, "", "pending", 0, 2)
        assert ([one.name for one in first.instances], first.total) == (["plain", "Zoë_1"], 3)
        assert first.counts == {Status.PENDING: 3}
        assert [one.name for one in store.search(OWNER, "", "", 2, 2).instances] == ["Ärger 100%"]
        for status in ("running", "deleted", "no such status"):
            found = store.search(OWNER, "", status, 0, 2)
            assert (found.instances, found.total, found.counts) == ([], 0, {Status.PENDING: 3})
