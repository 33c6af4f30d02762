"""Which errors each call may be answered with, besides its own: those of its kind, one table for each kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from clawdeploy.core import errors
from clawdeploy.core.contracts import Call, Route
from clawdeploy.core.errors import ClawDeployError
from clawdeploy.web import refusals
from clawdeploy.web.errors import (
    EXPECTATION_FAILED,
    FRAMEWORK,
    HEADERS_TOO_LARGE,
    INTERNAL,
    MALFORMED_REQUEST,
    TABLE,
    URI_TOO_LONG,
)
from clawdeploy.web.origin import SAFE_METHODS
from clawdeploy.web.queries import ApiResource

UNREAD = (MALFORMED_REQUEST, URI_TOO_LONG, EXPECTATION_FAILED, HEADERS_TOO_LARGE)

SIGNED_IN = (
    errors.NotSignedIn,
    errors.InvalidCredentials,
    errors.RateLimited,
    errors.SignInUnavailable,
    errors.DatabaseUnavailable,
)
BY_SECRET = ("admin", "monitor")
"""What may be called by whoever knows a secret of the settings, and does not exist where there is none."""
ADMIN = (errors.NotSignedIn, errors.InvalidCredentials, errors.RateLimited)
CHANGE = (refusals.CrossOrigin, errors.RateLimited)
"""For every call that changes something for a user or for anybody."""
BODY = (
    refusals.MalformedJson,
    refusals.BodyIncomplete,
    refusals.BodyTooLarge,
    refusals.UnsupportedMediaType,
)
KEYED = (
    errors.InvalidInput,
    errors.InstanceNotFound,
    errors.IdempotencyKeyReused,
    errors.IdempotencyInFlight,
    refusals.BodyIncomplete,
    refusals.BodyTooLarge,
)
NOT_FOUND = 404
HEALTH = "/api/health"
"""What strangers may ask for as often as they like."""


@dataclass(frozen=True)
class Expected:
    """An error that a call may be answered with; ``retry_after`` says whether the answer tells when to try again."""

    status: int
    code: str
    meaning: str
    retry_after: bool = False


def expected(route: Route, method: str, call: Call) -> list[Expected]:
    """Return every error that a call may be answered with, by status and code."""
    own = {*_kinds(route, method, call), *call.raises}
    of_table = {
        Expected(row.status, kind.code, kind.summary, row.retry_after is not None or kind is errors.RateLimited)
        for kind, row in TABLE.items()
        # A base class that has only inherited its code is never raised itself.
        if "code" in vars(kind) and row.status != INTERNAL.status and issubclass(kind, tuple(own))
    }
    # An escaped slash makes an address another one, where there is nothing.
    nowhere = route.access in BY_SECRET or "{" in route.template
    refused = set(call.refuses) | ({NOT_FOUND} if nowhere else set())
    of_framework = {Expected(status, *FRAMEWORK[status]) for status in (400, *refused)}
    unread = {Expected(status, code, sentence) for status, code, sentence in UNREAD}
    internal = Expected(INTERNAL.status, INTERNAL.code, INTERNAL.title)
    return sorted(of_table | of_framework | unread | {internal}, key=lambda each: (each.status, each.code))


def takes_key(route: Route, method: str) -> bool:
    """Say whether a call takes the header ``Idempotency-Key``."""
    return method == "POST" and route.access == "user" and route.template.startswith("/api/")


def takes_body(route: Route, method: str) -> bool:
    """Say whether a call reads a body, be it only to see that there is nothing in it."""
    return isinstance(route.resource, ApiResource) and method not in SAFE_METHODS


def _kinds(route: Route, method: str, call: Call) -> Iterator[type[ClawDeployError]]:
    if route.access == "user":
        yield from SIGNED_IN
    if route.template != HEALTH:
        yield errors.RateLimited
    if route.access in BY_SECRET:
        yield from ADMIN
    elif method not in SAFE_METHODS:
        yield from CHANGE
    if isinstance(route.resource, ApiResource) or call.query is not None:
        yield errors.InvalidInput
    if takes_body(route, method):
        yield from BODY
        yield refusals.BodyMissing if call.takes else refusals.BodyUnexpected
    if takes_key(route, method):
        yield from KEYED


def phrase(status: int) -> str:
    """Return the words that HTTP has for a status."""
    return HTTPStatus(status).phrase
