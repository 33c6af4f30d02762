"""Two servers on one database share the work, whatever becomes of one of them or of the database."""

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from clawdeploy.core.database import Database
from clawdeploy.core.testing import eventually
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL
from tests.core.folder_runtime import FolderRuntime
from tests.databases import PostgresServer
from tests.faults.folder_server import program
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.site import Site, pause
from tests.faults.troubles import broken, locked, through

pytestmark = [pytest.mark.engine, pytest.mark.prove, pytest.mark.timeout(400)]

Record = Callable[[str, object], None]

TAKEN_OVER_WITHIN = 15.0
FINISHED_WITHIN = 10.0
AWAY = 10.0
"""Longer than a claim holds."""


class Shared:
    """A database that can go away under whoever reaches it by ``url``; a test looks at it by ``direct``."""

    def __init__(self, url: str, direct: str, trouble: Callable[[], AbstractContextManager[None]]) -> None:
        self.url = url
        self.direct = direct
        self.trouble = trouble


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shared]:
    if request.param == "sqlite":
        file = tmp_path / "shared.db"
        yield Shared(f"sqlite:///{file}", f"sqlite:///{file}", lambda: locked(file))
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    direct: str = request.getfixturevalue("postgres_url")
    proxy = FaultProxy(("127.0.0.1", 0), server.address)
    yield Shared(through(proxy, direct), direct, lambda: broken(proxy, Fault.HANG))
    proxy.close()


@pytest.fixture
def database(shared: Shared, tmp_path: Path) -> Iterator[Database]:
    with closing(Database(shared.direct, tmp_path)) as opened:
        yield opened


@pytest.fixture
def engine() -> Iterator[FaultProxy]:
    """Give a door to the machine's engine, through which it can be seen what is asked."""
    folder = tempfile.mkdtemp(prefix="engine-")
    proxy = FaultProxy(f"{folder}/s", "/var/run/docker.sock")
    yield proxy
    proxy.close()
    shutil.rmtree(folder)


@pytest.fixture
def site(tmp_path: Path, shared: Shared, engine: FaultProxy) -> Iterator[Site]:
    made = Site(tmp_path, servers=2, DATABASE_URL=shared.url, DOCKER_HOST=f"unix://{engine.address}")
    yield made
    made.close()


def holder(database: Database) -> str:
    with database.reading():
        return str(database.tables.lease.get().holder)


def test_when_one_is_killed_the_other_takes_over(site: Site, database: Database, record_property: Record) -> None:
    first, second = site.servers
    bot = site.create(by=first)
    assert bot in site.listed()
    # The first one was alone for seconds, so it is the one that looks.
    before = holder(database)
    first.kill()
    site.served = second
    began = time.monotonic()
    assert eventually(lambda: holder(database) != before, TAKEN_OVER_WITHIN)
    record_property("taken over after", round(time.monotonic() - began, 1))
    with closing(docker.from_env()) as client:
        client.containers.get(f"clawdeploy-{bot}").kill()
    assert eventually(lambda: site.listed()[bot]["status"] == "stopped", 5), site.listed()
    assert site.try_("start", bot)
    site.cycle()


@pytest.mark.parametrize(
    ("action", "request_"), [("create", b"/containers/create?"), ("stop", b"/stop?"), ("delete", b"?force=true")]
)
def test_a_database_that_is_away_in_the_middle_of_a_change(
    site: Site,
    shared: Shared,
    database: Database,
    engine: FaultProxy,
    action: str,
    request_: bytes,
    record_property: Record,
) -> None:
    """The engine has begun when it goes away, and comes back when the claim has lapsed: it is done once, and soon."""
    bot = "" if action == "create" else site.create()
    with containers_made(site.installation) as made, ExitStack() as away:
        reached = threading.Event()

        def begin(piece: bytes) -> None:
            if request_ in piece and not reached.is_set():
                away.enter_context(shared.trouble())
                reached.set()

        engine.seen = begin
        asking = threading.Thread(target=lambda: site.try_(action, bot))
        asking.start()
        assert reached.wait(20)
        pause(AWAY)
        away.close()
        began, left = time.monotonic(), 0 if action == "delete" else 1
        site.settles(FINISHED_WITHIN)
        assert eventually(lambda: _rows(database) == left, FINISHED_WITHIN)
        record_property(f"{action} finished after", round(time.monotonic() - began, 1))
        asking.join(20)
    assert [asked for asked in site.asked if asked.wrong] == []
    assert len(made) == (1 if action == "create" else 0)
    assert len(site.containers()) == left
    site.cycle()


def _rows(database: Database) -> int:
    with database.reading():
        return int(database.tables.instance.select().count())


@contextmanager
def containers_made(installation: str) -> Iterator[list[Any]]:
    """Give a list of the containers that the engine makes meanwhile."""
    made: list[Any] = []
    with closing(docker.from_env()) as client:
        filters = {"label": f"{INSTALLATION_LABEL}={installation}", "type": "container", "event": "create"}
        events = client.events(filters=filters, decode=True)
        listening = threading.Thread(target=lambda: made.extend(events))
        listening.start()
        yield made
        events.close()
        listening.join(10)


def test_nothing_interleaves_while_the_database_comes_and_goes(
    tmp_path: Path, shared: Shared, seed: int, record_property: Record
) -> None:
    folder = tmp_path / "engine"
    runtime = FolderRuntime(folder)
    site = Site(tmp_path, program=program(folder), servers=2, RUNTIME="folder", DATABASE_URL=shared.url)
    over = threading.Event()
    try:
        bots = [site.create() for _ in range(3)]

        def work(number: int) -> None:
            chance = random.Random(seed * 100 + number)
            while not over.wait(0.02):
                site.try_(chance.choice(("stop", "start", "restart")), chance.choice(bots), site.servers[number % 2])

        clients = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for client in clients:
            client.start()
        for lasts in (1.0, 3.0, 7.0, 9.0, 12.0, 8.0):
            pause(3.0)
            with shared.trouble():
                pause(lasts)
        pause(3.0)
        over.set()
        for client in clients:
            client.join(60)
        assert eventually(lambda: all(not each["operation"] for each in site.listed().values()), 20), site.listed()
        record_property("changes", len(runtime.journal))
        assert runtime.overlaps == []
        assert len({process for process, *_ in runtime.journal}) > 2, "all must have had their turns"
        shown = {bot: each["status"] for bot, each in site.listed().items()}
        seen = {bot: str(each.state).replace("exited", "stopped") for bot, each in runtime.observe_all().items()}
        assert shown == seen
    finally:
        over.set()
        site.close()


# -- versions --------------------------------------------------------------------------------------------------------


def migrated_by_a_newer(database: Database, undo: bool = False) -> None:
    with database.transaction():
        statement = (
            "DELETE FROM schema_migration WHERE name = '9999_from_the_future'"
            if undo
            else "INSERT INTO schema_migration (name, applied) VALUES ('9999_from_the_future', '2030-01-01')"
        )
        database.peewee.execute_sql(statement)


def statuses(site: Site, bot: str) -> set[int]:
    """Ask every worker, as far as chance has it."""
    before = len(site.asked)
    for _ in range(4):
        site.call("GET", "/api/instances")
        site.call("GET", "/dashboard", Accept="text/html")
        site.try_("stop", bot)
    return {asked.status for asked in site.asked[before:]}


def test_what_a_newer_version_has_made_is_left_to_it(
    site: Site, tmp_path: Path, shared: Shared, database: Database
) -> None:
    """A server that runs does not go on in a database that was brought up to date; a new one does not start."""
    bot = site.create()
    migrated_by_a_newer(database)
    pause(1.1)
    assert statuses(site, bot) == {503}
    last = database_content(database)
    refused = site.another(tmp_path / "late")
    assert refused.returncode == 1
    assert "made by a newer ClawDeploy" in refused.stderr
    assert "Traceback" not in refused.stderr
    pause(3)
    assert database_content(database) == last, "nobody writes any more, not even that he is there"
    migrated_by_a_newer(database, undo=True)
    assert eventually(lambda: site.call("GET", "/api/instances").status == 200, 5)
    pause(1.1)
    assert statuses(site, bot) <= {200, 409}
    site.settles()


def database_content(database: Database) -> list[Any]:
    models = database.tables
    with database.reading():
        return [
            list(getattr(models, name).select().tuples()) for name in ("instance", "lease", "activity", "credential")
        ]
