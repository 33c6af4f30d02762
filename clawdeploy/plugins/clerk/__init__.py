"""Sign-in with Clerk, for a hosted copy: whoever has a session of a Clerk instance is signed in here."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import AuthProvider, Platform, Route, SignIn
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.plugins.clerk.settings import SETTINGS, ClerkSettings, read


@hookimpl
def register_settings() -> Iterable[Setting[Any]]:
    """Add the settings; with CLERK_PUBLISHABLE_KEY the plugin is in use."""
    return SETTINGS


@hookimpl
def register_auth_providers(config: Config) -> Iterable[AuthProvider]:
    """Offer Clerk's sessions, if they are wanted."""
    settings = read(config)
    return [] if settings is None else [_sessions(settings)]


@hookimpl
def register_routes(platform: Platform) -> Iterable[Route]:
    """Add our script, and the webhook if it is wanted."""
    settings = read(platform.config)
    if settings is None:
        return []
    from clawdeploy.plugins.clerk.pages import ADDRESS, SignInScript

    return [Route(ADDRESS, SignInScript(), access="public")]


def _sessions(settings: ClerkSettings) -> AuthProvider:
    # What checks signatures is loaded only where Clerk is used.
    from clawdeploy.plugins.clerk.handshake import Handshakes
    from clawdeploy.plugins.clerk.identities import ClerkSessions
    from clawdeploy.plugins.clerk.jwks import fetch
    from clawdeploy.plugins.clerk.keys import GivenKey, PublishedKeys
    from clawdeploy.plugins.clerk.pages import scripts, sources

    keys = GivenKey(settings.jwt_key) if settings.jwt_key else PublishedKeys(partial(fetch, settings.frontend_api))
    sign_in = SignIn(
        scripts=scripts(settings), sources=sources(settings), receive=Handshakes(settings, keys).receive, returns=True
    )
    return ClerkSessions(settings, keys, sign_in)
