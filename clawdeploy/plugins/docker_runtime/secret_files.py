"""Files that hold secrets: on a memory file system of this machine, shown to one container, never on a disk.

Docker's own ways are no good for secrets: an environment variable stands in clear in the inspection, in a file of
the engine's and in containerd's bundle, and a file copied into a tmpfs of the container lands on the disk.
"""

import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from clawdeploy.core.contracts import SecretFile
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.plugins.docker_runtime.labels import is_instance_id

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


class SecretFolder:
    """The secret files of one installation, ``<root>/<installation>/<instance>/<path in the container>``.

    Only this user may enter the folders; the files in them are readable by everybody, because the container's
    process can have any user id and sees nothing but the file itself.
    """

    def __init__(self, installation: str, roots: Iterable[Path] | None = None) -> None:
        self._installation = quote(installation, safe="").replace(".", "%2E")
        self._roots = tuple(possible_roots() if roots is None else roots)

    def write(self, instance_id: str, files: Iterable[SecretFile]) -> dict[str, Path]:
        """Write all secret files of an instance afresh; returns path in the container to file on the host.

        A file of a secret that is no more becomes empty: the container was made with it and would not start without.
        Raises ``RuntimeFailure`` when there is no safe place for them.
        """
        written = {}
        with _failures_told("Secrets cannot be written to this server's memory"):
            for file in files:
                target = self._folder(instance_id) / quote(file.path, safe="")
                _write(target, file.content.reveal().encode("utf-8", "surrogatepass"))
                written[file.path] = target
            for stale in self._written(instance_id) - set(written.values()):
                _write(stale, b"")
        return written

    def remove(self, instance_id: str) -> None:
        """Remove the secret files of an instance, wherever this user may have put them."""
        with _failures_told("Secrets cannot be removed from this server's memory"):
            for folder in self._own_folders():
                with suppress(FileNotFoundError):
                    shutil.rmtree(folder / instance_id)
                with suppress(OSError):
                    folder.rmdir()

    def written(self) -> dict[str, datetime]:
        """Say of which instances there are secret files, and when the newest of each was written."""
        found: dict[str, datetime] = {}
        with _failures_told("Secrets in this server's memory cannot be listed"):
            for each in [path for folder in self._own_folders() for path in folder.glob("*")]:
                # What is being removed at this moment is as good as gone.
                with suppress(FileNotFoundError):
                    seen = each.lstat()
                    if is_instance_id(each.name) and stat.S_ISDIR(seen.st_mode):
                        at = datetime.fromtimestamp(seen.st_mtime, UTC)
                        found[each.name] = max(at, found.get(each.name, at))
        return found

    def _own_folders(self) -> list[Path]:
        """Return the folders of this installation that are there, and that nobody else can have put there."""
        return [root / self._installation for root in self._roots if _is_ours(root, root / self._installation)]

    def _written(self, instance_id: str) -> set[Path]:
        """Return the files that there are for an instance."""
        found: set[Path] = set()
        for root in self._roots:
            with suppress(PermissionError):
                found |= set((root / self._installation / instance_id).glob("*"))
        return found

    def _folder(self, instance_id: str) -> Path:
        for root in self._roots:
            if root.parent.is_dir() and is_in_memory(root.parent):
                try:
                    for folder in (root, root / self._installation, root / self._installation / instance_id):
                        _make_private(folder)
                except PermissionError:
                    continue
                return folder
        raise RuntimeFailure("There is no folder in this server's memory where secrets could be kept.")


@contextmanager
def _failures_told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RuntimeFailure(f"{what}: {error.strerror or 'a file is in the way'}.") from error


def possible_roots() -> Iterator[Path]:
    """Say where secrets may be kept, best first: for root, for a signed-in user, and wherever neither exists."""
    yield Path("/run/clawdeploy")
    if runtime_folder := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime_folder) / "clawdeploy"
    yield Path(f"/dev/shm/clawdeploy-{os.geteuid()}")  # noqa: S108 -- _make_private refuses what others put there


def is_in_memory(folder: Path) -> bool:
    """Say whether a folder lies on a file system that is kept in memory."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    kind, longest, real = "", -1, folder.resolve()
    for mount in mounts:
        fields, _, source = mount.partition(" - ")
        point = Path(fields.split()[4])
        if real.is_relative_to(point) and len(point.parts) >= longest:
            kind, longest = source.split()[0], len(point.parts)
    return kind in MEMORY_FILE_SYSTEMS


def _is_ours(*folders: Path) -> bool:
    """Say whether folders, each within the one before, are there, are no links and belong to this user.

    Another user's folder holds nothing of ours, and a link in our place may lead anywhere.
    """
    try:
        seen = [folder.lstat() for folder in folders]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    return all(stat.S_ISDIR(each.st_mode) and each.st_uid == os.geteuid() for each in seen)


def _make_private(folder: Path) -> None:
    """Make sure that a folder is there, is no link, is ours and is closed to everybody else."""
    folder.mkdir(mode=0o700, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        raise PermissionError(folder)
    if seen.st_mode & 0o077:
        folder.chmod(0o700)


def _write(target: Path, content: bytes) -> None:
    """Replace a file in one step: a container that starts meanwhile finds the old one or the new one."""
    new = target.with_name(f".{uuid.uuid4().hex}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o444)
    new.replace(target)
