"""The blueprint ``standin``: a small web server in place of a bot, to see the whole machinery work."""

import re
from collections.abc import Iterable
from typing import Any

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import Blueprint, Bot, ContainerSpec, Limits, Probe
from clawdeploy.core.hookspecs import hookimpl

USUAL_IMAGE = "nginx:alpine"

LOCAL_IMAGE = "clawdeploy-standin:local"
"""What ``scripts/run`` builds from the distribution's own nginx where no registry can be reached."""

MEBIBYTE = 2**20

# The grammar of https://github.com/distribution/reference, in which a first part is a registry when it has a dot or a
# port, or is "localhost".
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
REGISTRY = rf"(?:(?:localhost|{LABEL}(?:\.{LABEL})+|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?|{LABEL}:[0-9]{{1,5}})"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
IMAGE_NAME = re.compile(rf"(?:{REGISTRY}/)?{PART}(?:/{PART})*(?::{TAG})?(?:@{DIGEST})?")


def image_name(value: str) -> str:
    """Read the name of an image, such as ``nginx:alpine`` or ``registry.example.org/team/bot:1``."""
    if len(value) > 255 or not IMAGE_NAME.fullmatch(value):
        raise ValueError(
            "it must be the name of an image, such as nginx:alpine or registry.example.org:5000/team/bot:1: "
            "small letters, then a tag after : or a digest after @ if you like"
        )
    return value


STANDIN_IMAGE = Setting(
    "CLAWDEPLOY_STANDIN_IMAGE",
    image_name,
    USUAL_IMAGE,
    f"Image of the stand-in blueprint. In place of `{USUAL_IMAGE}`, and of no other, `{LOCAL_IMAGE}` serves when that "
    "is not on the host; `scripts/run` builds it where no registry can be reached.",
)


class StandIn:
    """nginx, which answers on its port and logs each request. It knows nothing of its bot and gets no secret."""

    name = "standin"
    label = "Stand-in (nginx)"
    description = "A small web server in place of a real bot: it shows that deploying works, and does not chat."
    probe = Probe(path="/", deadline=30.0)
    stop_timeout = 10.0

    def __init__(self, image: str) -> None:
        # An image that somebody chose is never replaced by another: they would not get what they asked for.
        self.images: tuple[str, ...] = (image, LOCAL_IMAGE) if image == USUAL_IMAGE else (image,)

    def container(self, bot: Bot) -> ContainerSpec:  # noqa: ARG002 -- the same container for every bot
        """See ``Blueprint.container``."""
        return ContainerSpec(
            images=self.images,
            container_port=80,
            limits=Limits(memory_bytes=256 * MEBIBYTE, cpus=0.5, pids=128),
            probe=self.probe,
            stop_timeout=self.stop_timeout,
            # That of the user nginx in both images; by its number, because folders in memory are to be its own.
            user="101:101",
            # Port 80 needs no capability on Docker, but does on engines that leave the kernel's default.
            capabilities=("NET_BIND_SERVICE",),
            read_only=True,
            tmpfs=("/run", "/tmp", "/var/cache/nginx"),  # noqa: S108 -- in the container
        )


@hookimpl
def register_settings() -> Iterable[Setting[Any]]:
    """Add the setting that names the image."""
    return [STANDIN_IMAGE]


@hookimpl
def register_blueprints(config: Config) -> Iterable[Blueprint]:
    """Offer the stand-in."""
    return [StandIn(config[STANDIN_IMAGE])]
