"""Processes of one server share what they fetch, by way of a file: two processes are two objects here."""

import fcntl
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clawdeploy.core.errors import SignInUnavailable
from clawdeploy.plugins.clerk.jwks import FetchFailed
from clawdeploy.plugins.clerk.keys import PublishedKeys
from clawdeploy.plugins.clerk.shared_keys import FILE, LOCK, SharedKeys
from tests.plugins.clerk.frontend_api import FrontendApi, Instance, new_key
from tests.plugins.clerk.surroundings import serving

FIRST = new_key()


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> Iterator[FrontendApi]:
    with serving(Instance(key=FIRST)) as api:
        yield api


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def processes(api: FrontendApi, tmp_path: Path, clock: Clock) -> tuple[SharedKeys, SharedKeys]:
    return SharedKeys(api.origin, tmp_path, clock), SharedKeys(api.origin, tmp_path, clock)


def test_what_one_has_fetched_the_other_reads(processes: tuple[SharedKeys, SharedKeys], api: FrontendApi) -> None:
    first, second = (each.fetch(False) for each in processes)
    assert len(api.fetches) == 1
    assert list(first) == list(second) == ["ins_1"]
    assert first["ins_1"].public_numbers() == second["ins_1"].public_numbers()


def test_a_forced_fetch_is_one_a_minute_for_all(
    processes: tuple[SharedKeys, SharedKeys], api: FrontendApi, clock: Clock
) -> None:
    one, other = processes
    one.fetch(False)
    api.instance.rotate("ins_2")
    assert list(one.fetch(True)) == ["ins_2"], "the first fetch of all is no forced one"
    clock.now += 59
    assert list(other.fetch(True)) == ["ins_2"]
    assert len(api.fetches) == 2
    clock.now += 1
    other.fetch(True)
    assert len(api.fetches) == 3


def test_what_is_a_minute_old_is_fetched_anew(
    processes: tuple[SharedKeys, SharedKeys], api: FrontendApi, clock: Clock
) -> None:
    processes[0].fetch(False)
    clock.now += 60
    processes[1].fetch(False)
    assert len(api.fetches) == 2


def test_that_it_failed_is_shared_too(processes: tuple[SharedKeys, SharedKeys], api: FrontendApi, clock: Clock) -> None:
    processes[0].fetch(False)
    clock.now += 60
    api.mood = "fails"
    for each in processes:
        with pytest.raises(FetchFailed):
            each.fetch(True)
    assert len(api.fetches) == 2
    api.mood = "well"
    clock.now += 5
    assert list(processes[1].fetch(False)) == ["ins_1"], "nobody waits a minute for the end of an outage"
    assert len(api.fetches) == 3


@pytest.mark.parametrize(("hours", "known"), [(1, True), (23, True), (25, False)])
def test_who_starts_in_an_outage_goes_on_with_what_others_had(
    api: FrontendApi, tmp_path: Path, clock: Clock, hours: int, known: bool
) -> None:
    SharedKeys(api.origin, tmp_path, clock).fetch(False)
    api.mood = "fails"
    clock.now += hours * 3600
    for _ in range(2):
        keys = PublishedKeys(SharedKeys(api.origin, tmp_path, clock).fetch, clock)
        if known:
            assert keys.key("ins_1").public_numbers() == FIRST.public_key().public_numbers()
        else:
            with pytest.raises(SignInUnavailable):
                keys.key("ins_1")
        with pytest.raises(SignInUnavailable):
            keys.key("ins_2")
    assert len(api.fetches) in (2, 3)


@pytest.mark.parametrize(("hours", "known"), [(0, True), (23, True), (25, False), (-1, False)])
def test_what_was_fetched_before_is_there_from_the_start(
    api: FrontendApi, tmp_path: Path, clock: Clock, hours: int, known: bool
) -> None:
    SharedKeys(api.origin, tmp_path, clock).fetch(False)
    api.mood = "hangs"
    clock.now += hours * 3600
    shared = SharedKeys(api.origin, tmp_path, clock)
    keys = PublishedKeys(lambda _: {}, clock, shared.kept())
    if known:
        assert keys.key("ins_1").public_numbers() == FIRST.public_key().public_numbers()
    else:
        with pytest.raises(SignInUnavailable):
            keys.key("ins_1")


def test_a_time_to_come_is_no_time(api: FrontendApi, tmp_path: Path, clock: Clock) -> None:
    SharedKeys(api.origin, tmp_path, clock).fetch(False)
    api.mood = "fails"
    clock.now -= 3600
    with pytest.raises(FetchFailed) as failed:
        SharedKeys(api.origin, tmp_path, clock).fetch(False)
    assert failed.value.old == {}


def test_many_at_once_fetch_once(api: FrontendApi, tmp_path: Path, clock: Clock) -> None:
    found: list[list[str]] = []

    def ask() -> None:
        found.append(list(SharedKeys(api.origin, tmp_path, clock).fetch(True)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["ins_1"]] * 8
    assert len(api.fetches) == 1


def test_what_is_new_enough_is_read_while_another_process_fetches(
    processes: tuple[SharedKeys, SharedKeys], api: FrontendApi, tmp_path: Path
) -> None:
    processes[0].fetch(True)
    api.mood = "hangs"
    with (tmp_path / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        read = ThreadPoolExecutor(1).submit(lambda: [list(processes[1].fetch(forced)) for forced in (False, True)])
        assert read.result(timeout=5) == [["ins_1"], ["ins_1"]]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", "[" * 5000, '{"origin": "https://clerk.example.org"}'])
def test_a_damaged_file_is_none(
    processes: tuple[SharedKeys, SharedKeys], api: FrontendApi, tmp_path: Path, text: str
) -> None:
    (tmp_path / FILE).write_text(text)
    assert list(processes[0].fetch(False)) == ["ins_1"]
    assert len(api.fetches) == 1


@pytest.mark.parametrize(
    "change",
    [{"origin": "https://clerk.other.example.org"}, {"attempted_at": "now"}, {"attempted_at": 1e12}, {"document": {}}],
    ids=str,
)
def test_a_file_of_another_instance_or_time_is_none(
    processes: tuple[SharedKeys, SharedKeys], api: FrontendApi, tmp_path: Path, clock: Clock, change: dict[str, object]
) -> None:
    processes[0].fetch(False)
    written = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**written, **change}))
    if change == {"document": {}}:
        with pytest.raises(FetchFailed):
            processes[1].fetch(False)
        clock.now += 60
    assert list(processes[1].fetch(False)) == ["ins_1"]
    assert len(api.fetches) == 2


def test_without_a_folder_each_fetches_for_itself(api: FrontendApi, tmp_path: Path, clock: Clock) -> None:
    nowhere = tmp_path / "nowhere"
    for _ in range(2):
        assert list(SharedKeys(api.origin, nowhere, clock).fetch(True)) == ["ins_1"]
    assert len(api.fetches) == 2


def test_nothing_secret_is_in_the_file(processes: tuple[SharedKeys, SharedKeys], tmp_path: Path) -> None:
    processes[0].fetch(False)
    (key,) = json.loads((tmp_path / FILE).read_text())["document"]["keys"]
    assert set(key) == {"kty", "kid", "n", "e"}
