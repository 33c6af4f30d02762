"""What is deployed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from clawdeploy.core.contracts.channel import Channel
from clawdeploy.core.contracts.container import ContainerSpec, Probe
from clawdeploy.core.contracts.secret import Secret


@dataclass(frozen=True)
class Bot:
    """What a blueprint may know of an instance when it says what the container is like.

    ``secrets`` maps field names (``apiKey``, ``botToken``, a channel's own) to values.
    """

    instance_id: str
    name: str
    model: str
    channel: Channel
    host_port: int
    secrets: Mapping[str, Secret]
    config: Mapping[str, object]


class Blueprint(Protocol):
    """A kind of container that can be deployed: image, port, limits, probe, environment, files."""

    name: str
    label: str
    description: str
    images: tuple[str, ...]
    probe: Probe
    stop_timeout: float

    def container(self, bot: Bot) -> ContainerSpec:
        """Say what the container for this bot is like; pure, and the same for the same bot."""
