"""A Docker Engine of a test's own, to be killed and started again while the one of this machine goes on."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from clawdeploy.core.testing import eventually

START_SECONDS = 60.0
BRIDGE = "cdtest0"
ADDRESS_OF_BRIDGE = "172.31.250.1/24"


class PrivateEngine:
    """``dockerd`` with its own containerd, data and network bridge, all in ``folder``; needs root.

    It makes no rules in the machine's firewall, which belong to the other engine: ports are forwarded by a process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, the first time or again after :meth:`kill`; returns when it answers."""
        places = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid"}
        command = ["dockerd", "--host", self.address, "--bridge", BRIDGE]
        command += [f"{option}={self._folder / place}" for option, place in places.items()]
        command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false"]
        # A killed engine leaves the file behind, and its number may be another process by now.
        (self._folder / "pid").unlink(missing_ok=True)
        log = self._folder / "log"
        with log.open("w") as written:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=written, stderr=written)
        assert eventually(lambda: "API listen on" in log.read_text(), START_SECONDS), log.read_text()[-3000:]

    def kill(self) -> None:
        """End it without a chance to do anything; its containers go on by themselves."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def load(self, image: str) -> None:
        """Copy an image from the engine of this machine."""
        source, own = docker.from_env(), docker.DockerClient(self.address)
        try:
            own.images.load(b"".join(source.images.get(image).save(named=True)))
        finally:
            source.close()
            own.close()

    def close(self) -> None:
        """Remove its containers and end it, and the containerd that it started."""
        if self._process and self._process.poll() is None:
            self._remove_containers()
            self._process.terminate()
            self._process.wait(START_SECONDS)
        containerd = self._folder / "exec/containerd/containerd.pid"
        if containerd.exists():
            os.kill(int(containerd.read_text()), signal.SIGTERM)

        # What a killed engine had mounted stays so.
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


@pytest.fixture
def private_engine() -> Iterator[PrivateEngine]:
    """Give a running engine without images or containers, that is gone after the test."""
    # A short path: the kernel allows 107 characters for a socket.
    folder = Path(tempfile.mkdtemp(prefix="engine-", dir="/var/tmp"))
    # One that an interrupted run has left would be in the way.
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    engine = PrivateEngine(folder)
    try:
        subprocess.run(["ip", "address", "add", ADDRESS_OF_BRIDGE, "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        engine.start()
        yield engine
    finally:
        engine.close()
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
        shutil.rmtree(folder, ignore_errors=True)
