"""The blueprint ``standin``: a small web server in place of a bot, to see the whole machinery work."""

import re
from collections.abc import Iterable
from typing import Any

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import Blueprint, Bot, ContainerSpec, Limits, Probe
from clawdeploy.core.hookspecs import hookimpl

LOCAL_IMAGE = "clawdeploy-standin:local"
"""What ``scripts/run`` builds from the distribution's own nginx where no registry can be reached."""

MEBIBYTE = 2**20


def image_name(value: str) -> str:
    """Read the name of an image, such as ``nginx:alpine`` or ``registry.example.org/team/bot:1``."""
    if not re.fullmatch(r"[A-Za-z0-9][\w./:@-]{0,254}", value, re.ASCII):
        raise ValueError("it must be the name of an image, such as nginx:alpine")
    return value


STANDIN_IMAGE = Setting(
    "CLAWDEPLOY_STANDIN_IMAGE",
    image_name,
    "nginx:alpine",
    f"Image of the stand-in blueprint. `{LOCAL_IMAGE}`, which `scripts/run` builds where no registry can be reached, "
    "serves when this one is not on the host.",
)


class StandIn:
    """nginx, which answers on its port and logs each request. It knows nothing of its bot and gets no secret."""

    name = "standin"
    label = "Stand-in (nginx)"
    description = "A small web server in place of a real bot: it shows that deploying works, and does not chat."
    probe = Probe(path="/", deadline=30.0)
    stop_timeout = 10.0

    def __init__(self, image: str) -> None:
        self.images = tuple(dict.fromkeys((image, LOCAL_IMAGE)))

    def container(self, bot: Bot) -> ContainerSpec:  # noqa: ARG002 -- the same container for every bot
        """See ``Blueprint.container``."""
        return ContainerSpec(
            images=self.images,
            container_port=80,
            limits=Limits(memory_bytes=256 * MEBIBYTE, cpus=0.5, pids=128),
            probe=self.probe,
            stop_timeout=self.stop_timeout,
            # nginx starts as root, gives its cache folders to its own user and then becomes that user.
            # Port 80 needs no capability on Docker, but does on engines that leave the kernel's default.
            capabilities=("CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"),
        )


@hookimpl
def register_settings() -> Iterable[Setting[Any]]:
    """Add the setting that names the image."""
    return [STANDIN_IMAGE]


@hookimpl
def register_blueprints(config: Config) -> Iterable[Blueprint]:
    """Offer the stand-in."""
    return [StandIn(config[STANDIN_IMAGE])]
