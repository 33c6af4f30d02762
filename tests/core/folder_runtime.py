"""A runtime whose engine is a folder, so that several processes can share it, and notice when they interleave."""

import json
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from clawdeploy.core.contracts import (
    MISSING,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    Holding,
    Observation,
    Probe,
    Room,
)


class FolderRuntime:
    """Keeps each container as a file, and writes down who did what.

    Every call that changes a container takes ``duration`` seconds. Two of them on one instance at the same time are
    written into the file ``overlaps``. In the call named by ``hang``, such as ``"before create"`` or
    ``"after start"``, it stays for ever, having made the file ``hanging``.
    """

    name = "folder"
    profile = ""

    def __init__(self, folder: Path, duration: float = 0.0, hang: str = "") -> None:
        self._folder = folder
        self._duration = duration
        self._hang = hang
        for name in ("containers", "busy"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def overlaps(self) -> list[str]:
        """Calls that found another one going on with the same instance."""
        return _lines(self._folder / "overlaps")

    @property
    def journal(self) -> list[list[str]]:
        """All changes in order: process id, call and instance."""
        return [line.split() for line in _lines(self._folder / "journal")]

    @property
    def hangs(self) -> bool:
        """Say whether some process hangs in its call."""
        return (self._folder / "hanging").exists()

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        with self._changing("create", instance_id):
            if not self._file(instance_id).exists():
                made_at = datetime.now(UTC).isoformat()
                self._write(instance_id, id=uuid.uuid4().hex, host_port=host_port, state="created", made_at=made_at)
            return str(self._read(instance_id)["id"])

    def pull(self, image: str) -> None:
        """Every image is here."""

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        with self._changing("start", instance_id):
            self._write(instance_id, state="running", exit_code=None)

    def stop(self, container_id: str, timeout: float) -> None:
        instance_id = self._owner(container_id)
        if instance_id:
            with self._changing("stop", instance_id):
                self._write(instance_id, state="exited", exit_code=0)

    def remove(self, container_id: str) -> None:
        instance_id = self._owner(container_id)
        if instance_id:
            with self._changing("remove", instance_id):
                self._file(instance_id).unlink(missing_ok=True)

    def discard(self, instance_id: str) -> None:
        with self._changing("discard", instance_id):
            pass

    def observe(self, instance_id: str) -> Observation:
        try:
            known = self._read(instance_id)
        except FileNotFoundError:
            return MISSING
        state = ContainerState(str(known["state"]))
        exit_code = int(str(known.get("exit_code", 0))) if state is ContainerState.EXITED else None
        return Observation(state, str(known["id"]), int(str(known["host_port"])), exit_code=exit_code)

    def events(self) -> Iterator[str]:
        """Nobody tells anything about a folder."""
        yield from ()

    def observe_all(self) -> Mapping[str, Observation]:
        return {path.stem: self.observe(path.stem) for path in (self._folder / "containers").glob("*.json")}

    def holdings(self) -> list[Holding]:
        known = [self._read(path.stem) | {"of": path.stem} for path in (self._folder / "containers").glob("*.json")]
        return [
            Holding(str(each["of"]), "container", "", datetime.fromisoformat(str(each["made_at"])), str(each["id"]))
            for each in known
        ]

    def probe(self, observation: Observation, probe: Probe) -> bool:
        return observation.state is ContainerState.RUNNING

    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        return ""

    def ping(self) -> EngineInfo:
        return EngineInfo("Folder", str(self._folder))

    def room(self) -> Room:
        return Room()

    def has_image(self, images: tuple[str, ...]) -> bool:
        return True

    def close(self) -> None:
        """There is nothing to give back."""

    def crash(self, instance_id: str, exit_code: int) -> None:
        """End the instance's container as if its process had failed."""
        self._write(instance_id, state="exited", exit_code=exit_code)

    @contextmanager
    def _changing(self, call: str, instance_id: str) -> Iterator[None]:
        marker = self._folder / "busy" / instance_id
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            _append(self._folder / "overlaps", f"{call} {instance_id}")
        _append(self._folder / "journal", f"{os.getpid()} {call} {instance_id}")
        self._stay(f"before {call}")
        threading.Event().wait(self._duration)
        yield
        self._stay(f"after {call}")
        marker.unlink(missing_ok=True)

    def _stay(self, where: str) -> None:
        if where == self._hang:
            (self._folder / "busy").rename(self._folder / "busy-when-killed")
            (self._folder / "busy").mkdir()
            (self._folder / "hanging").touch()
            threading.Event().wait()

    def _file(self, instance_id: str) -> Path:
        return self._folder / "containers" / f"{instance_id}.json"

    def _read(self, instance_id: str) -> dict[str, object]:
        known: dict[str, object] = json.loads(self._file(instance_id).read_text())
        return known

    def _write(self, instance_id: str, **fields: object) -> None:
        before = self._read(instance_id) if self._file(instance_id).exists() else {}
        draft = self._file(instance_id).with_suffix(f".{uuid.uuid4().hex}")
        draft.write_text(json.dumps({**before, **fields}))
        draft.replace(self._file(instance_id))

    def _owner(self, container_id: str) -> str | None:
        owners = [instance_id for instance_id, seen in self.observe_all().items() if seen.container_id == container_id]
        return owners[0] if owners else None


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
