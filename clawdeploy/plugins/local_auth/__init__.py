"""Local sign-in for a self-hosted copy: a one-time link from the command line opens a session."""

from collections.abc import Iterable
from typing import Any

import click

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import AccountSection, AuthProvider, CredentialStore, Platform, Route
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.plugins.local_auth.commands import session, sign_in
from clawdeploy.plugins.local_auth.sessions import SESSION, LocalSessions, Sessions
from clawdeploy.plugins.local_auth.settings import SESSION_LIFETIME, SESSION_UNUSED


@hookimpl
def register_settings() -> Iterable[Setting[Any]]:
    """Add how long sessions last."""
    return [SESSION_LIFETIME, SESSION_UNUSED]


@hookimpl
def register_auth_providers(config: Config, credentials: CredentialStore) -> Iterable[AuthProvider]:
    """Offer the session cookie."""
    return [LocalSessions(credentials, config)]


@hookimpl
def register_account_sections() -> Iterable[AccountSection]:
    """Let people see where they are signed in, and sign out there."""
    return [
        AccountSection(
            kind=SESSION,
            title="Sessions",
            help="The browsers in which you are signed in. Sign out those that you do not know.",
            empty="You are signed in without a session of this server.",
            end="Sign out",
            ended="That browser is signed out.",
            end_all="Sign out everywhere",
            provider=LocalSessions.name,
        )
    ]


@hookimpl
def register_routes(platform: Platform) -> Iterable[Route]:
    """Add the sign-in link, for anybody, and sign-out, unless people sign in in another way."""
    if not platform.sign_in.fallback:
        return []
    # Falcon is loaded only where something is served, not for each command.
    from clawdeploy.plugins.local_auth.resources import SignInLink, SignOut

    sessions = Sessions(platform)
    return [
        Route("/sign-in/{token}", SignInLink(sessions), access="public"),
        Route("/sign-out", SignOut(sessions)),
    ]


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add ``sign-in`` and ``session``."""
    cli.add_command(sign_in)
    cli.add_command(session)


@hookimpl
def startup(platform: Platform) -> None:
    """Forget credentials that expired while nobody looked."""
    platform.credentials.prune()
