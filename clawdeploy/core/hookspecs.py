"""The hooks: the whole seam between ClawDeploy and its plugins.

An implementation may take any subset of the arguments. ``docs/plugin_hooks.md`` describes
each hook for plugin authors; a test fails when one is missing there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import (
    AccountSection,
    AuthProvider,
    Blueprint,
    Channel,
    CredentialStore,
    Platform,
    Route,
    Runtime,
)
from clawdeploy.core.events import Event

if TYPE_CHECKING:
    import click

F = TypeVar("F", bound=Callable[..., Any])

NAMESPACE = "clawdeploy"
_spec = pluggy.HookspecMarker(NAMESPACE)
_impl = pluggy.HookimplMarker(NAMESPACE)


def hookimpl(function: F) -> F:
    """Mark a function of a plugin as the implementation of the hook of the same name."""
    return _impl(function)


@_spec
def register_settings() -> Iterable[Setting[Any]]:  # type: ignore[empty-body]
    """Return settings to add; their environment variables become known names."""


@_spec
def register_runtimes(config: Config, installation: str) -> Iterable[Runtime]:  # type: ignore[empty-body]
    """Return runtimes. Making one must not contact an engine.

    ``installation`` is this database's own id; everything a runtime makes is labelled with it.
    """


@_spec
def register_blueprints(config: Config) -> Iterable[Blueprint]:  # type: ignore[empty-body]
    """Return blueprints: what can be deployed."""


@_spec
def register_channels(config: Config) -> Iterable[Channel]:  # type: ignore[empty-body]
    """Return chat networks that a bot can talk on."""


@_spec
def register_auth_providers(config: Config, credentials: CredentialStore) -> Iterable[AuthProvider]:  # type: ignore[empty-body]
    """Return auth providers; they are asked in the order of registration."""


@_spec
def register_account_sections() -> Iterable[AccountSection]:  # type: ignore[empty-body]
    """Return kinds of credentials that people see and end on their account page, in the order of the page."""


@_spec
def register_routes(platform: Platform) -> Iterable[Route]:  # type: ignore[empty-body]
    """Return HTTP resources to add. A route that says nothing else needs a signed-in user."""


@_spec
def register_commands(cli: click.Group) -> None:
    """Add commands to the command line; ``click.Context.obj`` opens the platform when called."""


@_spec
def observe(event: Event) -> None:
    """Be told what has happened, after it was committed. A failure is logged and harms nobody."""


@_spec
def startup(platform: Platform) -> None:
    """Be called once in each process that serves, after everything is wired."""
