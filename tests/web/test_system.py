"""The server about itself."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clawdeploy.core.contracts import Runtime
from clawdeploy.core.database_health import PATIENCE_SECONDS as DATABASE_PATIENCE
from clawdeploy.core.database_health import DatabaseHealth
from clawdeploy.core.engine_health import PATIENCE_SECONDS as ENGINE_PATIENCE
from clawdeploy.core.testing import SlowRuntime
from tests.core.surroundings import Clock
from tests.web.people import Site, problem


def test_health_needs_no_sign_in(site: Site) -> None:
    said = site.anybody().get("/api/health").json
    assert said == {
        "status": "ok",
        "timestamp": said["timestamp"],
        "docker": "connected",
        "database": "connected",
        "syncAgeSeconds": None,
    }
    assert said["timestamp"].endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(said["timestamp"])) < timedelta(minutes=1)
    assert site.anybody().call("HEAD", "/api/health").status_int == 200


def test_health_tells_how_old_the_last_comparison_is(tmp_path: Path) -> None:
    clock = Clock()
    site = Site(tmp_path, clock=clock)
    site.platform.reconciler.sync()
    assert site.anybody().get("/api/health").json["syncAgeSeconds"] == 0
    clock.advance(seconds=90.5)
    assert site.anybody().get("/api/health").json["syncAgeSeconds"] == 90
    clock.advance(days=-1)
    assert site.anybody().get("/api/health").json["syncAgeSeconds"] == 0, "the clock was put back"
    site.close()


class SilentEngine(Site):
    """A site whose engine accepts pings and answers none until it is released."""

    slow: SlowRuntime

    def wrap(self, installation: str) -> Runtime:
        self.slow = SlowRuntime(super().wrap(installation), ["ping"])
        return self.slow


def test_engine_and_database_are_waited_for_at_once(tmp_path: Path) -> None:
    site = SilentEngine(tmp_path)
    released = threading.Event()

    def hangs() -> datetime | None:
        assert released.wait(60)
        return None

    site.platform.database_health = DatabaseHealth(hangs)
    began = time.monotonic()
    said = problem(site.anybody().get("/api/health"), 503, "database_unavailable")
    assert time.monotonic() - began < max(ENGINE_PATIENCE, DATABASE_PATIENCE) + 0.7
    assert (said["docker"], said["database"]) == ("disconnected", "disconnected")
    released.set()
    site.slow.release()
    site.close()


def test_without_its_database_a_server_is_not_well(site: Site, tmp_path: Path) -> None:
    site.platform.reconciler.sync()
    (tmp_path / "clawdeploy.db").rename(tmp_path / "away.db")
    answer = site.anybody().get("/api/health")
    said = problem(answer, 503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert (said["docker"], said["database"]) == ("connected", "disconnected")
    assert "timestamp" in said
    assert str(tmp_path) not in answer.text
    assert "SQLite" not in answer.text
    assert site.anybody().call("HEAD", "/api/health").status_int == 503


def test_what_the_server_offers(site: Site) -> None:
    ann = site.program()
    channels = ann.get("/api/channels").json["channels"]
    assert [channel["name"] for channel in channels] == ["telegram", "discord", "whatsapp"]
    models = ann.get("/api/models").json["models"]
    assert [model["name"] for model in models] == ["claude-opus-4.5", "gpt-5.2", "gemini-3-flash"]
    blueprints = ann.get("/api/blueprints").json["blueprints"]
    assert [blueprint["name"] for blueprint in blueprints if blueprint["default"]] == ["standin"]


def test_a_sync_says_what_changed(site: Site) -> None:
    made = site.program().create()
    site.memory.remove(made["containerId"])
    header = "open-sesame-\xc3\xa9"
    (change,) = site.anybody().post("/api/admin/sync", x_sync_secret=header).json["changes"]
    assert (change["id"], change["before"], change["after"]) == (made["id"], "running", "error")
    assert site.anybody().post("/api/admin/sync", x_sync_secret=header).json == {"changes": []}


HARDENING = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def test_every_answer_is_hardened_and_has_an_id_of_its_own(site: Site) -> None:
    ann = site.program()
    answers = [
        ann.get("/"),
        ann.get("/dashboard"),
        ann.get("/api/instances"),
        ann.get("/api/nothing"),
        ann.call("PUT", "/api/instances"),
        site.anybody().get("/api/instances"),
        site.anybody().get("/dashboard"),
        site.anybody().get("/static/nothing.css"),
    ]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HARDENING} == HARDENING, answer
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "Permissions-Policy" in answer.headers
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)


def test_a_request_id_of_the_caller_is_not_taken_over(site: Site) -> None:
    answer = site.anybody().get("/api/health", x_request_id="forged")
    assert answer.headers["X-Request-Id"] != "forged"
