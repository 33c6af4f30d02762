"""Finding out who is calling, from providers that may be anybody's code."""

import logging
import traceback
from collections.abc import Iterable

from clawdeploy.core.contracts import AuthProvider, Credentials, Identity
from clawdeploy.core.errors import ClawDeployError, NotSignedIn, SignInUnavailable

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
            _log(provider, error)
        else:
            if identity is not None:
                return identity
    raise SignInUnavailable if failed else NotSignedIn


def _log(provider: AuthProvider, error: BaseException) -> None:
    """Say which kind of error it was and where; its message and its variables may hold the caller's credentials."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    logger.error(
        "Auth provider %s failed: %s in %s, line %s", provider.name, type(error).__name__, frame.filename, frame.lineno
    )
