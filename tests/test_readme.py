"""The commands in the README do what it says, on a real engine and a real server.

What ``./scripts/run`` itself does is tested with the scripts; here the server is started alone.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clawdeploy.core.testing import free_port
from tests.docs.markdown import code, documents, section

README = documents()["README.md"]
FIRST_BOT = "Your first bot in five minutes"
BACKUP = "Where the data is, and how to keep it"

pytestmark = [pytest.mark.engine, pytest.mark.system]


@dataclass(frozen=True)
class Checkout:
    """A folder in which the README's commands find what they name."""

    folder: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        settings = {name: value for name, value in os.environ.items() if not name.startswith("CLAWDEPLOY_")}
        return settings | {"CLAWDEPLOY_PORT": str(self.port), "CLAWDEPLOY_DATA_DIR": str(self.folder / "data")}

    def run(self, *blocks: str) -> str:
        """Run blocks of the README in one shell and return what they printed; the first command that fails ends it."""
        commands = "".join(blocks).replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, module in (("clawdeploy", "-m clawdeploy "), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        (programs / name).chmod(0o755)
    return Checkout(tmp_path, free_port())


@pytest.fixture
def server(checkout: Checkout) -> Iterator[Checkout]:
    """The server serves while the test runs."""
    with subprocess.Popen(
        [".venv/bin/clawdeploy", "serve"],
        cwd=checkout.folder,
        env=checkout.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("/sign-in/" in line for line in process.stdout), "the server ended without printing a link"
        yield checkout
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def blocks(heading: str) -> list[str]:
    return [block.text for block in code(section(README, heading), "sh")]


def test_the_first_bot(server: Checkout) -> None:
    said = server.run(*blocks(FIRST_BOT))
    created, listed, rest = said.split("\n", 2)
    assert '"status": "running"' in created
    assert listed.startswith('{"instances": [{"id": ')
    page, _, rest = rest.partition('{"logs": ')
    assert "<html" in page
    logs, _, rest = rest.partition("\n")
    assert "GET / HTTP/1.1" in logs
    inspected, _, rest = rest.partition('{"instance": ')
    assert '"Memory": 268435456' in inspected
    assert '"status": "stopped"' in rest.splitlines()[0]
    assert '"status": "running"' in rest.splitlines()[1]
    assert rest.splitlines()[2] == '{"success": true}'


def test_a_backup_can_be_restored(server: Checkout) -> None:
    (make_token, *_) = blocks(FIRST_BOT)
    server.run(make_token, *blocks(BACKUP))
    (restore,) = re.findall(r"`(\S+ restore [^`]*)`", section(README, BACKUP))
    listed = server.run(f"export CLAWDEPLOY_DATA_DIR=restored\n{restore}\n.venv/bin/clawdeploy token list --json\n")
    assert '"userId": "me"' in listed
