"""``scripts/audit-dependencies``: what is known of the libraries is told, and so is that nothing could be known."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.docker_runtime.engines import serving_tcp
from tests.scripts.fresh_machine import CHECKOUT

SCRIPT = CHECKOUT / "scripts/lib/audit_dependencies.py"
"""Without the shell script around it, which sets up the environment that is here already."""

Source = Callable[[Any], object]


@contextmanager
def source(say: Source) -> Iterator[str]:
    """Give the address of a source of advisories that answers what it is told to."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = json.dumps(say(asked["queries"])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with serving_tcp(Handler) as address:
        yield address.replace("tcp://", "http://")


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def result(query: Any) -> dict[str, Any]:
    return {"vulns": [{"id": "PYSEC-1"}, {"id": "GHSA-2"}]} if query["package"]["name"] == "mako" else {}


def test_what_is_known_is_told_with_its_version() -> None:
    asked: list[Any] = []

    def say(queries: Any) -> object:
        asked.extend(queries)
        return {"results": [result(each) for each in queries]}

    with source(say) as address:
        told = run("--source", address)
    assert (told.returncode, told.stderr) == (1, "")
    versions = {each["package"]["name"]: each["version"] for each in asked}
    assert told.stdout == (
        f"mako {versions['mako']}: PYSEC-1, GHSA-2\n1 of {len(asked)} libraries have known vulnerabilities.\n"
    )
    assert {"falcon", "peewee", "markupsafe"} <= set(versions), "also what libraries need themselves"
    assert not {"clawdeploy", "pytest"} & set(versions)
    with source(lambda queries: {"results": [{} for _ in queries]}) as address:
        assert run("--source", address).returncode == 0


@pytest.mark.parametrize("say", [lambda _: {"results": []}, lambda _: [], lambda _: {"results": [{"vulns": [1]}]}])
def test_a_source_that_does_not_say_is_no_all_clear(say: Source) -> None:
    with source(say) as address:
        told = run("--source", address)
    assert (told.returncode, told.stdout) == (3, "")
    assert "is not known" in told.stderr


def test_the_bill_of_materials_is_written_whatever_is_known(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    told = run("--source", "http://127.0.0.1:9", "--sbom", file)
    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr.startswith("No source of advisories could be asked")
    bill = json.loads(file.read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "clawdeploy")
    names = [one["name"] for one in bill["components"]]
    assert names == sorted(set(names))
    assert {"falcon", "gunicorn", "markupsafe"} <= set(names)
    assert all(one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}" for one in bill["components"])
