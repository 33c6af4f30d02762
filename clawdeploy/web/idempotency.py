"""The header ``Idempotency-Key``: a change that is sent twice is made once and answered alike."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import falcon

from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.idempotency import HEADER, FirstAnswer, Once
from clawdeploy.core.platform import Platform
from clawdeploy.web.body import read_body
from clawdeploy.web.refusals import Refusal
from clawdeploy.web.request import Request
from clawdeploy.web.strict_json import read_optional_object

LONGEST_KEPT = 256 * 1024
"""Bytes of an answer that are kept at most."""

logger = logging.getLogger(__name__)


class IdempotencyKeys:
    """Middleware for the POSTs of the API: takes the key, gives the first answer again, or keeps it.

    Only an answer that says success is kept. A refusal changed nothing, so its key is free for a corrected request.
    """

    def __init__(self, platform: Platform) -> None:
        self._idempotency = platform.idempotency

    def process_resource(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        params: Mapping[str, object],
    ) -> None:
        """Take the request's key, if it has one; a request that was answered before goes no further."""
        key = req.get_header(HEADER)
        if key is None or req.method != "POST" or not req.path.startswith("/api/") or not req.signed_in:
            return
        begun = self._idempotency.begin(req.caller, f"POST {req.path}", key, _content(req))
        if isinstance(begun, Once):
            req.once = begun
            return
        resp.status = falcon.code_to_http_status(begun.status)
        resp.content_type = begun.media_type or falcon.MEDIA_JSON
        resp.text = begun.body
        if begun.location:
            resp.location = begun.location
        resp.set_header("Idempotency-Replayed", "true")
        resp.complete = True

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Keep the answer, or free the key."""
        if req.once is None:
            return
        try:
            if 200 <= resp.status_code < 300:
                self._idempotency.finish(req.once, _answer(resp))
            else:
                self._idempotency.release(req.once)
        except DatabaseUnavailable as error:
            # The change is made and has to be answered. Repeated, the request leads to what it made.
            logger.warning("An answer could not be kept under its idempotency key: %s", error.detail)


def _content(req: Request) -> Mapping[str, Any] | bytes:
    """Return what makes this request another one than the first: its fields, or all there is when it has others.

    What is wrong with a body is not said here: its resource says it, as it does without a key.
    """
    body = read_body(req)
    if not req.query_string:
        with suppress(Refusal):
            return read_optional_object(req)
    return json.dumps([req.query_string, req.content_type, body.hex()]).encode()


def _answer(resp: falcon.Response) -> FirstAnswer:
    """Return an answer as it is kept. Of one that is no text, is streamed or is too long, all but the body is."""
    body = b"" if resp.stream is not None else resp.render_body() or b""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if "\0" in text or len(body) > LONGEST_KEPT:
        text = ""
    return FirstAnswer(resp.status_code, text, resp.get_header("Location"), resp.content_type)
