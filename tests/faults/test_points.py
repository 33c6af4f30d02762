"""A process dies at every call to the engine that an operation makes, and nothing is lost, leaked or lied about."""

from collections.abc import Callable, Iterator

import pytest

from tests.databases import PostgresServer
from tests.faults.counting import Faults
from tests.faults.injecting import Injection, Injector
from tests.faults.operations import OPERATIONS
from tests.faults.points import Moment
from tests.faults.proxy import Fault
from tests.faults.scene import Scene

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

TRIES = 3
Strike = Callable[[Injector, int], Injection | None]
QUICK = (
    ("create", Moment.UNANSWERED, "POST /containers/create"),
    ("stop", Moment.BEFORE, "POST /containers/*/stop"),
    ("start", Moment.UNCOMMITTED, "POST /containers/*/start"),
    ("delete", Moment.UNANSWERED, "DELETE /containers/*"),
    ("add a secret", Moment.BEFORE, "POST /containers/create"),
)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """On each database a server of its own; on PostgreSQL with two workers."""
    if request.param == "sqlite":
        yield request.getfixturevalue("scene")
        return
    postgres: PostgresServer = request.getfixturevalue("postgres_server")
    url = postgres.create_database()
    made = Scene(url, WORKERS="2")
    yield made
    made.close()
    postgres.drop_database(url)


def count(faults: Faults, injection: Injection) -> None:
    faults.injected()
    faults.broken([f"{injection.what}, {injection.call}: {one}" for one in injection.broken])
    faults.tell(str(injection))


def everywhere(scene: Scene, faults: Faults, name: str, strike: Strike) -> None:
    """Strike at each call that an operation makes."""
    injector = Injector(scene, OPERATIONS[name](scene))
    for injection in injector.everywhere(lambda number: strike(injector, number)):
        count(faults, injection)


@pytest.mark.parametrize(("name", "what", "call"), QUICK)
def test_a_server_dies_at_a_call_that_matters(scene: Scene, faults: Faults, name: str, what: Moment, call: str) -> None:
    """The sync may call the engine just when the server is about to commit: that looks as if it had committed."""
    injector = Injector(scene, OPERATIONS[name](scene))
    injection = next(filter(None, (injector.server_dies(what, call) for _ in range(TRIES))), None)
    assert injection, f"{name} never calls {call}"
    count(faults, injection)


@pytest.mark.prove
@pytest.mark.parametrize("what", list(Moment))
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_server_dies_at_every_call(either: Scene, faults: Faults, name: str, what: Moment) -> None:
    everywhere(either, faults, name, lambda injector, number: injector.server_dies(what, number))


@pytest.mark.prove
@pytest.mark.parametrize("name", OPERATIONS)
def test_only_the_worker_dies(either: Scene, faults: Faults, name: str) -> None:
    everywhere(either, faults, name, lambda injector, number: injector.worker_dies(Moment.UNANSWERED, number))


@pytest.mark.prove
@pytest.mark.parametrize("what", [Fault.DROP, Fault.ERROR, Fault.TRUNCATE, Fault.GARBAGE])
@pytest.mark.parametrize("name", OPERATIONS)
def test_one_call_goes_wrong(scene: Scene, faults: Faults, name: str, what: Fault) -> None:
    everywhere(scene, faults, name, lambda injector, number: injector.engine_fails(what, number))


@pytest.mark.prove
@pytest.mark.parametrize("name", OPERATIONS)
def test_one_call_hangs(scene: Scene, faults: Faults, name: str) -> None:
    injector = Injector(scene, OPERATIONS[name](scene))
    # Each takes as long as the call may: those that change something, and one of those that look.
    looked = False
    for number, call in enumerate(injector.calls(), start=1):
        if call.startswith("GET") and looked:
            continue
        looked |= call.startswith("GET")
        injection = injector.engine_fails(Fault.HANG, number)
        if injection is not None:
            count(faults, injection)
