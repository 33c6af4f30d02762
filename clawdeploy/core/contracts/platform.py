"""What a plugin sees of the running whole."""

from dataclasses import dataclass
from typing import Literal, Protocol

from clawdeploy.core.config import Config
from clawdeploy.core.contracts.auth import CredentialStore
from clawdeploy.core.contracts.sign_in import SignIn
from clawdeploy.core.events import Event

Access = Literal["public", "user", "admin", "monitor"]


@dataclass(frozen=True)
class Route:
    """An HTTP resource: a Falcon resource object at a URI template.

    ``access``: ``public`` for anyone, ``user`` for signed-in callers, ``admin`` for callers
    with the sync secret, ``monitor`` for those with the metrics secret.
    """

    template: str
    resource: object
    access: Access = "user"


class Platform(Protocol):
    """The services that plugins may use."""

    @property
    def config(self) -> Config:
        """The settings, read only."""

    @property
    def credentials(self) -> CredentialStore:
        """Issued credentials of every kind."""

    @property
    def sign_in(self) -> SignIn:
        """How people sign in with a browser."""

    def publish(self, event: Event) -> None:
        """Tell observers what has happened; call it after the change was stored."""

    def remove_user(self, user_id: str, actor: str) -> None:
        """End all credentials of a user, and delete all instances with their data and secrets.

        Raises ``OperationInProgress`` when it has to be called again, and ``DatabaseUnavailable``.
        """


class Opener(Protocol):
    """What a command finds in ``click.Context.obj``: settings and platform, opened when first asked for.

    A command that only explains itself must not need a database.
    """

    @property
    def actor(self) -> str:
        """Who acts, for events: ``"cli"``."""

    def config(self) -> Config:
        """Return the settings; raises ``ConfigurationError``."""

    def platform(self) -> Platform:
        """Open the database and return the services; the same object each time."""
