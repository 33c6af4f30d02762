"""A server process that cannot be replaced costs the others nothing: with real keys and databases that go away."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from clawdeploy.core.testing import eventually
from clawdeploy.web.parent import FIRST_PAUSE, LONGEST_PAUSE, Pause
from tests.databases import PostgresServer
from tests.web.serving import SERVE, Served

LISTENING = "0A"

# A server with an address that answers what is written to the file "said", a named pipe, as soon as that is closed.
LISTENER = """
import os
from pathlib import Path
from clawdeploy.cli import command_line
from clawdeploy.core.contracts import Route
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.opener import Opener
class Said:
    def on_get(self, req, resp):
        resp.text = Path("said").read_text()
class Plugin:
    @hookimpl
    def register_routes(self, platform):
        return [Route("/said", Said(), "public")]
opener = Opener(os.environ)
opener.host.add("listener", Plugin, source="tests")
command_line(opener)(["serve"], prog_name="clawdeploy", obj=opener)
"""
KEY_IS_GONE = "secret.key does not exist"


def test_pauses_grow_up_to_half_a_minute_and_begin_anew() -> None:
    now = 100.0
    pause = Pause(lambda: now)
    lengths = []
    assert pause.over
    for _ in range(8):
        pause.grow()
        begun = now
        while not pause.over:
            # Those that fail together are one failure.
            pause.grow()
            now += 0.5
        lengths.append(now - begun)
    assert lengths == [FIRST_PAUSE, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    pause.grow()
    pause.end()
    assert pause.over
    pause.grow()
    now += FIRST_PAUSE
    assert pause.over


@contextmanager
def serving(folder: Path, program: Sequence[str] = SERVE, **settings: str) -> Iterator[Served]:
    """Give a server that is gone afterwards, however the test ends."""
    served = Served(folder, program, **settings)
    try:
        yield served
    finally:
        served.close()


def listens(pid: int, port: int) -> bool:
    """Say whether a process has the socket that listens on a port."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [line[9] for line in sockets if line[1].endswith(f":{port:04X}") and line[3] == LISTENING]
    return any(str(held.readlink()) == f"socket:[{inode}]" for held in Path(f"/proc/{pid}/fd").iterdir())


def is_pending(pid: int, number: signal.Signals) -> bool:
    """Say whether a process that stands still will get a signal as soon as it goes on."""
    said = Path(f"/proc/{pid}/status").read_text().partition("ShdPnd:")[2].split()[0]
    return bool(int(said, 16) & 1 << number - 1)


def tries(served: Served, count: int, known: set[int]) -> None:
    """Wait until so many new workers were begun, whatever became of them."""
    seen: set[int] = set()

    def enough() -> bool:
        seen.update(set(served.workers()) - known)
        assert served.process.poll() is None, served.log.read_text()
        return len(seen) >= count

    assert eventually(enough, within=40), served.log.read_text()


def well(served: Served) -> bool:
    """Say whether a request that needs the database is answered."""
    return served.call("GET", "/api/instances").status == 200


@pytest.mark.system
class TestReplacing:
    def test_while_the_key_file_is_away_the_other_worker_goes_on(self, tmp_path: Path) -> None:
        with serving(tmp_path, WORKERS="2") as served:
            first, second = before = served.ready(2)
            key = tmp_path / "data/secret.key"
            key.rename(tmp_path / "away")
            os.kill(first, signal.SIGKILL)
            tries(served, 3, before)
            assert second in served.workers()
            assert all(well(served) for _ in range(10))
            said = served.log.read_text()
            assert said.count(KEY_IS_GONE) == 1, "not at each try"
            assert "Traceback" not in said
            (tmp_path / "away").rename(key)
            after = served.ready(2)
            assert second in after
            assert well(served)
            # The parent looks at its workers once a second, so it may say so after they answer.
            assert eventually(lambda: "A server process could start again." in served.log.read_text(), within=20)
            assert served.stop() == 0

    def test_a_hang_up_replaces_only_what_can_be_replaced(self, tmp_path: Path) -> None:
        with serving(tmp_path, WORKERS="2") as served:
            before = served.ready(2)
            key = tmp_path / "data/secret.key"
            key.rename(tmp_path / "away")
            served.process.send_signal(signal.SIGHUP)
            tries(served, 3, before)
            assert before <= set(served.workers())
            assert all(well(served) for _ in range(10))
            assert served.log.read_text().count(KEY_IS_GONE) == 1
            (tmp_path / "away").rename(key)
            assert eventually(lambda: not before & set(served.workers()), within=40), served.log.read_text()
            assert len(served.ready(2)) == 2
            assert well(served)
            assert served.stop() == 0

    def test_a_hang_up_interrupts_no_request(self, tmp_path: Path) -> None:
        with serving(tmp_path, WORKERS="1") as served:
            before = served.ready(1)
            served.process.send_signal(signal.SIGHUP)
            asked = 0
            while before & set(served.workers()):
                assert well(served)
                asked += 1
            assert asked > 1
            assert len(served.ready(1)) == 1
            assert served.stop() == 0

    def test_a_connection_that_has_asked_nothing_yet_is_answered_by_a_worker_that_ends(self, tmp_path: Path) -> None:
        with serving(tmp_path, WORKERS="1") as served:
            (before,) = served.ready(1)
            with served.connect() as opened:
                # Answered one after the other, so the connection above was accepted as well.
                assert well(served)
                os.kill(before, signal.SIGTERM)
                assert eventually(lambda: not listens(before, served.port), within=10)
                opened.sendall(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert opened.recv(20).startswith(b"HTTP/1.1 200")
            assert served.stop() == 0

    def test_connections_that_only_the_kernel_has_accepted_are_answered_by_a_server_that_ends(
        self, tmp_path: Path
    ) -> None:
        with serving(tmp_path, WORKERS="1") as served, ExitStack() as opened:
            (worker,) = served.ready(1)
            # A worker that stands still for a moment, as one that has much to do.
            os.kill(worker, signal.SIGSTOP)
            request = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            waiting = [opened.enter_context(served.connect(request)) for _ in range(5)]
            served.process.send_signal(signal.SIGTERM)
            assert eventually(lambda: is_pending(worker, signal.SIGTERM), within=10)
            os.kill(worker, signal.SIGCONT)
            assert [one.recv(12) for one in waiting] == [b"HTTP/1.1 200"] * 5
            assert served.process.wait(20) == 0

    @pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
    def test_a_server_without_any_worker_still_ends_when_told(self, tmp_path: Path, by: signal.Signals) -> None:
        with serving(tmp_path, WORKERS="1") as served:
            before = served.ready(1)
            (tmp_path / "data/secret.key").unlink()
            os.kill(before.pop(), signal.SIGKILL)
            assert eventually(lambda: KEY_IS_GONE in served.log.read_text(), within=20)
            begun = time.monotonic()
            assert served.stop(by) == 0
            assert time.monotonic() - begun < 3

    def test_a_worker_whose_parent_has_died_ends_in_good_order(self, tmp_path: Path) -> None:
        with serving(tmp_path, WORKERS="1") as served:
            served.ready(1)
            served.process.send_signal(signal.SIGHUP)
            assert eventually(lambda: len(served.workers()) == 2, within=20)
            workers = served.workers()
            served.process.kill()
            # As long as nobody has asked how it ended, its number still takes signals.
            served.process.wait()
            assert eventually(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in workers), within=20)
            assert "Traceback" not in served.log.read_text()

    def test_a_server_whose_parent_alone_was_killed_can_be_started_again_at_once(self, tmp_path: Path) -> None:
        """Its worker finishes what is under way, but holds neither the address nor those who connect to it now."""
        os.mkfifo(tmp_path / "said")
        with serving(tmp_path, WORKERS="1", program=[sys.executable, "-c", LISTENER]) as served:
            (worker,) = served.ready(1)
            with served.connect(b"GET /said HTTP/1.1\r\nHost: localhost\r\n\r\n") as asked:
                # It can be opened as soon as the request is under way, and that goes on until it is closed.
                with (tmp_path / "said").open("w") as said:
                    assert served.call("GET", "/api/health").status == 200
                    served.close()
                    served.start()
                    assert worker not in served.ready(1)
                    assert served.call("GET", "/api/health").status == 200
                    said.write("well done")
                with asked.makefile("rb") as answer:
                    assert answer.readline().startswith(b"HTTP/1.1 200")
                    assert answer.read().endswith(b"well done"), "and the connection was closed"
            assert eventually(lambda: not Path(f"/proc/{worker}/fd").exists(), within=20)
            assert served.stop() == 0

    @pytest.mark.postgres
    def test_while_postgresql_is_stopped_the_server_lives_and_it_comes_back_with_it(
        self, tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
    ) -> None:
        with serving(tmp_path, WORKERS="2", DATABASE_URL=postgres_url) as served:
            first, second = before = served.ready(2)
            assert well(served)
            postgres_server.stop()
            try:
                os.kill(first, signal.SIGKILL)
                tries(served, 3, before)
                assert second in served.workers()
                assert served.call("GET", "/api/health").status == 503, "it lives, and says that it has no database"
                assert served.call("GET", "/api/instances").status == 503
                assert served.log.read_text().count("A server process cannot start") == 1
            finally:
                postgres_server.start()
            assert eventually(lambda: well(served), within=40), (
                served.call("GET", "/api/instances"),
                served.log.read_text(),
            )
            assert second in served.ready(2)
            assert well(served)
            assert served.stop() == 0


# A server whose workers cannot start while the file "reason" is there; what it says is why.
MOODY = """
import os, sys
from pathlib import Path
from clawdeploy.core.bootstrap import bootstrap
from clawdeploy.core.errors import WrongKey
from clawdeploy.core.plugins import PluginHost
from clawdeploy.web.server import serve
host = PluginHost.discover(os.environ)
reason = Path("reason")
def open_platform():
    if reason.exists():
        said = reason.read_text()
        with open("tried", "a") as tried:
            print(said, file=tried)
        if said == "abrupt":
            os._exit(3)
        raise WrongKey(said) if said.endswith(".") else ValueError(said)
    return bootstrap(host.config(os.environ), host)
serve(host.config(os.environ), open_platform, lambda: print("ready"))
"""


def tried(folder: Path) -> int:
    """Say how many workers have tried to start and found a reason not to."""
    written = folder / "tried"
    return len(written.read_text().splitlines()) if written.exists() else 0


@pytest.mark.system
def test_each_reason_is_told_once(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="1", program=[sys.executable, "-c", MOODY]) as served:
        reason, log = tmp_path / "reason", served.log
        (worker,) = served.ready(1)
        for turn, said in enumerate(["First reason.", "boom", "First reason.", "abrupt"], start=1):
            reason.write_text(said)
            if turn == 1:
                os.kill(worker, signal.SIGKILL)
            assert eventually(lambda turn=turn: tried(tmp_path) == turn, within=20), log.read_text()  # type: ignore[misc]
        assert eventually(lambda: "ended before it was ready" in log.read_text(), within=10)
        reason.unlink()
        served.process.send_signal(signal.SIGHUP)
        served.ready(1)
        assert eventually(lambda: "could start again" in log.read_text(), within=10)
        told = log.read_text()
        assert told.count("A server process cannot start") == 3
        assert told.count("First reason.") == 1
        assert "\n  | ValueError: boom" in told, "with a traceback, as anything that nobody foresaw"
        assert served.stop() == 0
