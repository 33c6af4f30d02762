"""A fresh machine for tests of scripts that install things: a new system in namespaces of its own.

The system is made by ``debootstrap`` once, kept in a cache folder, and copied for each machine. It has its own
processes, mounts and network: a Docker Engine can be installed and started in it beside the one of the
real machine, there is no way out to the internet, and all of it is gone when the machine is.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pytest

from tests.scripts.apt_index import packages_index

CHECKOUT = Path(__file__).resolve().parents[2]

# What the machine's apt can install although it has no network.
ARCHIVE = "srv/archive"
REACHABLE_PACKAGES = ("ca-certificates", "curl", "docker.io", "iptables", "nginx", "python3", "sudo")

# The first process of the machine. Bash collects the processes whose parents ended, as an init does, and ends
# when its input does. Control groups are left out on purpose: mounting them is the script's task.
BOOT = """
set -e
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p "$0/$1"
mount --bind "$1" "$0/$1"
ip link set lo up
exec chroot . /bin/bash -c 'echo booted; read -r'
"""


def cache_folder() -> Path:
    """Say where things that take long to make are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "clawdeploy-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def system_tree() -> Path:
    """Return the cached tree of a minimal system, of the release that this machine runs; makes it if need be."""
    if os.geteuid() != 0:
        pytest.fail("A fresh machine can only be made by root: run the tests as root.", pytrace=False)
    mirror, codename = _mirror()
    tree = cache_folder() / f"{codename}-5"
    if not tree.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as unfinished:
            _make_system(Path(unfinished) / "tree", codename, mirror)
            (Path(unfinished) / "tree").rename(tree)
    return tree


def release_of(tree: Path) -> tuple[str, str]:
    """Say which system a tree holds, as (``debian``, ``bookworm``)."""
    lines = (tree / "etc/os-release").read_text().splitlines()
    facts = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    return facts["ID"], facts["VERSION_CODENAME"]


class FreshMachine:
    """One machine. Use it with ``with``.

    ``root`` is its file system as seen from outside; ``shared`` is a folder of the real machine that
    it sees under the same name.
    """

    def __init__(self, shared: Path = CHECKOUT) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="clawdeploy-machine-"))
        self.root = self._folder / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", system_tree(), self.root], check=True)
        self._init = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", BOOT, self.root, shared],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._init.stdout
        assert self._init.stdout.readline() == "booted\n"
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children")
        self.first_process = int(children.read_text())

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine as root; output and errors come together, in order."""
        return subprocess.run(
            self.inside(*command, **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def inside(self, *command: str, **environment: str) -> list[str]:
        """Say how to call a command so that it runs in the machine, with no environment but the one given."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        assignments = [f"{name}={value}" for name, value in environment.items()]
        enter = ["nsenter", "-t", str(self.first_process), "--mount", "--net", "--pid", "--root", "--wd"]
        return [*enter, "env", "-i", path, "HOME=/root", "LANG=C.UTF-8", *assignments, *command]

    @contextmanager
    def start(self, *command: str, **environment: str) -> Iterator[IO[str]]:
        """Start a command in the machine and give its standard output; it ends with the block."""
        called = self.inside(*command, **environment)
        with subprocess.Popen(called, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                yield process.stdout
            finally:
                process.kill()

    @contextmanager
    def serve(self, folder: Path, port: int) -> Iterator[None]:
        """Serve a folder of the real machine by HTTP on the loopback address of this one."""
        code = (
            "import functools, http.server, sys\n"
            "files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])\n"
            "server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[2])), files)\n"
            "print('listening', flush=True)\n"
            "server.serve_forever()\n"
        )
        enter = ["nsenter", "-t", str(self.first_process), "--net"]
        command = [*enter, sys.executable, "-c", code, str(folder), str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            assert server.stdout
            assert server.stdout.readline() == b"listening\n"
            try:
                yield
            finally:
                server.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # Its mounts must be gone before its files are removed, and they go with its last process.
        self._init.kill()
        self._init.communicate()
        shutil.rmtree(self._folder)


def _make_system(tree: Path, codename: str, mirror: str) -> None:
    subprocess.run(["debootstrap", "--variant=minbase", codename, tree, mirror], check=True, stdout=subprocess.DEVNULL)
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    _apt_get(tree, "update")
    _apt_get(tree, "install", "--download-only", *REACHABLE_PACKAGES)
    # The machine will have no network: what it may install, its base included, becomes a repository inside of it.
    (tree / "etc/resolv.conf").unlink()
    archive = tree / ARCHIVE
    archive.mkdir()
    for package in (tree / "var/cache/apt/archives").glob("*.deb"):
        package.rename(archive / package.name)
    (archive / "Packages").write_text(packages_index(archive.glob("*.deb"), archive))
    (tree / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:///{ARCHIVE} ./\n")
    shutil.rmtree(tree / "var/lib/apt/lists")
    _apt_get(tree, "update")


def _apt_get(tree: Path, *arguments: str) -> None:
    environment = {"DEBIAN_FRONTEND": "noninteractive", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    subprocess.run(
        ["chroot", tree, "apt-get", "-q", "-y", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
    )


def _mirror() -> tuple[str, str]:
    """Return the package mirror that this machine uses, and the codename of its release."""
    codename = release_of(Path("/"))[1]
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in targets.stdout.splitlines():
        target_codename, component, mirror = line.split("|")
        if (target_codename, component) == (codename, "main"):
            return mirror, codename
    pytest.fail(f"apt on this machine has no source for {codename} main to make a fresh machine from.", pytrace=False)
