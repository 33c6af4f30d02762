"""A time that stands still, background work that is done at once, and a simple thing to deploy."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clawdeploy.core.contracts import Blueprint, Bot, ContainerSpec, Limits, Probe, SecretFile
from clawdeploy.core.hookspecs import hookimpl

IMAGE = "bot:1"
SPEC = ContainerSpec((IMAGE,), 80, Limits(256 * 2**20, 0.5, 10))


class StillClock:
    """A time that passes only when it is told to, and by a millisecond whenever somebody asks for it."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.advance(0.001)
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)

    def seconds(self) -> float:
        """Return the same time as seconds."""
        return self().timestamp()

    def pause(self, event: threading.Event, seconds: float) -> bool:
        """Let the time of a pause pass at once."""
        self.advance(seconds)
        return event.is_set()


def at_once(work: Callable[[], None]) -> "Future[None]":
    """Do background work before anything else, as if its thread were the quickest."""
    outcome: Future[None] = Future()
    try:
        work()
    except BaseException as error:
        outcome.set_exception(error)
    else:
        outcome.set_result(None)
    return outcome


class Plain:
    """A blueprint that mounts a file for each secret."""

    name = "plain"
    label = "Plain"
    description = "It passes on what it is told."
    images: tuple[str, ...] = (IMAGE,)
    probe = Probe(deadline=5.0)
    stop_timeout = 1.0

    def container(self, bot: Bot) -> ContainerSpec:
        files = tuple(SecretFile(f"/run/{name}", value) for name, value in sorted(bot.secrets.items()))
        return replace(SPEC, probe=self.probe, secret_files=files)

    @hookimpl
    def register_blueprints(self) -> Iterable[Blueprint]:
        return [self]
