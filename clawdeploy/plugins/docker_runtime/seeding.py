"""Files that are written into a container once, before its first start."""

import io
import tarfile
import time
from collections.abc import Iterable
from pathlib import PurePosixPath

from clawdeploy.core.contracts import ContainerSpec, SeededFile
from clawdeploy.plugins.docker_runtime.engine import WORK_SECONDS, Engine
from clawdeploy.plugins.docker_runtime.failures import EngineRefusal

MARK = ".clawdeploy-seeded"
"""Lies in a volume that has been seeded, and comes last, so that an interrupted seeding is repeated in full."""


def seed(engine: Engine, container_id: str, spec: ContainerSpec) -> None:
    """Write the seeded files into a container that has never been started.

    A volume outlives containers and the bot changes what is in it: one that was seeded before is left alone.
    """
    own = list(spec.seeded_files)
    for volume in spec.volumes:
        inside = [file for file in own if PurePosixPath(file.path).is_relative_to(volume.path)]
        own = [file for file in own if file not in inside]
        mark = str(PurePosixPath(volume.path) / MARK)
        if inside and not _exists(engine, container_id, mark):
            _put(engine, container_id, volume.path, [*inside, SeededFile(mark, b"", 0o444)])
    if own:
        _put(engine, container_id, "/", own)


def archive(folder: str, files: Iterable[SeededFile]) -> bytes:
    """Return a tar archive of files, named relative to the folder it is unpacked in.

    Folders on the way are not in it: the engine makes those that are missing, and leaves others as they are.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(str(PurePosixPath(file.path).relative_to(folder)))
            entry.size, entry.mode, entry.mtime = len(file.content), file.mode, int(time.time())
            entry.uid, entry.gid = file.uid, file.gid
            tar.addfile(entry, io.BytesIO(file.content))
    return packed.getvalue()


def _put(engine: Engine, container_id: str, folder: str, files: Iterable[SeededFile]) -> None:
    engine.call(
        "PUT",
        f"/containers/{container_id}/archive",
        params={"path": folder},
        data=archive(folder, files),
        timeout=WORK_SECONDS,
    )


def _exists(engine: Engine, container_id: str, path: str) -> bool:
    try:
        with engine.stream("GET", f"/containers/{container_id}/archive", params={"path": path}):
            return True
    except EngineRefusal as refused:
        if refused.status == 404:
            return False
        raise
