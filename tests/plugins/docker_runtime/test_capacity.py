"""What is left on the engine's computer: what it says itself, and what can be seen where it is this one."""

import os
from pathlib import Path
from typing import Any

import docker
import pytest

from clawdeploy.core.contracts import Room
from clawdeploy.core.errors import HostFull, RuntimeUnavailable
from clawdeploy.plugins.docker_runtime import capacity
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.platforms import GOOD, memory_platform
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.conftest import MakeRuntime

KIBIBYTE = 1024


def kernel_says(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * KIBIBYTE for line in lines if line.startswith(f"{name}:"))


@pytest.mark.engine
def test_on_this_computer_it_is_what_the_kernel_says(runtime: DockerRuntime, witness: docker.APIClient) -> None:
    left, told = runtime.room(), witness.info()
    assert told["MemTotal"] == kernel_says("MemTotal"), "the engine of these tests is on this computer"
    assert left.memory_bytes is not None
    assert abs(left.memory_bytes - kernel_says("MemAvailable")) < 2**30, "others work here as well"
    assert left.memory_bytes < told["MemTotal"]
    disk = os.statvfs(told["DockerRootDir"])
    assert left.disk_bytes is not None
    assert abs(left.disk_bytes - disk.f_bavail * disk.f_frsize) < 2**30


@pytest.fixture
def meminfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file that the kernel would say it in: 1,000 kB in all and 300 of them left."""
    file = tmp_path / "meminfo"
    file.write_text(
        "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     300 kB\nHugePages_Total:    0\n"
    )
    monkeypatch.setattr(capacity, "MEMORY_FILE", file)
    return file


def seen(make_runtime: MakeRuntime, total: int, folder: Path | str) -> Room:
    told = {"MemTotal": total, "DockerRootDir": str(folder)}
    with engines.scripted(engines.Script({"GET /info": (200, told)})) as address:
        return make_runtime("home", address).room()


def test_memory_that_is_available_counts(make_runtime: MakeRuntime, meminfo: Path, tmp_path: Path) -> None:
    left = seen(make_runtime, 1000 * KIBIBYTE, tmp_path)
    assert left.memory_bytes == 300 * KIBIBYTE
    assert left.disk_bytes


def test_of_another_computer_only_what_it_has_in_all_is_known(
    make_runtime: MakeRuntime, meminfo: Path, tmp_path: Path
) -> None:
    """As behind a socket that leads into a virtual machine, which has another amount of memory."""
    assert seen(make_runtime, 999 * KIBIBYTE, tmp_path) == Room(memory_bytes=999 * KIBIBYTE)
    meminfo.unlink()
    assert seen(make_runtime, 1000 * KIBIBYTE, tmp_path) == Room(memory_bytes=1000 * KIBIBYTE)


def test_a_disk_that_cannot_be_seen_is_not_known(make_runtime: MakeRuntime, meminfo: Path) -> None:
    assert seen(make_runtime, 1000 * KIBIBYTE, "/nowhere/docker") == Room(300 * KIBIBYTE)


@pytest.mark.parametrize("told", [{}, {"MemTotal": None, "DockerRootDir": "/"}, {"MemTotal": 1, "DockerRootDir": None}])
def test_an_engine_that_says_nothing_of_it_is_not_understood(
    make_runtime: MakeRuntime, told: dict[str, object]
) -> None:
    with (
        engines.scripted(engines.Script({"GET /info": (200, told)})) as address,
        pytest.raises(RuntimeUnavailable, match="does not understand"),
    ):
        make_runtime("home", address).room()


@pytest.mark.engine
def test_a_creation_that_does_not_fit_is_refused_with_the_real_numbers(
    tmp_path: Path, make_runtime: MakeRuntime, witness: docker.APIClient
) -> None:
    much = str(witness.info()["MemTotal"] // 2**20)
    for name, what in (("MEMORY", "memory"), ("DISK", "disk space")):
        reserve = much if name == "MEMORY" else str(10**8)
        settings: dict[str, Any] = {f"{name}_RESERVE_MB": reserve}
        platform = memory_platform(tmp_path / name, runtime=make_runtime, **settings)
        with pytest.raises(HostFull, match=rf"This computer has [0-9,]+ MB of {what} left, "):
            platform.instances.create("ann", GOOD)
        installation = platform.installation
        platform.close()
        assert witness.containers(all=True, filters={"label": f"clawdeploy.installation={installation}"}) == []
