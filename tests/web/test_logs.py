"""One readable log line for each request, which nobody can forge and which holds no secret."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdeploy.core.context import address, request_id
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.logs import JsonLine, Line, printable
from clawdeploy.core.testing import SlowRuntime, eventually
from tests.platforms import GOOD
from tests.web.people import Site


class SlowSite(Site):
    """A site whose engine takes its time to start containers, until ``slow`` is released."""

    slow: SlowRuntime

    def wrap(self, installation: str) -> Runtime:
        """Return the slow runtime."""
        self.slow = SlowRuntime(super().wrap(installation), ["start"])
        return self.slow


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that our own formatter writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Line())
    logger = logging.getLogger("clawdeploy")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_request_is_logged_once_with_its_route(site: Site, log: io.StringIO) -> None:
    ann = site.program()
    made = ann.create()
    before = len(log.getvalue())
    answer = ann.get(f"/api/instances/{made['id']}/logs?tail=5")
    (line,) = log.getvalue()[before:].splitlines()
    circumstances = f"{answer.headers['X-Request-Id']} user=ann instance={made['id']} address=127.0.0.1"
    assert f" clawdeploy.web.access [{circumstances}] GET /api/instances/{{instance_id}}/logs 200 " in line
    assert line.endswith(" ms")


def test_lines_of_work_in_the_background_have_the_id_of_the_request_that_asked_for_it(
    tmp_path: Path, log: io.StringIO
) -> None:
    """Also those that are written long after the request was answered, while others are."""
    site = SlowSite(tmp_path, WAIT_SECONDS=0)
    ann = site.program()
    asked = ann.post("/api/instances", GOOD)
    assert asked.json["instance"]["status"] != "running"
    instance_id = asked.json["instance"]["id"]
    assert site.slow.entered.wait(10)
    other = ann.get("/api/instances")
    before = len(log.getvalue())
    site.slow.release()
    assert eventually(lambda: "after=running" in log.getvalue()[before:], within=10), log.getvalue()
    (line,) = [line for line in log.getvalue()[before:].splitlines() if "after=running" in line]
    circumstances = f"{asked.headers['X-Request-Id']} user=ann instance={instance_id} address=127.0.0.1"
    assert f" clawdeploy.activity [{circumstances}] status changed " in line
    assert f"instance_id={instance_id}" in line
    assert other.headers["X-Request-Id"] not in line
    site.close()


def test_lines_of_a_sync_name_the_instance_that_they_are_about(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    bot = site.program().create()
    site.memory.vanish(bot["id"])
    caplog.set_level(logging.INFO, "clawdeploy.core.reconciler")
    site.platform.reconciler.sync()
    (told,) = [record for record in caplog.records if record.getMessage().startswith("Sync: instance")]
    assert json.loads(JsonLine().format(told))["instance"] == bot["id"]


def test_no_secret_is_logged(site: Site, log: io.StringIO) -> None:
    ann = site.program()
    link, _ = site.platform.credentials.issue("sign_in_link", "ann")
    secrets = ["sk-very-secret", "query-secret", "path-secret", link.reveal(), ann.headers["Authorization"][7:]]
    ann.create(apiKey="sk-very-secret")
    ann.post("/api/instances", {**GOOD, "apiKey": ["sk-very-secret"]})
    ann.get("/api/instances?token=query-secret")
    ann.get("/sign-in/path-secret")
    ann.get("/no/such/path-secret?x=query-secret")
    site.anybody().get(f"/sign-in/{link.reveal()}")
    site.anybody().post("/api/admin/sync", x_sync_secret="query-secret")
    assert log.getvalue().count(" clawdeploy.web.access ") >= 7
    for secret in secrets:
        assert secret not in log.getvalue()


def test_nobody_can_forge_a_line(site: Site, log: io.StringIO) -> None:
    logger = logging.getLogger("clawdeploy.web")
    logger.warning("a name: %s", "x\n2026-01-01 00:00:00 INFO forged \x1b[31m \u202e \x85 \u2028 \ud800")
    try:
        raise ValueError("first\n2026-01-01 00:00:00 INFO forged")
    except ValueError:
        logger.exception("failed")
    lines = log.getvalue().split("\n")
    assert not any(line.startswith("2026-01-01") for line in lines)
    assert not any(ord(character) < 32 or character in "\x1b\u202e\x85\u2028" for line in lines for character in line)
    assert "\\x1b[31m \\u202e \\x85 \\u2028 \\ud800" in log.getvalue()


@given(st.text())
def test_whatever_is_logged_fits_on_one_line_of_any_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.splitlines() in ([], [shown])
    shown.encode()


def test_lines_outside_a_request_have_no_id() -> None:
    request_id.set("-")
    address.set("")
    record = logging.LogRecord("clawdeploy.x", logging.INFO, "", 0, "hello %s", ("there",), None)
    assert Line().format(record).endswith("INFO clawdeploy.x [-] hello there")
