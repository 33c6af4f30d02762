"""Ending what an engine has lost: it was killed while it started a container, and the process goes on without it.

``dockerd`` has ``containerd`` make the process, and notes afterwards that the container runs. Killed in between it says
ever after that the container has ended. But there is its process: the whole bot with its secrets, or one that still
waits to become it, in a network at an address that another bot is given. No call of the engine ends it (Docker 20.10).
"""

import logging
import os
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from clawdeploy.plugins.docker_runtime.engine import Engine

logger = logging.getLogger(__name__)

SHIM = b"containerd-shim"
"""What the names of the programs begin with that stand between ``containerd`` and one container each."""
PROCESSES = Path("/proc")


def shims(container_id: str) -> list[int]:
    """Return the numbers of the processes of this machine that are the parents of a container's first ones."""
    return [pid for pid in _all() if _is_shim(pid, container_id)]


def end_all(engine: Engine, container_id: str) -> None:
    """End all processes of a container of which the engine says that it does not run.

    Only on this machine, and with the rights of root; without these it is logged what somebody who has them can do.
    """
    if engine.host is None:
        _end(container_id)


def end_older(engine: Engine, container_id: str) -> None:
    """End those that are older than the engine, which may be starting a newer one."""
    if engine.host is None and shims(container_id):
        since = engine.began()
        if since is not None:
            _end(container_id, since)


def _end(container_id: str, since: datetime | None = None) -> None:
    for shim in shims(container_id):
        with suppress(OSError):
            if since is None or _began(shim) < since:
                logger.warning("Docker has lost a process of container %s, which is ended", container_id[:12])
                # The kernel ends with the first process of a container all others of it.
                for pid in [*(each for each in _all() if _parent(each) == shim), shim]:
                    _kill(pid, shim, container_id)


def _kill(pid: int, shim: int, container_id: str) -> None:
    # By a handle and not by its number, which may be another process's a moment later.
    handle = os.pidfd_open(pid)
    try:
        if _is_shim(pid, container_id) if pid == shim else _parent(pid) == shim:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except PermissionError:
        logger.warning("This needs the rights of root. As root, kill -9 %d ends it.", pid)
    finally:
        os.close(handle)


def _all() -> list[int]:
    return [int(each.name) for each in PROCESSES.glob("[0-9]*")]


def _is_shim(pid: int, container_id: str) -> bool:
    try:
        program, *arguments = (PROCESSES / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return program.rpartition(b"/")[2].startswith(SHIM) and container_id.encode() in arguments


def _parent(pid: int) -> int | None:
    try:
        return int(_fields(pid)[1])
    except OSError:
        return None


def _began(pid: int) -> datetime:
    """Return when a process began, in steps of 10 ms and by the clock as it is now."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(_fields(pid)[19]) / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(time.time() - age, UTC)


def _fields(pid: int) -> list[str]:
    """Return what proc(5) says of ``/proc/pid/stat`` from the third field on; the second may hold spaces."""
    return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
