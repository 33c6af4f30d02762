"""Sign-in with Clerk, for a hosted copy: whoever has a session of a Clerk instance is signed in here."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import AuthProvider, Platform, Route, SignIn
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.settings import DATA_DIR
from clawdeploy.plugins.clerk.settings import SETTINGS, ClerkSettings, read

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClerkSignIn(SignIn):
    """The way to sign in with Clerk; ``prepare`` gets it ready for the first person."""

    prepare: Callable[[], None] = lambda: None


@hookimpl
def register_settings() -> Iterable[Setting[Any]]:
    """Add the settings; with CLERK_PUBLISHABLE_KEY the plugin is in use."""
    return SETTINGS


@hookimpl
def register_auth_providers(config: Config) -> Iterable[AuthProvider]:
    """Offer Clerk's sessions, if they are wanted."""
    settings = read(config)
    return [] if settings is None else [_sessions(settings, config[DATA_DIR])]


@hookimpl
def register_routes(platform: Platform) -> Iterable[Route]:
    """Add our script, and the webhook if it is wanted."""
    settings = read(platform.config)
    if settings is None:
        return []
    from clawdeploy.plugins.clerk.pages import ADDRESS, SignInScript
    from clawdeploy.plugins.clerk.webhook import ADDRESS as HOOK
    from clawdeploy.plugins.clerk.webhook import Webhook

    routes = [Route(ADDRESS, SignInScript(), access="public")]
    if settings.webhook_secret:
        routes.append(Route(HOOK, Webhook(platform, settings.webhook_secret), access="public"))
    return routes


@hookimpl
def startup(platform: Platform) -> None:
    """Have the keys fetched in the background, so that nobody waits for them."""
    settings = read(platform.config)
    if settings is not None and isinstance(platform.sign_in, ClerkSignIn):
        from clawdeploy.plugins.clerk.examination import why_nobody_gets_in

        platform.sign_in.prepare()
        if why := why_nobody_gets_in(settings):
            logger.warning(why)


def _sessions(settings: ClerkSettings, folder: Path) -> AuthProvider:
    # What checks signatures is loaded only where Clerk is used.
    from clawdeploy.plugins.clerk.examination import examined
    from clawdeploy.plugins.clerk.handshake import OWN_PARAMETERS, Handshakes
    from clawdeploy.plugins.clerk.identities import ClerkSessions
    from clawdeploy.plugins.clerk.keys import GivenKey, PublishedKeys
    from clawdeploy.plugins.clerk.pages import scripts, sources
    from clawdeploy.plugins.clerk.shared_keys import SharedKeys

    shared = SharedKeys(settings.frontend_api, folder)
    keys = GivenKey(settings.jwt_key) if settings.jwt_key else PublishedKeys(shared.fetch, kept=shared.kept())
    sign_in = ClerkSignIn(
        scripts=scripts(settings),
        sources=sources(settings),
        receive=Handshakes(settings, keys).receive,
        returns=True,
        parameters=OWN_PARAMETERS,
        check=lambda: examined(settings),
        prepare=keys.prepare,
    )
    return ClerkSessions(settings, keys, sign_in)
