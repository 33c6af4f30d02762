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
from tests.web.isolation import served
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
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
KEPT = {
    "/api/openapi.json": "public, max-age=300",
    "/favicon.ico": "public, max-age=86400",
    "/apple-touch-icon.png": "public, max-age=86400",
}
"""What browsers and proxies may keep; it is the same for everybody."""
TYPES = {
    "application/json",
    "application/problem+json",
    "text/html; charset=utf-8",
    "text/plain; charset=utf-8",
    "application/xml",
    "text/xml",
    "image/png",
    "image/x-icon",
}


def test_every_answer_of_every_route_is_hardened_and_has_an_id_of_its_own(site: Site) -> None:
    """Also the refusals; and none lets a page of another site read it, whatever that page asks for."""
    made = site.program().create()
    asked = {"origin": "https://evil.example", "access_control_request_method": "GET", "sec_fetch_site": "cross-site",
             "access_control_request_headers": "authorization"}  # fmt: skip
    ids = set()
    calls = [(route.method, route.address(instance_id=made["id"])) for route in served(site)]
    calls += [("GET", path) for path in ("/api/nothing", "/nothing", "/static/nothing.css", "/static/style.css")]
    for caller in (site.anybody(), site.program(), site.browser()):
        for method, path in calls:
            answer = caller.call(method, path, None, **asked)
            what = (method, path, answer.status)
            hardening = (
                HARDENING if not path.startswith("/sign-in/") else HARDENING | {"Referrer-Policy": "strict-origin"}
            )
            if path.startswith("/sign-in/") and method != "GET":
                hardening = HARDENING
            assert {name: answer.headers.get(name) for name in HARDENING} == hardening, what
            kept = KEPT.get(path, "no-cache" if path == "/static/style.css" else "no-store")
            expected = kept if answer.status_int == 200 and method in ("GET", "HEAD") else "no-store"
            assert answer.headers["Cache-Control"] == expected, what
            assert not [name for name in answer.headers if name.lower().startswith("access-control-")], what
            assert "Strict-Transport-Security" not in answer.headers, "this server is not reached by https"
            if answer.body:
                assert answer.headers["Content-Type"] in {*TYPES, "text/css; charset=utf-8"}, what
            ids.add(answer.headers["X-Request-Id"])
    assert len(ids) == 3 * len(calls)


def test_whoever_asks_for_a_part_of_a_page_gets_an_answer_from_every_route(site: Site) -> None:
    """Also of pages of which no script of ours wants a part, and of forms with something wrong."""
    made = site.program().create()
    for caller in (site.anybody(), site.program(), site.browser()):
        for route in served(site):
            path = route.address(instance_id=made["id"])
            answer = caller.call(route.method, path, None, hx_request="true", sec_fetch_site="same-origin")
            assert answer.status_int < 500, (route.method, path)


def test_a_page_without_such_a_part_comes_whole(site: Site) -> None:
    ann = site.browser()
    for address in ("/dashboard/new", "/dashboard/account"):
        assert ann.get(address, hx_request="true").text.count("<html") == 1


def test_a_browser_that_came_by_https_stays_with_it(tmp_path: Path) -> None:
    site = Site(tmp_path, PUBLIC_ORIGIN="https://bots.example.org")
    for path in ("/", "/api/health", "/nothing", "/static/style.css"):
        answer = site.anybody().get(path)
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000", "of this host alone"
    site.close()


def test_a_request_id_of_the_caller_is_not_taken_over(site: Site) -> None:
    answer = site.anybody().get("/api/health", x_request_id="forged")
    assert answer.headers["X-Request-Id"] != "forged"
