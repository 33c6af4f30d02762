"""What is left on the computer of an engine. An engine itself only says how much memory there is in all."""

import os
from pathlib import Path

from clawdeploy.core.contracts import Room
from clawdeploy.plugins.docker_runtime.engine import Engine
from clawdeploy.plugins.docker_runtime.failures import not_understood

MEMORY_FILE = Path("/proc/meminfo")


def room(engine: Engine) -> Room:
    """Ask the engine what its computer is, and look there if that is this one; raises an ``EngineError``."""
    said = engine.ask(dict, "/info")
    with not_understood():
        total, folder = int(said["MemTotal"]), Path(said["DockerRootDir"])
    here = _memory(MEMORY_FILE)
    # A socket may also lead into a virtual machine, as Docker Desktop's does, and that has another amount of memory.
    if engine.host is not None or here.get("MemTotal") != total:
        return Room(memory_bytes=total)
    return Room(min(total, here.get("MemAvailable", total)), _free_disk(folder))


def _memory(file: Path) -> dict[str, int]:
    """Read what the kernel says about memory, in bytes."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    parts = [line.split() for line in lines]
    return {name.rstrip(":"): int(number) * 1024 for name, number, *unit in parts if unit == ["kB"]}


def _free_disk(folder: Path) -> int | None:
    """Return how much may be written below a folder, ``None`` where that cannot be found out from here."""
    try:
        seen = os.statvfs(folder)
    except OSError:
        return None
    return seen.f_bavail * seen.f_frsize
