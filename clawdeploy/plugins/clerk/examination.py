"""What is looked at before anybody comes: whether a session of Clerk can be good here at all."""

from clawdeploy.core.errors import ConfigurationError, SignInUnavailable
from clawdeploy.core.settings import PUBLIC_ORIGIN
from clawdeploy.plugins.clerk.jwks import FetchFailed, fetch
from clawdeploy.plugins.clerk.settings import AUTHORIZED_PARTIES, JWT_KEY, ClerkSettings


def why_nobody_gets_in(settings: ClerkSettings) -> str:
    """Return why not, empty when they do. On a developer's machine it may be on purpose, so it stops nothing."""
    if settings.origin in settings.parties:
        return ""
    return (
        f"Browsers reach this server as {settings.origin}, which {AUTHORIZED_PARTIES.name} does not hold, so nobody "
        f"gets in who has signed in there. Add it, or set {PUBLIC_ORIGIN.name} to the address that people open."
    )


def examined(settings: ClerkSettings) -> str:
    """Return what the doctor says; raises ``ConfigurationError`` or ``SignInUnavailable``."""
    if why := why_nobody_gets_in(settings):
        raise ConfigurationError(why)
    if settings.jwt_key is not None:
        return f"Clerk's tokens are checked with {JWT_KEY.name}"
    try:
        fetch(settings.frontend_api)
    except FetchFailed as failure:
        raise SignInUnavailable(f"Clerk's keys cannot be fetched from {settings.frontend_api}: {failure}") from None
    return f"Clerk's keys can be fetched from {settings.frontend_api}"
