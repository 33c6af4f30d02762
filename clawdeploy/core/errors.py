"""What can go wrong, each kind with a stable machine-readable code.

Nothing here knows HTTP: ``web/errors.py`` holds the one table from kind to answer.
Every message is written for the person who gets it and never holds a secret: one that is known is taken out.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from clawdeploy.core.redaction import redacted

if TYPE_CHECKING:
    from clawdeploy.core.ratelimit import Standing

PUT_OFF = "What was asked for is kept and carried out as soon as it can be."


class ClawDeployError(Exception):
    """Base of everything ClawDeploy raises on purpose.

    ``code`` is stable and documented in ``docs/api.md``; ``detail`` is a sentence for a person.
    """

    code: ClassVar[str] = "internal_error"
    summary: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str = "") -> None:
        self.detail = redacted(detail or self.summary)
        super().__init__(self.detail)

    @property
    def for_log(self) -> str:
        """The detail for whoever runs this server; it may say more than an owner is to read."""
        return self.detail


class ConfigurationError(ClawDeployError):
    """A setting is unknown, malformed or contradicts another; start-up stops."""

    code = "configuration_error"
    summary = "The settings are not usable"


class PluginError(ClawDeployError):
    """A plugin cannot be loaded, or two plugins offer something under one name."""

    code = "plugin_error"
    summary = "A plugin failed"


class WrongKey(ClawDeployError):
    """The secret key does not open this database; nothing was touched."""

    code = "wrong_key"
    summary = "The secret key does not belong to this database"


class BackupUnusable(ClawDeployError):
    """A backup cannot be read, with this passphrase or at all; nothing was changed."""

    code = "backup_unusable"
    summary = "The backup cannot be used"


class DatabaseUnavailable(ClawDeployError):
    """The database did not answer, is locked, full or read-only."""

    code = "database_unavailable"
    summary = "The database is not available right now"


class InvalidInput(ClawDeployError):
    """Input was understood but is not acceptable.

    ``errors`` maps a JSON field name to the sentences that say what is wrong with it.
    """

    code = "invalid_input"
    summary = "Some fields are not valid"

    def __init__(self, errors: Mapping[str, Sequence[str]], detail: str = "") -> None:
        super().__init__(detail)
        self.errors: dict[str, list[str]] = {
            redacted(field): [redacted(each) for each in said] for field, said in errors.items()
        }


class NotSignedIn(ClawDeployError):
    """The call carried no credential that any auth provider knows."""

    code = "not_signed_in"
    summary = "Sign in first"


class InvalidCredentials(ClawDeployError):
    """A credential was presented and is expired, revoked or wrong."""

    code = "invalid_credentials"
    summary = "This credential is not valid, or not valid any more"


class SignInUnavailable(ClawDeployError):
    """An auth provider failed, and none of the others knows the caller: nobody can tell who that is."""

    code = "sign_in_unavailable"
    summary = "Right now it cannot be found out who you are"


class SignInLinkInvalid(ClawDeployError):
    """A one-time sign-in link was used already, has expired or never existed."""

    code = "sign_in_link_invalid"
    summary = "This sign-in link does not work any more"


class InstanceNotFound(ClawDeployError):
    """There is no such instance, or it belongs to somebody else; nobody can tell which."""

    code = "instance_not_found"
    summary = "Instance not found"


class CredentialNotFound(ClawDeployError):
    """There is no such credential, or it is another's."""

    code = "credential_not_found"
    summary = "There is no such token or session"


class SignInByBrowserNeeded(ClawDeployError):
    """A program tried to make or end credentials, which only a person who signed in with a browser may."""

    code = "sign_in_by_browser_needed"
    summary = "Sign in with a browser to change tokens and sessions"


class RateLimited(ClawDeployError):
    """Somebody did too much in too short a time; this time nothing was done.

    ``retry_after`` is in how many seconds there is room again, ``standings`` how they stand against each rate.
    """

    code = "rate_limited"
    summary = "Too many requests in a short time"

    def __init__(self, detail: str = "", retry_after: int = 1, standings: "Sequence[Standing]" = ()) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.standings = standings


class NoContainer(ClawDeployError):
    """The instance has no container that the call could act upon."""

    code = "no_container"
    summary = "This bot has no container"


class OperationInProgress(ClawDeployError):
    """Another operation on the same instance is not finished yet."""

    code = "operation_in_progress"
    summary = "Another operation on this bot is in progress"


class TooManyInstances(ClawDeployError):
    """The owner has as many instances as a user may have."""

    code = "too_many_instances"
    summary = "You have as many bots as you may have"


class HostFull(ClawDeployError):
    """The engine's computer has too little memory or disk space left for one more instance."""

    code = "host_full"
    summary = "There is no room for another bot"


class IdempotencyKeyReused(ClawDeployError):
    """A key came with one request before, and now comes with another."""

    code = "idempotency_key_reused"
    summary = "This was sent before with other content"


class IdempotencyInFlight(ClawDeployError):
    """The first request with this key is still being carried out."""

    code = "idempotency_in_flight"
    summary = "This was sent already and is being carried out"


class EngineError(ClawDeployError):
    """Base of what a runtime raises; no library's own error escapes a runtime."""

    @property
    def sentence(self) -> str:
        """The detail as a whole sentence."""
        return self.detail if self.detail.endswith((".", "?", "!")) else f"{self.detail}."

    def put_off(self) -> Self:
        """Return the same error, telling as well that the change that it stands in the way of is made later."""
        # Not copied: that would call the constructor, which a runtime's own errors may have given other arguments.
        told = type(self).__new__(type(self), *self.args)
        vars(told).update(vars(self), detail=f"{self.sentence} {PUT_OFF}")
        return told


class RuntimeUnavailable(EngineError):
    """The engine refused the connection, did not answer in time or answered nonsense.

    ``address`` is where it was asked, which only the log tells.
    """

    code = "runtime_unavailable"
    summary = "Docker does not answer"

    def __init__(self, detail: str = "", address: str = "") -> None:
        super().__init__(detail)
        self.address = address

    @property
    def for_log(self) -> str:
        """The detail, with the address of the engine."""
        return f"{self.sentence} (Docker at {self.address})" if self.address else self.detail


class ImageMissing(EngineError):
    """None of the images that would serve is on the host; the first may be pulled."""

    code = "image_missing"
    summary = "The image is not on this server yet"


class ImageUnavailable(EngineError):
    """The image is not on the host and cannot be pulled either."""

    code = "image_unavailable"
    summary = "The image could not be downloaded"


class NameTaken(EngineError):
    """A container that is not ours holds the name."""

    code = "name_taken"
    summary = "Another container had this bot's name"


class PortTaken(EngineError):
    """Another program holds the host port."""

    code = "port_taken"
    summary = "This bot's port was in use by another program"


class NoFreePort(EngineError):
    """Every host port of the range belongs to a bot or to another program."""

    code = "no_free_port"
    summary = "All ports for bots were in use"


class RuntimeFailure(EngineError):
    """The engine answered and refused, for a reason of its own."""

    code = "runtime_failure"
    summary = "Docker refused the operation"


class ContainerUnusable(RuntimeFailure):
    """The engine does not start this container any more, whatever is done; another one in its place may start."""

    code = "container_unusable"
    summary = "Docker does not start this container any more"
