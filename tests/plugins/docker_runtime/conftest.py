"""A real Docker Engine, a second pair of eyes on it, and a tiny image. Without an engine these tests fail."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, Limits, Probe
from clawdeploy.core.testing import Stage
from clawdeploy.plugins.docker_runtime.engine import LOCAL_SOCKET, Engine
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder
from tests.networks import remove_networks

ADDRESS = os.environ.get("DOCKER_HOST") or LOCAL_SOCKET
"""``DOCKER_HOST=unix:///run/podman/podman.sock pytest tests/plugins/docker_runtime`` tries another engine."""

BUSYBOX = Path("/bin/busybox")
BUSYBOX_IMAGE = "clawdeploy-test-busybox:local"
APPLETS = ("cat", "chmod", "dd", "head", "httpd", "id", "ls", "mkdir", "mount", "printf", "seq", "sh", "sleep", "stat")

RunScript = Callable[[str], ContainerSpec]
MakeRuntime = Callable[..., DockerRuntime]


@pytest.fixture(scope="session")
def witness() -> Iterator[docker.APIClient]:
    """The engine seen past our own code."""
    client = docker.APIClient(ADDRESS, version="1.41", timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="session")
def busybox_image(witness: docker.APIClient) -> str:
    """An image with a shell and a web server in two megabytes, made from the package busybox-static."""
    if not BUSYBOX.is_file():
        pytest.fail("/bin/busybox is missing: apt-get install busybox-static (scripts/test does so)")
    files = _busybox_tree()
    mark = hashlib.sha256(files).hexdigest()
    found = witness.images(name=BUSYBOX_IMAGE, filters={"label": f"clawdeploy.test.content={mark}"})
    if not found:
        changes = [f"LABEL clawdeploy.test.content={mark}", 'CMD ["/bin/sh"]']
        answer = witness.import_image_from_data(files, changes=changes)
        # Podman's import does not know tags.
        repository, tag = BUSYBOX_IMAGE.split(":")
        witness.tag(json.loads(answer.splitlines()[-1])["status"], repository, tag)
    return BUSYBOX_IMAGE


def _busybox_tree() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("bin", "etc", "run", "tmp", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content, mode in (
            ("bin/busybox", BUSYBOX.read_bytes(), 0o755),
            ("www/index.html", b"hello from busybox\n", 0o644),
            ("etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return packed.getvalue()


@pytest.fixture
def spec(busybox_image: str) -> ContainerSpec:
    """A container that greets on stdout, complains on stderr, and serves a page."""
    return ContainerSpec(
        images=(busybox_image,),
        container_port=8080,
        limits=Limits(memory_bytes=32 * 2**20, cpus=0.5, pids=32),
        probe=Probe(deadline=15),
        command=("/bin/sh", "-c", "echo hello; echo oops >&2; exec httpd -f -p 8080 -h /www"),
        stop_timeout=5,
        # Scripts of tests write where they like.
        user=None,
        read_only=False,
    )


@pytest.fixture
def script(spec: ContainerSpec) -> RunScript:
    """Give a container that runs a shell script instead."""
    return lambda text: replace(spec, command=("/bin/sh", "-c", text))


@pytest.fixture
def secret_root() -> Iterator[Path]:
    """Where secrets lie during a test, in memory."""
    root = Path(f"/dev/shm/clawdeploy-test-{uuid.uuid4().hex}")
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def make_runtime(secret_root: Path, request: pytest.FixtureRequest) -> Iterator[MakeRuntime]:
    """Make runtimes: for another installation, an engine at another address, or ports that are bound to another."""
    made: list[DockerRuntime] = []
    installations: set[str] = set()

    def make(installation: str | None = None, address: str = ADDRESS, bound_to: str = "127.0.0.1") -> DockerRuntime:
        owner = installation or uuid.uuid4().hex
        installations.add(owner)
        made.append(DockerRuntime(Engine(address), owner, bound_to, SecretFolder(owner, [secret_root])))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()
    if "witness" in request.fixturenames:
        for each in installations:
            remove_networks(request.getfixturevalue("witness"), each)


@pytest.fixture
def runtime(make_runtime: MakeRuntime) -> DockerRuntime:
    """A runtime of a new installation on the real engine."""
    return make_runtime()


@pytest.fixture
def stage(runtime: DockerRuntime) -> Iterator[Stage]:
    """The real engine, cleared of everything that a test made through the runtime."""
    stage = Stage(runtime)
    yield stage
    stage.clear()
