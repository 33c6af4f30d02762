"""A blueprint that passes on what it is told, and a runtime that remembers what was done."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from clawdeploy.core.contracts import Blueprint, Bot, ContainerSpec, Limits, Probe, SecretFile
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.testing.failing_runtimes import WrappedRuntime
from tests.core.surroundings import Surroundings

SPEC = ContainerSpec(("bot:1",), 80, Limits(2**20, 0.5, 10), environment={"A": "1", "B": "2"})


class Plain:
    """A blueprint that mounts a file for each secret and says the bot's name in its environment."""

    name = "plain"
    label = "Plain"
    description = "It passes on what it is told."
    images: tuple[str, ...] = ("bot:1",)
    probe = Probe()
    stop_timeout = 1.0

    def container(self, bot: Bot) -> ContainerSpec:
        files = tuple(SecretFile(f"/run/{name}", value) for name, value in sorted(bot.secrets.items()))
        return replace(SPEC, images=self.images, secret_files=files, environment={"NAME": bot.name})

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]


class Journal(WrappedRuntime):
    """Remembers what was done to containers."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.done: list[str] = []

    def before(self, call: str) -> None:
        if call in ("create", "start", "stop", "remove", "discard"):
            self.done.append(call)


def mounted(surroundings: Surroundings, instance_id: str) -> dict[str, str]:
    spec = surroundings.memory.engine.containers[instance_id].spec
    return {file.path: file.content.reveal() for file in spec.secret_files}
