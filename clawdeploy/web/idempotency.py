"""The header ``Idempotency-Key``: a change that is sent twice is made once and answered alike."""

import logging
from collections.abc import Mapping

import falcon

from clawdeploy.core.bootstrap import Platform
from clawdeploy.core.errors import DatabaseUnavailable
from clawdeploy.core.idempotency import HEADER, FirstAnswer, Once
from clawdeploy.web.request import Request
from clawdeploy.web.strict_json import read_optional_object

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
        begun = self._idempotency.begin(req.caller, f"POST {req.path}", key, read_optional_object(req))
        if isinstance(begun, Once):
            req.once = begun
            return
        resp.status = falcon.code_to_http_status(begun.status)
        resp.content_type = falcon.MEDIA_JSON
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
                body = (resp.render_body() or b"").decode()
                self._idempotency.finish(req.once, FirstAnswer(resp.status_code, body, resp.get_header("Location")))
            else:
                self._idempotency.release(req.once)
        except DatabaseUnavailable as error:
            # The change is made and has to be answered. Repeated, the request leads to what it made.
            logger.warning("An answer could not be kept under its idempotency key: %s", error.detail)
