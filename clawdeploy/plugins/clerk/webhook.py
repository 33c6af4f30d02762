"""Clerk tells of events, by way of Svix: the signature is checked, and who was deleted there is removed here."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import falcon

from clawdeploy.core.contracts import Call, Platform, Secret, documented
from clawdeploy.core.errors import DatabaseUnavailable, InvalidCredentials, OperationInProgress
from clawdeploy.plugins.clerk.identities import NAME
from clawdeploy.plugins.clerk.tokens import USER

ADDRESS = "/api/clerk/webhook"
MOST_BYTES = 64 * 1024
OLDEST_SECONDS = 5 * 60
DELETED = "user.deleted"


class Webhook:
    """``POST /api/clerk/webhook``."""

    def __init__(self, platform: Platform, secret: Secret, clock: Callable[[], float] = time.time) -> None:
        self._platform = platform
        self._secret = secret
        self._clock = clock

    @documented(
        Call(status=204, raises=(InvalidCredentials, OperationInProgress, DatabaseUnavailable), refuses=(400, 413))
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take an event of Clerk: a user that was deleted there is removed here, with bots, secrets and API tokens."""
        body = _body(req)
        if not self._is_signed(req, body):
            raise InvalidCredentials("The signature of the event is missing, wrong, or too old.")
        user = _deleted_user(body)
        if user is not None:
            self._platform.remove_user(user, NAME)
        resp.status = falcon.HTTP_NO_CONTENT

    def _is_signed(self, req: falcon.Request, body: bytes) -> bool:
        identifier, sent, signatures = (
            req.get_header(f"svix-{name}") or "" for name in ("id", "timestamp", "signature")
        )
        if not (identifier and sent.isascii() and sent.isdigit() and len(sent) <= 12):
            return False
        if abs(self._clock() - int(sent)) > OLDEST_SECONDS:
            return False
        key = base64.b64decode(self._secret.reveal().removeprefix("whsec_"))
        signed = f"{identifier}.{sent}.".encode("latin-1", "replace") + body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
        given = (each.partition(",") for each in signatures.split(" "))
        # All are compared, so that the time tells nothing about which of them was nearly right.
        matches = [
            hmac.compare_digest(value.encode("latin-1", "replace"), right) for kind, _, value in given if kind == "v1"
        ]
        return any(matches)


def _body(req: falcon.Request) -> bytes:
    too_large = falcon.HTTPContentTooLarge(description=f"An event may have at most {MOST_BYTES} bytes.")
    if (req.content_length or 0) > MOST_BYTES:
        raise too_large
    try:
        body: bytes = req.bounded_stream.read(MOST_BYTES + 1)
    except Exception:
        # What a server raises here has many classes, and all of them are the sender's doing.
        raise falcon.HTTPBadRequest(description="The event did not arrive completely.") from None
    if len(body) > MOST_BYTES:
        raise too_large
    return body


def _deleted_user(body: bytes) -> str | None:
    """Return who was deleted, ``None`` for an event of another kind."""
    malformed = falcon.HTTPBadRequest(description="The event is not one that Clerk sends.")
    try:
        event: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise malformed from None
    if not isinstance(event, dict):
        raise malformed
    if event.get("type") != DELETED:
        return None
    data = event.get("data")
    user = data.get("id") if isinstance(data, dict) else None
    if not isinstance(user, str) or not USER.fullmatch(user):
        raise malformed
    return user
