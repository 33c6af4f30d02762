"""The one table from kind of error to HTTP answer, and the one shape that all of them have (RFC 9457)."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import falcon
from marshmallow import fields

from clawdeploy.core import errors
from clawdeploy.core.answers import ConditionAnswer
from clawdeploy.core.errors import ClawDeployError, InvalidCredentials, InvalidInput, NotSignedIn
from clawdeploy.core.fields import said
from clawdeploy.web import refusals

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """How one kind of error is answered.

    ``retry_after`` is in seconds. ``private`` keeps the detail, which was written for the
    operator, out of the answer; it is in the log with the request id.
    """

    status: int
    retry_after: int | None = None
    private: bool = False


TABLE: Mapping[type[ClawDeployError], Row] = {
    ClawDeployError: Row(500, private=True),
    errors.ConfigurationError: Row(500, private=True),
    errors.PluginError: Row(500, private=True),
    errors.WrongKey: Row(500, private=True),
    errors.BackupUnusable: Row(500, private=True),
    errors.DatabaseUnavailable: Row(503, retry_after=5, private=True),
    InvalidInput: Row(400),
    NotSignedIn: Row(401),
    InvalidCredentials: Row(401),
    errors.SignInUnavailable: Row(503, retry_after=10),
    errors.SignInLinkInvalid: Row(410),
    errors.InstanceNotFound: Row(404),
    errors.CredentialNotFound: Row(404),
    errors.SignInByBrowserNeeded: Row(403),
    errors.RateLimited: Row(429),
    errors.NoContainer: Row(400),
    errors.OperationInProgress: Row(409, retry_after=2),
    errors.TooManyInstances: Row(409),
    errors.HostFull: Row(503, retry_after=60),
    errors.IdempotencyKeyReused: Row(422),
    errors.IdempotencyInFlight: Row(409, retry_after=2),
    errors.EngineError: Row(503, retry_after=10),
    errors.RuntimeUnavailable: Row(503, retry_after=10),
    errors.ImageMissing: Row(503, retry_after=30),
    errors.ImageUnavailable: Row(503, retry_after=30),
    errors.NameTaken: Row(409),
    errors.PortTaken: Row(409),
    errors.NoFreePort: Row(503, retry_after=30),
    errors.RuntimeFailure: Row(503, retry_after=10),
    errors.ContainerUnusable: Row(503, retry_after=10),
    refusals.Refusal: Row(400),
    refusals.MalformedJson: Row(400),
    refusals.MalformedForm: Row(400),
    refusals.BodyMissing: Row(400),
    refusals.BodyUnexpected: Row(400),
    refusals.BodyIncomplete: Row(400),
    refusals.BodyTooLarge: Row(413),
    refusals.UnsupportedMediaType: Row(415),
    refusals.CrossOrigin: Row(403),
}

# What the framework itself refuses, by status: the stable code and, where its own words say less, a sentence.
FRAMEWORK: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "The request is not well formed."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method; the Allow header says which ones it takes."),
    413: ("body_too_large", "The body is too large."),
    414: ("uri_too_long", "The address is too long."),
    415: ("unsupported_media_type", "The body must be application/json."),
    416: ("range_not_satisfiable", "The file has no such part."),
}

# What the server refuses before the application gets to see it: status, code and a sentence.
MALFORMED_REQUEST = (400, "malformed_request", "The request is not well-formed HTTP.")
URI_TOO_LONG = (414, *FRAMEWORK[414])
EXPECTATION_FAILED = (417, "expectation_failed", "The Expect header asks for something unknown.")
HEADERS_TOO_LARGE = (431, "headers_too_large", "The request's headers are too large.")


class ProblemAnswer(ConditionAnswer):
    """Every error (RFC 9457). That of the server's health says how it is, too."""

    type = fields.String(metadata=said("A name, not an address to open."))
    title = fields.String(metadata=said("A few words for a person."))
    status = fields.Integer(metadata=said("The HTTP status."))
    detail = fields.String(metadata=said("A sentence for a person."))
    code = fields.String(metadata=said("Stable, for programs."))
    request_id = fields.String(metadata=said("To find it in the server's log."))
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata=said("With `invalid_input`: what is wrong with each field, query parameter or header."),
    )
    optional = frozenset({"errors", *ConditionAnswer().fields})


PROBLEM = ProblemAnswer()


@dataclass(frozen=True)
class Problem:
    """One error as the caller gets it; ``errors`` maps a field's JSON name to sentences."""

    status: int
    code: str
    title: str
    detail: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the members of the ``application/problem+json`` document.

        ``type`` is a name, not an address: a self-hosted server has no documentation site that
        every reader could reach. ``docs/api.md`` lists the codes.
        """
        members = {**vars(self), "type": f"urn:clawdeploy:error:{self.code}", "request_id": request_id}
        if not self.errors:
            del members["errors"]
        return dict(PROBLEM.dump(members))


INTERNAL = Problem(
    500,
    "internal_error",
    "Something went wrong",
    "This is a defect of the server. Its log says more under the request id.",
)


def problem_of(error: Exception) -> Problem:
    """Say how an error is answered; logs what must not be lost, under the current request id."""
    if isinstance(error, ClawDeployError):
        return _own(error)
    if isinstance(error, falcon.HTTPError):
        return _framework(error)
    logger.error("An unexpected error", exc_info=error)
    return INTERNAL


def _own(error: ClawDeployError) -> Problem:
    row = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    if row.status == 500:
        logger.error("An error that no caller can mend", exc_info=error)
        return INTERNAL
    if row.status > 500:
        logger.warning("%s: %s", error.code, error.detail)
    retry_after = error.retry_after if isinstance(error, errors.RateLimited) else row.retry_after
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    if row.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ClawDeploy"'
    fields = error.errors if isinstance(error, InvalidInput) else {}
    detail = f"{error.summary}. Try again in a moment." if row.private else error.detail
    if fields and detail == error.summary:
        detail = " ".join(f"{name}: {sentence}" for name, said in fields.items() for sentence in said)
    return Problem(row.status, error.code, error.summary, detail, fields, headers)


def _framework(error: falcon.HTTPError) -> Problem:
    status = falcon.http_status_to_code(error.status)
    if status >= 500:
        logger.error("The framework answers %s", status, exc_info=error)
        return INTERNAL
    phrase = falcon.code_to_http_status(status).partition(" ")[2]
    code, sentence = FRAMEWORK.get(status, (re.sub("[^a-z]+", "_", phrase.lower()), f"{phrase}."))
    title = phrase if error.title == falcon.code_to_http_status(status) else error.title
    headers = error.headers or {}
    return Problem(status, code, title, error.description or sentence, headers=dict(headers))
