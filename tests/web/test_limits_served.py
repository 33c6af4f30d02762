"""The limit is exact with real servers: of several processes, and of several servers on one database."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from tests.databases import PostgresServer
from tests.platforms import memory_platform
from tests.web.serving import Answer, Served

pytestmark = pytest.mark.system

NOWHERE = "/api/instances/doesnotexist2345"
THREADS = 16

USUAL = "60/minute"
"""What holds where nobody says otherwise, which served tests do."""


@dataclass(frozen=True)
class Tried:
    """One change: when it was sent and answered, and what came of it."""

    sent: float
    answered: float
    status: int


def change(served: Served, bearer: str) -> Tried:
    """Ask for a change that the limit counts and the engine never hears of."""
    sent = time.monotonic()
    answer = served.call("PATCH", NOWHERE, b'{"name": "x"}', Content_Type="application/json", Authorization=bearer)
    return Tried(sent, time.monotonic(), answer.status)


def at_once(servers: Sequence[Served], bearer: str, count: int) -> list[Tried]:
    """Fire changes from many threads, at the servers in turn."""
    with ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(change, served, bearer) for served, _ in zip(cycle(servers), range(count), strict=False)]
        return [each.result() for each in asked]


def statuses(tried: Sequence[Tried], status: int) -> int:
    return sum(each.status == status for each in tried)


def check_exact(servers: Sequence[Served], bearer: str) -> None:
    """The sixty-first is refused, whoever is asked, and whoever is told when to try again is told the truth."""
    tried = at_once(servers, bearer, 90)
    took = max(each.answered for each in tried) - min(each.sent for each in tried)
    assert took < 60
    assert (statuses(tried, 404), statuses(tried, 429)) == (60, 30)
    for served in servers:
        refused: Answer = served.call("DELETE", NOWHERE, Authorization=bearer)
        assert (refused.status, refused.problem()["code"]) == (429, "rate_limited")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["RateLimit"] == f'"per-minute";r=0;t={refused.headers["Retry-After"]}'


@pytest.mark.parametrize(
    "workers", [pytest.param("1", marks=pytest.mark.prove), pytest.param("2", marks=pytest.mark.prove), "4"]
)
def test_sixty_a_minute_with_any_number_of_workers(tmp_path: Path, migrated_url: str, workers: str) -> None:
    with closing(Served(tmp_path, WORKERS=workers, DATABASE_URL=migrated_url, RATE_LIMIT=USUAL)) as served:
        check_exact([served], served.bearer)


@pytest.mark.postgres
def test_sixty_a_minute_on_two_servers_with_one_database(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> None:
    with ExitStack() as running:
        one = running.enter_context(
            closing(Served(tmp_path_factory.mktemp("one"), DATABASE_URL=postgres_url, RATE_LIMIT=USUAL))
        )
        folder = tmp_path_factory.mktemp("two")
        shutil.copytree(one.folder / "data", folder / "data")
        two = running.enter_context(closing(Served(folder, DATABASE_URL=postgres_url, RATE_LIMIT=USUAL)))
        check_exact([one, two], one.bearer)


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.prove])],
)
def hurried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server on each database whose window is so short that tests can wait for it."""
    folder = tmp_path_factory.mktemp("hurried")
    url = f"sqlite:///{folder / 'clawdeploy.db'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    with closing(Served(folder, WORKERS="4", DATABASE_URL=url, RATE_LIMIT="10/second")) as served:
        yield served
    if request.param == "postgresql":
        server.drop_database(url)


def test_the_window_slides_under_load(hurried: Served) -> None:
    """No eleven changes, of all that were admitted, lie within a second."""
    tried = at_once([hurried], hurried.bearer, 500)
    admitted = sorted((each for each in tried if each.status == 404), key=lambda each: each.sent)
    assert {each.status for each in tried} == {404, 429}
    for eleven in (admitted[at : at + 11] for at in range(len(admitted) - 10)):
        assert max(each.answered for each in eleven) - min(each.sent for each in eleven) >= 1


def test_after_the_time_that_is_told_there_is_room(hurried: Served) -> None:
    while True:
        answer = hurried.call("DELETE", NOWHERE)
        if answer.status == 429:
            break
    time.sleep(int(answer.headers["Retry-After"]))
    assert hurried.call("DELETE", NOWHERE).status == 404


def test_nobody_else_is_held_up(hurried: Served) -> None:
    platform = memory_platform(hurried.folder / "data", DATABASE_URL=hurried._environment["CLAWDEPLOY_DATABASE_URL"])
    token, _ = platform.credentials.issue("api_token", "bob", prefix="cd_")
    platform.close()
    at_once([hurried], hurried.bearer, 40)
    assert change(hurried, f"Bearer {token.reveal()}").status == 404


def forged(served: Served, said: str) -> int:
    return served.call("GET", "/api/instances", Authorization="Bearer cd_forged", X_Forwarded_For=said).status


def test_what_an_invented_proxy_says_is_not_believed(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="1", SIGN_IN_LIMIT="3/minute")) as served:
        assert [forged(served, f"192.0.2.{number}") for number in range(5)] == [401] * 3 + [429] * 2
        assert served.call("GET", "/api/instances").status == 200
        head = f"GET /api/instances HTTP/1.1\r\nHost: x\r\nAuthorization: {served.bearer}\r\n"
        twice = served.answer(f"{head}X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n\r\n".encode())
        assert json.loads(twice.body) == {"instances": []}


def test_what_a_proxy_of_ours_says_is_believed(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="1", SIGN_IN_LIMIT="1/minute", TRUSTED_PROXIES="127.0.0.1")) as served:
        assert [forged(served, f"192.0.2.{number}") for number in range(3)] == [401] * 3
        assert [forged(served, f"203.0.113.{number}, 192.0.2.1") for number in range(3)] == [429] * 3
        head = "GET /api/instances HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer cd_forged\r\n"
        lines = "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-For: 192.0.2.1\r\n"
        underscored = "X_Forwarded_For: 203.0.113.2\r\nX-Forwarded-For: 192.0.2.1\r\n"
        for forwarded in (lines, underscored):
            assert served.answer(f"{head}{forwarded}\r\n".encode()).status == 429
