"""Finding out who is calling, from providers that may be anybody's code, and how people sign in."""

import logging
import traceback
from collections.abc import Iterable, Sequence

from clawdeploy.core.contracts import AuthProvider, Credentials, Identity, Reception, SignIn, Visit
from clawdeploy.core.errors import ClawDeployError, ConfigurationError, NotSignedIn, SignInUnavailable

LONGEST_REASON = 500

logger = logging.getLogger(__name__)


def identify(providers: Iterable[AuthProvider], credentials: Credentials) -> Identity:
    """Ask the providers in turn; the first that knows the caller decides.

    Raises ``NotSignedIn`` when none knows them, and what a provider raises on purpose, such as
    ``InvalidCredentials``. One that fails in another way does not keep the others from being asked; but when none of
    these knows the caller either, ``SignInUnavailable`` is raised, because the failed one might have.
    """
    failed = False
    for provider in providers:
        try:
            identity = provider.authenticate(credentials)
            if identity is not None and not isinstance(identity, Identity):
                raise TypeError("no Identity")
        except ClawDeployError:
            raise
        except (Exception, SystemExit) as error:
            failed = True
            _log(f"Auth provider {provider.name}", error)
        else:
            if identity is not None:
                return identity
    raise SignInUnavailable if failed else NotSignedIn


def in_use(offered: Sequence[AuthProvider]) -> tuple[list[AuthProvider], SignIn]:
    """Return the providers that are asked, and how people sign in: in one way, so that they know what to do.

    Providers whose sign-in is a fallback are left out when there is another. Raises ``ConfigurationError`` when two
    others are offered.
    """
    ways = {provider.name: way for provider in offered if (way := getattr(provider, "sign_in", None)) is not None}
    chosen = [name for name, way in ways.items() if not way.fallback]
    if len(chosen) > 1:
        raise ConfigurationError(
            f"People would have to sign in in several ways: {', '.join(chosen)}. Configure one, or disable a plugin."
        )
    asked = [each for each in offered if each.name not in ways or not chosen or each.name in chosen]
    return asked, next((ways[each.name] for each in asked if each.name in ways), SignIn())


def receive(sign_in: SignIn, visit: Visit) -> Reception | None:
    """Return what the sign-in makes of a visit, ``None`` when that is for the providers to say.

    Raises what it raises on purpose, and ``SignInUnavailable`` when it fails in another way.
    """
    if sign_in.receive is None:
        return None
    try:
        reception = sign_in.receive(visit)
        if not isinstance(reception, Reception | None):
            raise TypeError("no Reception")
    except ClawDeployError:
        raise
    except (Exception, SystemExit) as error:
        _log("The sign-in", error)
        raise SignInUnavailable from None
    return reception


def why_signed_out(sign_in: SignIn, credentials: Credentials) -> str:
    """Return what the sign-in says to a browser that is signed out; nothing when it fails, because nobody needs it."""
    if sign_in.ended is None:
        return ""
    try:
        return str(sign_in.ended(credentials))[:LONGEST_REASON]
    except (Exception, SystemExit) as error:
        _log("The sign-in", error)
        return ""


def _log(who: str, error: BaseException) -> None:
    """Say which kind of error it was and where; its message and its variables may hold the caller's credentials."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    logger.error("%s failed: %s in %s, line %s", who, type(error).__name__, frame.filename, frame.lineno)
