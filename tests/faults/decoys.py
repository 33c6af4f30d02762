"""Containers that are not ours, and have to be the same after whatever happened."""

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import docker

INSTALLATION = "clawdeploy.installation"
INSTANCE = "clawdeploy.instance"
Seen = tuple[str, str, str, int]


def _letters() -> str:
    """Return what looks like an id of an instance."""
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(16))


@dataclass
class Decoys:
    """Three containers: without a label, named like ours without a label, and labelled by another installation.

    And a volume of each kind. ``image`` must run by itself for as long as nobody stops it.
    """

    engine: str
    image: str
    names: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    _before: dict[str, Seen | None] = field(default_factory=dict)

    def make(self) -> "Decoys":
        """Make and start them, and remember how they are."""
        foreign = {INSTALLATION: f"another{secrets.token_hex(8)}", INSTANCE: _letters()}
        kinds: tuple[tuple[str, dict[str, str]], ...] = (
            (f"bystander-{_letters()}", {}),
            (f"clawdeploy-{_letters()}", {}),
            (f"clawdeploy-{foreign[INSTANCE]}", foreign),
        )
        with _client(self.engine) as client:
            for name, labels in kinds:
                volume = f"{name}-data"
                client.create_volume(volume, labels=labels)
                self.volumes.append(volume)
                config = client.create_host_config(binds=[f"{volume}:/data"])
                client.create_container(self.image, name=name, labels=labels, host_config=config)
                self.names.append(name)
                client.start(name)
        self.remember()
        return self

    def remember(self) -> None:
        """Take how they are now for how they have to be, for instance after their engine was killed on purpose."""
        self._before = self.look()

    def look(self) -> dict[str, Seen | None]:
        """Return for each container its id, state, moment of its start and number of restarts; ``None`` when gone."""
        with _client(self.engine) as client:
            return {name: _seen(client, name) for name in self.names}

    def harmed(self) -> list[str]:
        """Return what is different, as sentences."""
        now = self.look()
        found = [
            f"The decoy {name} was {self._before[name]} and is {now[name]}."
            for name in self.names
            if self._before[name] != now[name]
        ]
        with _client(self.engine) as client:
            there = {volume["Name"] for volume in client.volumes()["Volumes"] or ()}
        return found + [f"The volume {volume} of a decoy is gone." for volume in self.volumes if volume not in there]

    def close(self) -> None:
        """Remove them."""
        with _client(self.engine) as client:
            for name in self.names:
                with suppress(docker.errors.NotFound):
                    client.remove_container(name, force=True)
            for volume in self.volumes:
                with suppress(docker.errors.NotFound):
                    client.remove_volume(volume, force=True)


def _seen(client: docker.APIClient, name: str) -> Seen | None:
    try:
        said: Any = client.inspect_container(name)
    except docker.errors.NotFound:
        return None
    return said["Id"], said["State"]["Status"], said["State"]["StartedAt"], said["RestartCount"]


def _client(engine: str) -> docker.APIClient:
    # A context manager since docker-py 3; its version of the API is the one that the product prefers.
    return docker.APIClient(engine, version="1.41", timeout=60)
