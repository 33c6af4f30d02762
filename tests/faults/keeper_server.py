"""``clawdeploy serve`` with one more blueprint: a bot that has everything that can be lost or leaked."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from clawdeploy.cli import command_line
from clawdeploy.core.contracts import Blueprint, Bot, ContainerSpec, Limits, Probe, SecretFile, SeededFile, Volume
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.opener import Opener
from tests.browser.sites import STANDIN_IMAGE

ROOT = Path(__file__).resolve().parents[2]
KEEPER_SERVER = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.faults.keeper_server import main; main()",
)
BLUEPRINT = "keeper"


class Keeper:
    """The stand-in with a volume, a file that is written into it once, and a file for each secret."""

    name = BLUEPRINT
    label = "Keeper"
    description = "It keeps data and secrets."
    images: tuple[str, ...] = (STANDIN_IMAGE,)
    probe = Probe(path="/", deadline=30.0)
    stop_timeout = 5.0

    def container(self, bot: Bot) -> ContainerSpec:
        """See ``Blueprint.container``."""
        secrets = tuple(SecretFile(f"/run/secrets/{name}", value) for name, value in sorted(bot.secrets.items()))
        return ContainerSpec(
            images=self.images,
            container_port=80,
            limits=Limits(memory_bytes=64 * 2**20, cpus=0.5, pids=64),
            probe=self.probe,
            stop_timeout=self.stop_timeout,
            volumes=(Volume("data", "/data"),),
            seeded_files=(SeededFile("/data/begun", b"once\n", 0o644),),
            secret_files=secrets,
            # As images are that change their user themselves.
            user=None,
            read_only=False,
            capabilities=("CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"),
        )

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        """Offer it."""
        return [self]


def main() -> None:
    """Serve, with the blueprint beside the usual plugins."""
    os.umask(0o077)
    opener = Opener(os.environ)
    opener.host.add(BLUEPRINT, Keeper, source="tests")
    command_line(opener)(["serve"], prog_name="clawdeploy", obj=opener)
