"""Reading the body of a request: all of it, and never more than we are willing to."""

from io import BytesIO
from typing import NoReturn

import falcon

from clawdeploy.web.refusals import BodyIncomplete, BodyTooLarge, UnsupportedMediaType

MOST_BYTES = 64 * 1024


def read_body(req: falcon.Request) -> bytes:
    """Return the whole body, which is read once; raises ``BodyTooLarge`` or ``BodyIncomplete``.

    Whoever reads the request's stream afterwards, as resources of plugins do, finds it there again.
    """
    if "body" not in req.context:
        req.context.body = _read(req)
        req.stream = req.env["wsgi.input"] = BytesIO(req.context.body)
    body: bytes = req.context.body
    return body


def _read(req: falcon.Request) -> bytes:
    """Read the body, having looked at its declared length before reading any of it."""
    declared = req.content_length
    if declared is not None and declared > MOST_BYTES:
        refuse_size()
    # A server that marks the end of its input also decodes chunked bodies; without either there is no body.
    if declared is None and not req.env.get("wsgi.input_terminated"):
        return b""
    try:
        body = bytes(req.stream.read(MOST_BYTES + 1 if declared is None else declared))
    except Exception as error:
        # What a server raises here has many classes, and all of them are the sender's doing.
        raise BodyIncomplete(f"The body could not be read to its end ({type(error).__name__}).") from error
    if declared is not None and len(body) < declared:
        raise BodyIncomplete(f"Content-Length says {declared} bytes, but only {len(body)} arrived.")
    if len(body) > MOST_BYTES:
        refuse_size()
    return body


def refuse_size() -> NoReturn:
    """Raise ``BodyTooLarge``."""
    raise BodyTooLarge(f"A body may have at most {MOST_BYTES // 1024} KiB ({MOST_BYTES} bytes).")


def refuse_compression(req: falcon.Request) -> None:
    """Raise ``UnsupportedMediaType`` for a body that would first have to be unpacked."""
    encoding = req.get_header("Content-Encoding") or "identity"
    if encoding.strip().lower() != "identity":
        raise UnsupportedMediaType(f"The body must not be compressed; it comes with Content-Encoding: {encoding[:100]}")
