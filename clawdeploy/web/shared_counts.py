"""Counting in several processes: each writes into files of its own, and whoever is asked adds all of them up.

The files lie in a folder that lives as long as the server. A process takes the files of a place that no other one has,
and goes on counting where the last one in that place has ended, so that nothing is lost when processes are replaced,
and there are never more files than processes were at a time.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from prometheus_client import values

PREFIX = "clawdeploy-metrics-"
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""How the library is told of the folder."""


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Give a folder that nobody else may enter, and remove it afterwards in the process that has made it.

    It is locked meanwhile, so that those that a killed server has left can be told from others; they are removed first.
    """
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*"):
        _remove_if_left(left)
    made = Path(tempfile.mkdtemp(prefix="clawdeploy-new-", dir=place))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    # What cleans up temporary folders passes over a locked one, too.
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = made.rename(made.with_name(made.name.replace("clawdeploy-new-", PREFIX)))
    process = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def count_together(folder: Path) -> None:
    """Have all counts that this process begins from now on be written into the folder.

    Call it once in a process, before it counts anything. The place that it takes is free again when it has ended.
    """
    # It may have been taken for one that nobody needs; what was counted is gone then, but the server is to go on.
    folder.mkdir(mode=0o700, exist_ok=True)
    place = next(number for number in count() if _take(folder / f"{number}.lock"))
    os.environ[VARIABLE] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]  # it has no types


def _take(lock: Path) -> bool:
    # The descriptor stays open on purpose: the lock is this process's for as long as it lives.
    taken = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(taken)
        return False
    return True


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):
        found = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(found).st_uid == os.getuid():
                fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        finally:
            os.close(found)
