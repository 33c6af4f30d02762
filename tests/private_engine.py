"""A Docker Engine of a test's own, to be killed and started again while the one of this machine goes on."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from clawdeploy.core.testing import eventually
from tests.networks import remove_bridges

START_SECONDS = 60.0
BRIDGES = "cdtest"
"""What the names of their bridges begin with; the process id of the test run follows, so that runs do not meet."""


class PrivateEngine:
    """``dockerd`` and ``containerd`` with their own data and network bridge, all in ``folder``; needs root.

    They make no rules in the machine's firewall, which belong to the other engine: ports are forwarded by a process.
    Nor do they take addresses where it does: of two engines that make a network within the same 60 ms each gives it the
    addresses that the other does, and bots of one answer for those of the other.
    As where systemd starts both, ``containerd`` goes on when ``dockerd`` is killed.
    """

    def __init__(self, folder: Path, bridge: str, pool: str) -> None:
        self._folder = folder
        self._bridge = bridge
        self._pool = pool
        self.address = f"unix://{folder}/docker.sock"
        self._engine: subprocess.Popen[bytes] | None = None
        self._containerd: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, the first time or again after it was killed; returns when it answers."""
        if self._containerd is None:
            self._containerd = self._run(
                "containerd", "serving...", {"root": "containerd", "state": "run", "address": "containerd.sock"}
            )
        # A killed engine leaves the file behind, and its number may be another process by now.
        (self._folder / "pid").unlink(missing_ok=True)
        # Only the first time: started with them again it would delete the bridge of the machine's engine, docker0.
        pools = [] if (self._folder / "data").exists() else ["--default-address-pool", self._pool]
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "containerd": "containerd.sock"}
        self._engine = self._run(
            "dockerd", "API listen on", places,
            "--host", self.address, "--bridge", self._bridge, *pools,
            "--iptables=false", "--ip6tables=false", "--ip-masq=false",
        )  # fmt: skip

    def kill(self) -> None:
        """End the engine without a chance to do anything; its containers go on by themselves."""
        assert self._engine
        self._engine.kill()
        self._engine.wait()

    def forget_that_it_runs(self, container_id: str) -> None:
        """Note of a container what an engine has noted that is killed after it made the process. It must not go."""
        noted = self._folder / "data" / "containers" / container_id / "config.v2.json"
        said = json.loads(noted.read_text())
        said["State"].update(Running=False, Pid=0)
        noted.write_text(json.dumps(said))

    def shut_down(self) -> None:
        """End engine and containers in good order, as a machine does that is restarted."""
        assert self._engine
        self._engine.terminate()
        self._engine.wait(START_SECONDS)
        self.cut_power()

    def freeze(self) -> None:
        """Let the engine go on existing, and do nothing."""
        assert self._engine
        self._engine.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the engine go on as if nothing had happened."""
        assert self._engine
        self._engine.send_signal(signal.SIGCONT)

    def cut_power(self) -> None:
        """End everything at once, as a machine does that loses its power: engine, containers and all between them."""
        self.kill()
        if self._containerd:
            self._containerd.kill()
            self._containerd.wait()
            self._containerd = None
        for shim in self._shims():
            for pid in (*_descendants(shim), shim):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not self._shims(), START_SECONDS)
        # What is only kept in memory is not there after the start of a machine.
        shutil.rmtree(self._folder / "exec", ignore_errors=True)
        self._unmount()
        shutil.rmtree(self._folder / "run", ignore_errors=True)

    def _run(self, program: str, ready: str, places: dict[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
        options = [f"--{option}={self._folder / place}" for option, place in places.items()]
        log = self._folder / f"{program}.log"
        with log.open("w") as written:
            process = subprocess.Popen(
                [program, *options, *arguments], stdin=subprocess.DEVNULL, stdout=written, stderr=written
            )
        assert eventually(lambda: ready in log.read_text(), START_SECONDS), log.read_text()[-3000:]
        return process

    def with_processes(self) -> set[str]:
        """Return the ids of the containers that have processes, whatever the engine knows of that."""
        return set(self._shims().values())

    def _shims(self) -> dict[int, str]:
        """Return the processes that stand between this engine and its containers, with the ids of these."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                arguments = (process / "cmdline").read_text().split("\0")
                if "containerd-shim" in arguments[0] and str(self._folder) in " ".join(arguments):
                    found[int(process.name)] = arguments[arguments.index("-id") + 1]
        return found

    def load(self, image: str) -> None:
        """Copy an image from the engine of this machine."""
        source, own = docker.from_env(), docker.DockerClient(self.address)
        try:
            own.images.load(b"".join(source.images.get(image).save(named=True)))
        finally:
            source.close()
            own.close()

    def close(self) -> None:
        """Remove its containers and end it, and everything that it started; bridges would outlive it."""
        if self._engine and self._engine.poll() is None:
            self._remove_containers()
            self.shut_down()
        elif self._engine:
            self.cut_power()
        remove_bridges(self._folder / "data" / "network")

    def _unmount(self) -> None:
        """Unmount what a killed engine had mounted, which stays so."""
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if Path(mount).is_relative_to(self._folder)]):
            subprocess.run(["umount", "--lazy", mount], check=True)

    def _remove_containers(self) -> None:
        client = docker.DockerClient(self.address)
        try:
            for container in client.containers.list(all=True):
                container.remove(force=True)
        finally:
            client.close()


def _descendants(pid: int) -> list[int]:
    """Return the children of a process, their children and so on, the youngest first."""
    found: list[int] = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [*_descendants(int(child)), int(child)]
    return found


@pytest.fixture
def private_bridge() -> Iterator[str]:
    """Give the name of a network bridge with an address of its own, that is gone after the test."""
    forget_bridges()
    name = f"{BRIDGES}{os.getpid()}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", f"{_own_address(1)}/28", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


def _own_address(offset: int) -> str:
    """Return one of the 64 addresses of this test run, of those that are for tests of networks and no engine takes."""
    number = os.getpid() % 1024 * 64 + offset
    return f"198.19.{number // 256}.{number % 256}"


def forget_bridges() -> None:
    """Delete bridges that interrupted runs have left."""
    for found in Path("/sys/class/net").glob(f"{BRIDGES}*"):
        pid = found.name.removeprefix(BRIDGES)
        if pid == str(os.getpid()) or not Path("/proc", pid).exists():
            subprocess.run(["ip", "link", "delete", found.name], check=False)


@pytest.fixture
def private_engine(private_bridge: str) -> Iterator[PrivateEngine]:
    """Give a running engine without images or containers, that is gone after the test."""
    # A short path: the kernel allows 107 characters for a socket.
    folder = Path(tempfile.mkdtemp(prefix="engine-", dir="/var/tmp"))
    engine = PrivateEngine(folder, private_bridge, f"base={_own_address(32)}/27,size=28")
    try:
        engine.start()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)
