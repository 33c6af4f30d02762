"""Every line that a real server and the commands write to their log is an entry, whoever wrote it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.testing import eventually
from tests.web.serving import Served, environment

pytestmark = pytest.mark.system

GOOD = b'{"name": "test", "model": "gpt-5.2", "channel": "telegram"}'
JSON = {"content_type": "application/json"}
SECRET = "sk-very-secret"
ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00 [A-Z]+ [\w.]+ \[[^\n]*\] |  \| ")


def trouble(served: Served) -> dict[str, str]:
    """Do what is logged, with secrets and odd text wherever there is room; returns the ids of what was made."""
    made = json.loads(served.call("POST", "/api/instances", GOOD, **JSON).body)["instance"]["id"]
    seen = served.call("GET", f"/api/instances/{made}?token={SECRET}")
    served.call("GET", f"/sign-in/{SECRET}")
    served.call("GET", f"/nothing/{SECRET}", User_Agent="x\x85\x9b31m", X_Request_Id="forged")
    served.call("GET", "/api/instances", Authorization=f"Bearer cd_{SECRET}")
    for request in (
        f"GET /{SECRET} HTTP/9.9\r\n\r\n",
        f"GET /x HTTP/1.1\r\nHost: x\r\nBad header {SECRET}\x1b\0\r\n\r\n",
        f"\x1b[2J /{SECRET}\u2028 HTTP/1.1\r\nHost: x\r\n\r\n",
        f"BREW /{SECRET}%0d%0a2026-01-01%e2%80%a8 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ):
        served.answer(request.encode())
    (worker,) = served.workers()
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: served.workers() not in ([], [worker]), 20)
    assert served.call("GET", "/api/models").status == 200
    assert served.stop() == 0
    return {"instance": made, "requestId": seen.headers["X-Request-Id"]}


def entries(served: Served) -> Iterator[dict[str, Any]]:
    for line in served.log.read_text().splitlines():
        entry: dict[str, Any] = json.loads(line)
        assert {"time", "level", "logger", "message"} <= set(entry), entry
        yield entry


def test_as_json(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="1", LOG_FORMAT="json")) as served:
        ids = trouble(served)
        found = list(entries(served))
        assert SECRET not in served.log.read_text()
    access = [entry for entry in found if entry["logger"] == "clawdeploy.web.access"]
    (one,) = [entry for entry in access if entry["requestId"] == ids["requestId"]]
    known = {name: one[name] for name in ("method", "route", "status", "user", "instance", "address")}
    asked = {"method": "GET", "route": "/api/instances/{instance_id}", "status": 400}
    assert known == {**asked, "user": "ann", "instance": ids["instance"], "address": "127.0.0.1"}
    assert isinstance(one["ms"], int)
    routes = [entry["route"] for entry in access]
    assert routes.count("/sign-in/{token}") == 1
    assert routes.count("(no such address)") == 2
    assert [entry["user"] for entry in access if entry["route"] == "/sign-in/{token}" if "user" in entry] == []
    refused = [entry for entry in found if entry["message"].startswith("Refused a malformed request")]
    assert len(refused) == 3
    assert all("requestId" in entry and "user" not in entry for entry in refused)
    assert {entry["address"] for entry in refused} == {"127.0.0.1"}
    assert [entry["logger"] for entry in found if "SIGKILL" in entry["message"]] == ["gunicorn.error"]
    activity = [entry for entry in found if entry["logger"] == "clawdeploy.activity"]
    running = [entry for entry in activity if "after=running" in entry["message"]]
    assert [(entry["user"], entry["instance"]) for entry in running] == [("ann", ids["instance"])]


@pytest.mark.prove
def test_as_text(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="1")) as served:
        trouble(served)
        lines = served.log.read_text().splitlines()
    assert [line for line in lines if not ENTRY.match(line)] == []
    assert not [line for line in lines if SECRET in line or "\x1b" in line]


def test_commands_too(tmp_path: Path) -> None:
    settings = {"RUNTIME": "docker", "DOCKER_HOST": f"unix://{tmp_path}/nothing\x1b[31m\u2028"}

    def sync(log_format: str) -> list[str]:
        command = [sys.executable, "-m", "clawdeploy", "sync"]
        given = environment(tmp_path, LOG_FORMAT=log_format, **settings)
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert not re.search("[\x1b\u2028]", done.stderr)
        return done.stderr.splitlines()

    assert [line.partition(":")[0] for line in sync("json")] == ["Error"], "what the command answers is no log"
    assert "CLAWDEPLOY_LOG_FORMAT='xml' is not usable: it must be text or json" in sync("xml")[-1]
