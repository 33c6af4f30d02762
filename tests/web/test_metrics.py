"""What is measured, for whoever knows the secret; no label says whose it was."""

import re
from datetime import datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from clawdeploy.core.contracts import Operation, Status
from clawdeploy.core.database_health import DatabaseHealth
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.reasons import SENTENCES
from tests.web.people import METRICS_SECRET as SECRET
from tests.web.people import Caller, Site, problem
from tests.web.test_access import routes

Samples = dict[tuple[str, tuple[str, ...]], float]


def metrics(site: Site) -> str:
    answer = site.anybody().get("/metrics", authorization=f"Bearer {SECRET}")
    assert (answer.status_int, answer.content_type) == (200, "text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.text)


def samples(text: str) -> Samples:
    """Return the value of each sample by its name and the values of its labels."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_an_operator_needs_is_there(site: Site) -> None:
    ann = site.program()
    bot = ann.create()["id"]
    site.memory.engine.images = set()
    site.memory.engine.registry = set()
    ann.create()
    site.platform.reconciler.sync()
    ann.get(f"/api/instances/{bot}")
    ann.get(f"/api/instances/{'a' * 16}")
    found = samples(metrics(site))
    assert found["clawdeploy_instances", ("running",)] == 1
    assert found["clawdeploy_instances", ("error",)] == 1
    assert found["clawdeploy_instances", ("deleted",)] == 0
    assert found["clawdeploy_operations_under_way", ()] == 0
    assert found["clawdeploy_operation_seconds_count", ("create", "done")] == 1
    assert found["clawdeploy_operation_seconds_count", ("create", "failed")] == 1
    assert found["clawdeploy_operation_failures_total", ("create", "image_unavailable")] == 1
    assert found["clawdeploy_sync_seconds_count", ("done",)] == 1
    assert found["clawdeploy_sync_changes_total", ()] == 0
    assert 0 <= found["clawdeploy_sync_age_seconds", ()] < 60
    assert found["clawdeploy_engine_call_seconds_count", ("observe_all", "done")] == 1
    assert found["clawdeploy_engine_connected", ()] == 1
    assert found["clawdeploy_engine_cut_off", ()] == 0
    assert found["clawdeploy_database_connected", ()] == 1
    one = "/api/instances/{instance_id}"
    assert found["clawdeploy_http_requests_total", ("GET", one, "200")] == 1
    assert found["clawdeploy_http_requests_total", ("GET", one, "404")] == 1
    assert found["clawdeploy_http_request_seconds_count", ("GET", one)] == 2
    assert found["clawdeploy_http_requests_total", ("POST", "/api/instances", "201")] == 2


def test_refusals_for_being_too_much_are_counted(tmp_path: Path) -> None:
    site = Site(tmp_path, METRICS_SECRET=SECRET, RATE_LIMIT="2/minute", SIGN_IN_LIMIT="1/minute")
    ann = site.program()
    for _ in range(5):
        ann.post("/api/instances", {})
    for _ in range(3):
        site.forger().get("/api/instances")
    found = samples(metrics(site))
    assert found["clawdeploy_rate_limited_total", ("changes",)] == 3
    assert found["clawdeploy_rate_limited_total", ("sign_ins",)] == 2
    site.close()


def try_to_get_into_labels(site: Site, caller: Caller) -> None:
    """Send user text by every way that leads to something that is measured."""
    caller.create(name="sk-secret-name", apiKey="sk-secret")
    for method in ("GET", "POST", "PUT", "OPTIONS", "TRACE"):
        for path in (
            "/nothing/sk-secret?token=sk-secret",
            "/api/instances/sk-secret",
            "/static/sk-secret.css",
            "/sign-in/sk-secret",
        ):
            caller.call(method, path)
    site.anybody().post("/api/admin/sync", x_sync_secret="sk-secret")
    site.anybody().get("/api/instances", authorization="Bearer cd_sk-secret")


def test_no_label_holds_what_anybody_sent(site: Site) -> None:
    user = "ann 'quoted\" user"
    caller = site.program(user)
    try_to_get_into_labels(site, caller)
    bot = site.instances(user)[0]
    site.memory.vanish(bot["id"])
    site.platform.reconciler.sync()
    text = metrics(site)
    for secret in (
        "sk-secret",
        user,
        "ann",
        bot["id"],
        str(bot["containerId"]),
        SECRET,
        caller.headers["Authorization"][7:],
    ):
        assert secret not in text, secret
    statuses = {status.value for status in Status}
    known = {
        "method": {"GET", "POST", "PUT", "OPTIONS", "TRACE"},
        "route": {route for _, route in routes(site)} | {"/static", "(no such address)"},
        "status": {str(code) for code in (200, 201, 303, 400, 401, 404, 405, 410)} | statuses,
        "operation": {operation.value for operation in Operation},
        "reason": set(SENTENCES) | statuses,
        "outcome": {"done", "failed", "unavailable", "refused"},
        "call": {"create", "start", "stop", "remove", "discard", "observe", "observe_all",
                 "holdings", "logs", "pull", "room"},
        "limit": {"changes", "sign_ins"},
    }  # fmt: skip
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for name, value in sample.labels.items():
                assert name == "le" or value in known[name], (sample.name, name, value)
                assert not re.search("[0-9a-f]{12}", value)


def test_a_database_that_is_away_leaves_out_what_it_knows(site: Site, tmp_path: Path) -> None:
    assert site.platform.database_health.condition().connected
    # For a second that is still taken to be so, and the count finds out that it is not.
    (tmp_path / "clawdeploy.db").rename(tmp_path / "away.db")
    assert not [name for name, _ in samples(metrics(site)) if name == "clawdeploy_instances"]


def test_a_database_that_is_known_to_hang_is_not_asked(site: Site) -> None:
    def is_away() -> datetime | None:
        raise DatabaseUnavailable

    site.platform.database_health = DatabaseHealth(is_away)
    found = samples(metrics(site))
    assert found["clawdeploy_database_connected", ()] == 0
    assert not [name for name, _ in found if name == "clawdeploy_instances"]


def test_an_unknown_query_is_refused(site: Site) -> None:
    problem(site.anybody().get("/metrics?name=x", authorization=f"Bearer {SECRET}"), 400, "invalid_input")
