"""The REST API of instances, used as a program uses it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clawdeploy.core.claim_keeper import LIFETIME
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.testing.failing_runtimes import BrokenRuntime, SlowRuntime
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from clawdeploy.web.pages.log_lines import MOST_AT_ONCE, lines_in_time
from tests.core.surroundings import Clock
from tests.platforms import GOOD
from tests.web.people import Site, problem

FIELDS = {
    "id", "userId", "name", "model", "channel", "status", "botToken", "apiKey", "containerId", "config", "region",
    "instanceType", "ipAddress", "createdAt", "updatedAt",
}  # fmt: skip
TOKEN = "123456789:AAH3xyzAAH3xyzAAH3xyzAAH3xyzAAH3xyz"


def test_the_whole_life_of_a_bot(either_site: Site) -> None:
    ann = either_site.program()
    answer = ann.post("/api/instances", {**GOOD, "name": " My bot ", "apiKey": "sk-1", "botToken": TOKEN})
    made = answer.json["instance"]
    path = f"/api/instances/{made['id']}"
    assert (answer.status_int, answer.headers["Location"]) == (201, path)
    assert set(made) >= FIELDS
    assert (made["userId"], made["name"], made["status"]) == ("ann", "My bot", "running")
    assert (made["apiKey"], made["botToken"], made["config"], made["region"]) == ("***", "***", {}, None)

    assert ann.get(path).json == {"instance": made}
    assert ann.get("/api/instances").json["instances"][0] == made
    assert "started" in ann.get(f"{path}/logs").json["logs"]
    assert ann.get(f"{path}/logs?tail=1").json["logs"].count("\n") == 1

    assert ann.post(f"{path}/stop").json["instance"]["status"] == "stopped"
    assert ann.post(f"{path}/start").json["instance"]["status"] == "running"
    assert ann.send("PATCH", path, {"status": "stopped"}).json["instance"]["status"] == "stopped"
    changed = ann.send("PATCH", path, {"name": "Renamed", "apiKey": None, "config": {"a": 1}}).json["instance"]
    assert (changed["name"], changed["apiKey"], changed["botToken"], changed["config"]) == (
        "Renamed", None, "***", {"a": 1},
    )  # fmt: skip

    assert ann.call("DELETE", path).json == {"success": True}
    for method, end in (("GET", ""), ("DELETE", ""), ("POST", "/start"), ("GET", "/logs")):
        problem(ann.call(method, path + end), 404, "instance_not_found")


def test_where_no_thread_can_be_started_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has too many threads says so; that is no defect of the server's, and passes."""
    clock = Clock()
    site = Site(tmp_path, clock=clock)
    ann, browser = site.program(), site.browser()
    runs = f"/api/instances/{ann.create()['id']}"
    page = runs.replace("/api", "/dashboard")
    assert ann.get("/api/health").status_int == 200
    start = threading.Thread.start

    def refusing(thread: threading.Thread) -> None:
        if thread.name in ("background", "claim-keeper"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refusing)
        made = ann.post("/api/instances", GOOD)
        assert made.status_int == 201
        told = problem(ann.call("POST", f"{runs}/stop"), 503, "runtime_unavailable")
        assert told["detail"].startswith("This server has too much to do at once.")
        problem(ann.get(f"{runs}/logs"), 503, "runtime_unavailable")
        assert ann.get("/api/health").status_int == 200
        for _ in range(2 * MOST_AT_ONCE):
            assert browser.get(page).status_int == 200
    assert lines_in_time(lambda: "a\n") == ["a"]
    clock.advance(seconds=LIFETIME.total_seconds() + 1)
    site.platform.reconciler.sync(patience=20)
    assert ann.get(runs).json["instance"]["status"] == "stopped"
    assert ann.get(f"/api/instances/{made.json['instance']['id']}").json["instance"]["status"] == "running"
    site.close()


def test_no_answer_ever_holds_a_secret(site: Site) -> None:
    ann = site.program()
    secrets = {"apiKey": "sk-very-secret", "botToken": TOKEN}
    made = ann.create(**secrets)
    path = f"/api/instances/{made['id']}"
    answers = [
        ann.get(path),
        ann.get("/api/instances"),
        ann.get("/dashboard", accept="text/html"),
        ann.send("PATCH", path, {**secrets, "name": "x"}),
        ann.send("PATCH", path, {**secrets, "botToken": "wrong-but-secret"}),
        ann.post("/api/instances", {**secrets, "name": 5}),
        ann.post(f"{path}/stop"),
        ann.call("DELETE", path),
    ]
    for answer in answers:
        for secret in (*secrets.values(), "wrong-but-secret"):
            assert secret not in answer.text


def test_the_list_comes_newest_first_and_page_by_page(either_site: Site) -> None:
    cat = either_site.program("cat")
    made = [cat.create(name=f"bot {number}")["id"] for number in range(5)]
    assert [one["id"] for one in cat.get("/api/instances").json["instances"]] == made[::-1]
    assert set(cat.get("/api/instances").json) == {"instances"}
    seen: list[str] = []
    address: str | None = "/api/instances?limit=2"
    while address:
        page = cat.get(address).json
        seen += [one["id"] for one in page["instances"]]
        cursor = page.get("nextCursor")
        address = f"/api/instances?limit=2&cursor={cursor}" if cursor else None
    assert seen == made[::-1]
    assert "nextCursor" not in cat.get("/api/instances?limit=5").json


class BrokenSite(Site):
    """A site whose engine does not answer until it is mended."""

    broken: BrokenRuntime

    def wrap(self, installation: str) -> Runtime:
        self.memory = MemoryRuntime(installation)
        self.broken = BrokenRuntime(self.memory)
        return self.broken


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[BrokenSite]:
    site = BrokenSite(tmp_path, SYNC_SECRET="s", WAIT_SECONDS="5")
    yield site
    site.close()


def test_without_an_engine_a_create_still_says_what_became_of_it(broken: BrokenSite) -> None:
    made = broken.program().create()
    assert made["status"] in ("error", "creating", "pending")
    assert made["statusDetail"]


def test_without_an_engine_other_calls_say_when_to_try_again(broken: BrokenSite) -> None:
    broken.broken.mend()
    ann = broken.program()
    made = ann.create()
    broken.broken.broken = True
    answers = [
        ann.get(f"/api/instances/{made['id']}/logs"),
        broken.anybody().post("/api/admin/sync", x_sync_secret="s"),
    ]
    for answer in answers:
        problem(answer, 503, "runtime_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert ann.get(f"/api/instances/{made['id']}").status_int == 200
    assert broken.anybody().get("/api/health").json["docker"] == "disconnected"


class SlowSite(Site):
    """A site whose engine blocks in ``stop`` until it is released."""

    slow: SlowRuntime

    def wrap(self, installation: str) -> Runtime:
        self.memory = MemoryRuntime(installation)
        self.slow = SlowRuntime(self.memory, {"stop"})
        return self.slow


def test_a_second_operation_is_told_what_is_going_on(tmp_path: Path) -> None:
    site = SlowSite(tmp_path)
    ann = site.program()
    path = f"/api/instances/{ann.create()['id']}"
    with ThreadPoolExecutor() as others:
        stopping = others.submit(ann.post, f"{path}/stop")
        assert site.slow.entered.wait(10)
        answer = site.program().post(f"{path}/start")
        site.slow.release()
        assert stopping.result(10).json["instance"]["status"] == "stopped"
    problem(answer, 409, "operation_in_progress")
    assert int(answer.headers["Retry-After"]) > 0
    site.close()


def test_what_has_happened_is_told_newest_first_and_to_its_owner_only(either_site: Site) -> None:
    ann = either_site.program()
    path = f"/api/instances/{ann.create()['id']}"
    ann.send("PATCH", path, {"apiKey": "sk-1", "name": "Other"})
    ann.post(f"{path}/stop")
    told = ann.get(f"{path}/activity").json["activity"]
    assert [(one["kind"], one["what"]) for one in told if one["kind"] != "state"] == [
        ("asked", "stop"),
        ("asked", "restart"),
        ("changed", "apiKey,name"),
        ("asked", "create"),
    ]
    assert (told[0]["kind"], told[0]["what"], told[0]["actor"], told[0]["reason"]) == ("state", "stopped", "ann", None)
    assert ann.get(f"{path}/activity?limit=1").json["activity"] == told[:1]
    assert "sk-1" not in str(told)
    problem(either_site.program("bob").get(f"{path}/activity"), 404, "instance_not_found")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.0", ""])
def test_a_bad_number_of_entries_is_refused(site: Site, limit: str) -> None:
    ann = site.program()
    answer = ann.get(f"/api/instances/{ann.create()['id']}/activity?limit={limit}")
    assert (answer.status_int, list(answer.json["errors"])) == (400, ["limit"])
