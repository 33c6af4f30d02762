"""Where containers run."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from clawdeploy.core.contracts.container import ContainerSpec, Observation, Probe


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says about itself: its name for people ("Docker 27.3") and its address.

    ``warning`` is a sentence about the way to it, for whoever runs this server; empty when there is nothing to say.
    """

    name: str
    address: str
    warning: str = ""


@dataclass(frozen=True)
class Holding:
    """One thing that a runtime keeps for an instance: its container, a volume, its secret files.

    ``kind`` and ``name`` are for people; the name may be empty where the kind says it all. ``made_at`` is when it was
    made, or written last, never too early, and ``None`` where nobody can say. ``container_id`` is the engine's id of
    a container.
    """

    instance_id: str
    kind: str
    name: str
    made_at: datetime | None
    container_id: str | None = None


@dataclass(frozen=True)
class Room:
    """What is left on the computer of an engine, in bytes; ``None`` for what cannot be known from here.

    ``disk_bytes`` is where the engine keeps images, containers and volumes.
    """

    memory_bytes: int | None = None
    disk_bytes: int | None = None


class Runtime(Protocol):
    """An engine that runs containers.

    Every method raises only ``RuntimeUnavailable``, ``ImageMissing``, ``ImageUnavailable``,
    ``NameTaken``, ``PortTaken``, ``RuntimeFailure`` or, from ``start``, ``ContainerUnusable`` from
    ``clawdeploy.core.errors``, and returns in bounded time. Everything a runtime makes is labelled with the
    installation and the instance, and it never acts upon anything that does not carry its own labels.
    ``clawdeploy.core.testing`` ships the suite that an implementation has to pass.

    ``profile`` identifies with what containers are made besides their specification, such as a network or the address
    that ports are bound to. A container that was made with another one is made anew at its next start or restart.
    """

    name: str
    profile: str

    def create(self, instance_id: str, host_port: int, spec: ContainerSpec) -> str:
        """Make the container, not started yet, and return the engine's id for it.

        Idempotent: a container of ours that already exists for the instance is adopted.
        Raises ``ImageMissing`` when none of ``spec.images`` is on the host, ``NameTaken`` when
        a container that is not ours holds the name.
        """

    def pull(self, image: str) -> None:
        """Get an image onto the host; may take minutes. Raises ``ImageUnavailable``."""

    def start(self, container_id: str, instance_id: str, spec: ContainerSpec) -> None:
        """Start or resume the container; one that runs already is fine.

        Writes the secret files of ``spec`` first. Raises ``PortTaken``, and ``ContainerUnusable`` of one that has
        run before and can never again: it is removed, and another one made with the same port, or the next.
        """

    def stop(self, container_id: str, timeout: float) -> None:
        """End the process, by force after ``timeout`` seconds; ended or missing is fine.

        It stays stopped, also when the engine was about to restart it, or has failed to start it (``engine_error``) and
        would try again when it starts itself.
        """

    def remove(self, container_id: str) -> None:
        """Remove the container, running or not; missing is fine. Volumes stay."""

    def discard(self, instance_id: str) -> None:
        """Remove what an instance leaves besides its container: volumes and secret files."""

    def observe(self, instance_id: str) -> Observation:
        """Say what is true of the instance's container now, in full detail."""

    def observe_all(self) -> Mapping[str, Observation]:
        """Say what is true of all containers of this installation, by instance id.

        One engine call, however many there are; an instance that is not in it has none.
        """

    def holdings(self) -> Collection[Holding]:
        """Say what there is of this installation, containers and all that ``discard`` removes, of whatever instance.

        One engine call for each kind of thing, however many there are. Should somebody have made a second container of
        an instance by hand, it is in it too, while ``observe`` and ``observe_all`` tell of one only, both of the same.
        """

    def events(self) -> Iterator[str]:
        """Yield the id of an instance whenever something happened to its container, for as long as the engine tells.

        Begins with an empty string, as soon as it listens: whatever happened before has to be looked for. May end
        after some silence, to be called again. A runtime whose engine tells nothing yields nothing.
        """

    def probe(self, observation: Observation, probe: Probe) -> bool:
        """Ask the running container itself once whether it is ready."""

    def logs(self, container_id: str, tail: int, since: datetime | None = None) -> str:
        """Return at most ``tail`` last lines (bounded in bytes too), as decoded text.

        Raises ``NoContainer`` when the container is not there any more.
        """

    def ping(self) -> EngineInfo:
        """Prove that the engine answers. Raises ``RuntimeUnavailable``."""

    def room(self) -> Room:
        """Say what is left on the engine's computer."""

    def has_image(self, images: tuple[str, ...]) -> bool:
        """Say whether one of the images is on the host, so that nothing must be pulled."""

    def close(self) -> None:
        """Give back connections; the runtime is not used afterwards."""
