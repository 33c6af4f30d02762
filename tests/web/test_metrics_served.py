"""The counts of a real server are those of all its processes, and its folder for them goes with it."""

import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from clawdeploy.core.testing import eventually
from clawdeploy.web.shared_counts import PREFIX
from tests.web.people import METRICS_SECRET as SECRET
from tests.web.serving import Served
from tests.web.test_metrics import Samples, samples

pytestmark = pytest.mark.system

WORKERS = 3
ASKED = ("clawdeploy_http_requests_total", ("GET", "/api/models", "200"))
TOOK = ("clawdeploy_http_request_seconds_count", ("GET", "/api/models"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path, WORKERS=str(WORKERS), METRICS_SECRET=SECRET)
    yield server
    end(server)


def end(served: Served) -> None:
    """End a server in good order, so that nothing of it is left."""
    if served.process.poll() is None:
        served.stop()
    served.close()


def counted(served: Served) -> Samples:
    answer = served.call("GET", "/metrics", Authorization=f"Bearer {SECRET}")
    assert answer.status == 200
    return samples(answer.body.decode())


def ask(served: Served, times: int) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: served.call("GET", "/api/models").status, range(times)))
    assert answers == [200] * times


def folder_of(served: Served) -> Path:
    """Return the folder that a running server holds open."""
    opened = [link.readlink() for link in Path(f"/proc/{served.process.pid}/fd").iterdir()]
    (folder,) = [path for path in opened if path.name.startswith(PREFIX)]
    return folder


def are_replaced(served: Served, before: list[int]) -> bool:
    now = served.workers()
    return len(now) == WORKERS and not set(before) & set(now)


def test_every_process_gives_the_sums_of_all_in_a_folder_that_goes_with_them(served: Served) -> None:
    ask(served, 90)
    for _ in range(12):
        found = counted(served)
        assert (found[ASKED], found[TOOK]) == (90, 90)
    folder = folder_of(served)
    places = {path.name.partition("_")[2] for path in folder.glob("counter_*.db")}
    assert len(places) > 1, "one process has answered everything, and nothing was proved"
    assert folder.stat().st_mode & 0o777 == 0o700
    for method in ("BREW", "SK-SECRET", "CHECKOUT"):
        served.answer(f"{method} /api/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    odd = {labels: value for (name, labels), value in counted(served).items() if name == ASKED[0]}
    assert {method for method, _, _ in odd} <= {"GET", "(other)"}
    assert sum(value for (method, _, _), value in odd.items() if method == "(other)") == 3
    assert served.stop() == 0
    assert not folder.exists()


@pytest.mark.prove
def test_nothing_is_lost_when_processes_are_replaced(served: Served) -> None:
    ask(served, 30)
    killed = served.workers()[:1]
    os.kill(killed[0], signal.SIGKILL)
    assert eventually(lambda: are_replaced(served, killed), 20)
    ask(served, 30)
    assert counted(served)[ASKED] == 60
    for _ in range(2):
        before = served.workers()
        served.process.send_signal(signal.SIGHUP)
        assert eventually(partial(are_replaced, served, before), 30)
        ask(served, 30)
    assert counted(served)[ASKED] == 120
    folder = folder_of(served)
    assert len(list(folder.glob("counter_*.db"))) <= 2 * WORKERS
    shutil.rmtree(folder)
    assert counted(served)["clawdeploy_database_connected", ()] == 1
    before = served.workers()
    served.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: are_replaced(served, before), 30)
    ask(served, 5)
    assert counted(served)[ASKED] == 5, "whoever removes the folder, new processes count again"


@pytest.mark.prove
def test_what_a_killed_server_has_left_is_removed_by_the_next_one_and_not_what_is_in_use(served: Served) -> None:
    left = folder_of(served)
    served.kill()
    assert left.exists()
    served.start()
    assert not left.exists()
    folder = folder_of(served)
    other = served.folder / "other"
    other.mkdir()
    another = Served(other, METRICS_SECRET=SECRET)
    assert folder.exists()
    end(another)
    ask(served, 3)
    assert counted(served)[ASKED] == 3


@pytest.mark.prove
def test_without_the_secret_nothing_is_made(tmp_path: Path) -> None:
    with closing(Served(tmp_path)) as served:
        opened = [link.readlink().name for link in Path(f"/proc/{served.process.pid}/fd").iterdir()]
        assert not [name for name in opened if name.startswith(PREFIX)]
        assert served.call("GET", "/metrics").status == 404
