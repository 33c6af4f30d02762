"""Sending forms as a browser does, and as the scripts of our pages do."""

from urllib.parse import urlencode

import webtest

from tests.web.people import Caller

OWN_PAGE = {"origin": "http://localhost", "host": "localhost", "content_type": "application/x-www-form-urlencoded"}
SCRIPT = {"hx_request": "true", "accept": "*/*"}


def submit(caller: Caller, path: str, *, script: bool = False, **fields: str) -> webtest.TestResponse:
    """Send a form from a page of the server's own; with ``script`` as htmx sends it."""
    return caller.call("POST", path, urlencode(fields).encode(), **OWN_PAGE, **(SCRIPT if script else {}))
