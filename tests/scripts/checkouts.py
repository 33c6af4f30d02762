"""Copies of this checkout, and ``scripts/run`` in them, with the surroundings that a test wants."""

import json
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.scripts.fresh_machine import CHECKOUT

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_COPIED = (".venv", ".git", "data", ".*_cache", ".coverage*", "*.egg-info", "__pycache__")


def copy_checkout(folder: Path) -> Path:
    """Copy the files of this checkout, changed and new ones too, into a folder; returns it."""
    leave_out = [f"--exclude=./{name}" if "*" not in name else f"--exclude={name}" for name in NOT_COPIED]
    with subprocess.Popen(["tar", "-c", "-C", CHECKOUT, *leave_out, "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "-x", "-C", folder], stdin=packed.stdout, check=True)
    return folder


@contextmanager
def folder_for_everyone() -> Iterator[Path]:
    """Make a folder that every user may enter; pytest's own temporary ones are for one user."""
    with tempfile.TemporaryDirectory(prefix="clawdeploy-run-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def path_without(folder: Path, *hidden: str) -> str:
    """Make a PATH with all programs of this system but those whose names begin with one of ``hidden``."""
    folder.mkdir()
    for place in SYSTEM_PATH.split(":"):
        for program in Path(place).iterdir():
            link = folder / program.name
            if not program.name.startswith(hidden) and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def system_python() -> str:
    """Return the system's own Python, which every user can run and a fresh machine has too."""
    nobody = pwd.getpwnam("nobody")
    for name in ("/usr/bin/python3", "/usr/local/bin/python3"):
        check = "import sys, venv, ensurepip; assert sys.version_info >= (3, 11)"
        if Path(name).exists():
            tried = subprocess.run([name, "-c", check], user=nobody.pw_uid, check=False, capture_output=True)
            if tried.returncode == 0:
                return name
    pytest.fail("These tests need the system's Python 3.11 or newer with its venv module.", pytrace=False)


def free_port() -> int:
    """Find a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Run:
    """How ``scripts/run`` is called: in which checkout, as whom (``None``: as we are), with what around it."""

    checkout: Path
    arguments: list[str] = field(default_factory=list)
    user: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = Path("/")

    def to_the_end(self) -> subprocess.CompletedProcess[str]:
        """Run it until it ends by itself."""
        return subprocess.run(**self._call(), capture_output=True, check=False)

    @contextmanager
    def serving(self, ending: signal.Signals = signal.SIGTERM) -> Iterator["Served"]:
        """Run it until it serves; it ends with the block, by a signal, and has to end well."""
        port = free_port()
        self.arguments = [*self.arguments, "--port", str(port)]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(**self._call(), stdout=subprocess.PIPE, stderr=errors) as process,
        ):
            try:
                assert process.stdout
                said = read_until_ready(process.stdout)
                yield Served(port, said, errors)
                process.send_signal(ending)
                status = process.wait(20)
            finally:
                if process.poll() is None:
                    process.kill()
            errors.seek(0)
            assert status == 0, errors.read()

    def _call(self) -> dict[str, Any]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("CLAWDEPLOY_", "DOCKER_"))}
        account = pwd.getpwnam(self.user) if self.user else None
        as_user: dict[str, Any] = {}
        if account:
            as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            ours |= {"PATH": SYSTEM_PATH, "HOME": "/nonexistent"}
        return {
            "args": [self.checkout / "scripts/run", *self.arguments],
            "env": ours | self.environment,
            "cwd": self.folder,
            "text": True,
            "stdin": subprocess.DEVNULL,
            **as_user,
        }


@dataclass
class Served:
    """A ClawDeploy that is being served: where, and what it has said so far."""

    port: int
    said: str
    _errors: IO[str]

    @property
    def errors(self) -> str:
        """What it wrote to standard error so far."""
        self._errors.seek(0)
        return self._errors.read()

    def health(self) -> dict[str, Any]:
        """Ask it how it is."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/health", timeout=10) as answer:
            health: dict[str, Any] = json.load(answer)
            return health


def read_until_ready(output: IO[str]) -> str:
    """Read what is said up to and with the sign-in link, which comes last."""
    said = ""
    for line in output:
        said += line
        if "/sign-in/" in line:
            return said
    pytest.fail(f"It ended before it served. It said:\n{said}")
