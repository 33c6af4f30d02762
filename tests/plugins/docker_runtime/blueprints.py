"""Blueprints whose bots are containers of a test."""

from collections.abc import Iterable
from dataclasses import replace

from clawdeploy.core.contracts import Blueprint, Bot, ContainerSpec, Probe, SecretFile, Volume
from clawdeploy.core.hookspecs import hookimpl


class Scripted:
    """A blueprint whose container is the one that is given."""

    name = "scripted"
    label = "Scripted"
    description = "It does what a script says."
    probe = Probe(deadline=15)
    stop_timeout = 5.0

    def __init__(self, spec: ContainerSpec) -> None:
        self.spec = spec
        self.images = spec.images

    def container(self, bot: Bot) -> ContainerSpec:
        return self.spec

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]


class Busy(Scripted):
    """One that mounts a file for each secret and has a volume."""

    name = "busy"

    def container(self, bot: Bot) -> ContainerSpec:
        files = tuple(SecretFile(f"/run/secrets/{name}", value) for name, value in sorted(bot.secrets.items()))
        return replace(self.spec, secret_files=files, volumes=(Volume("data", "/data"),))
