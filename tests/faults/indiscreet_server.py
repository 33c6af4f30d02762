"""``clawdeploy`` with a plugin whose bots and channel tell secrets wherever they can."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from clawdeploy.cli import command_line
from clawdeploy.command_line import trustworthy_end
from clawdeploy.core.contracts import (
    Blueprint,
    Bot,
    Channel,
    ContainerSpec,
    CredentialField,
    Limits,
    Probe,
    SecretFile,
    Volume,
)
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.logs import configure_command_logging
from clawdeploy.core.opener import Opener

ROOT = Path(__file__).resolve().parents[2]
INDISCREET = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.faults.indiscreet_server import main; main()",
)
IMAGE = "clawdeploy-test-busybox:local"
ABSENT = "127.0.0.1:9/team/absent:1"
SCRIPT = """
if test -e /data/crash; then for file in /run/secrets/*; do echo "crashed with $(cat $file)"; done; exit 3; fi
exec httpd -f -p 8080 -h /www
"""


class Teller:
    """A bot that writes its secrets into its log and crashes, once there is a file ``crash`` in its volume."""

    name = "teller"
    label = "Teller"
    description = "It tells what it knows."
    images: tuple[str, ...] = (IMAGE,)
    probe = Probe(deadline=20)
    stop_timeout = 1.0

    def container(self, bot: Bot) -> ContainerSpec:
        """See ``Blueprint.container``."""
        files = tuple(SecretFile(f"/run/secrets/{name}", value) for name, value in sorted(bot.secrets.items()))
        return ContainerSpec(
            images=self.images,
            container_port=8080,
            limits=Limits(32 * 2**20, 0.5, 32),
            probe=self.probe,
            stop_timeout=self.stop_timeout,
            command=("/bin/sh", "-c", SCRIPT),
            volumes=(Volume("data", "/data"),),
            secret_files=files,
        )


class Absent(Teller):
    """One whose image is in a registry that nobody reaches."""

    name = "absent"
    images: tuple[str, ...] = (ABSENT,)


class Raising(Teller):
    """One that fails with its secrets in an exception."""

    name = "raising"

    def container(self, bot: Bot) -> ContainerSpec:
        """Fail."""
        raise ValueError({name: value.reveal() for name, value in bot.secrets.items()})


class Refusing(Teller):
    """One that fails on purpose, with its secrets in the sentence."""

    name = "refusing"

    def container(self, bot: Bot) -> ContainerSpec:
        """Refuse."""
        raise RuntimeFailure(f"These are no good: {[value.reveal() for value in bot.secrets.values()]}")


class Repeating:
    """A chat network that repeats in its complaints what it was given, or fails with it."""

    name = "repeating"
    label = "Repeating"
    help = "It repeats."
    credential_fields: tuple[CredentialField, ...] = (
        CredentialField("word", "Word", "Anything.", "WORD"),
        CredentialField("other", "Other word", "Anything.", "OTHER"),
    )
    bot_config: Mapping[str, object] = {}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        """Complain about a word that begins with ``bad``, and fail on one that begins with ``worse``."""
        if any(value.startswith("worse") for value in credentials.values()):
            raise ValueError(credentials)
        return {name: f"{value!r} is bad" for name, value in credentials.items() if value.startswith("bad")}


class Indiscreet:
    """All of them."""

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        """Offer the bots."""
        return [Teller(), Absent(), Raising(), Refusing()]

    @hookimpl
    def register_channels(self) -> Iterable[Channel]:
        """Offer the channel."""
        return [Repeating()]


def main() -> None:
    """Run a command with the plugin beside the usual ones; without arguments it serves."""
    os.umask(0o077)
    configure_command_logging("")
    opener = Opener(os.environ)
    opener.host.add("indiscreet", Indiscreet, source="tests")
    with trustworthy_end():
        command_line(opener)(sys.argv[1:] or ["serve"], prog_name="clawdeploy", obj=opener)
