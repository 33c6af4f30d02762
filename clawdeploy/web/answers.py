"""How errors leave the server: as problem documents to programs, as pages to people."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import falcon

from clawdeploy.core.context import request_id
from clawdeploy.core.contracts import SignIn, without_parameters
from clawdeploy.core.errors import InvalidCredentials, NotSignedIn
from clawdeploy.web.error_pages import ErrorPages
from clawdeploy.web.errors import Problem, problem_of
from clawdeploy.web.limits import SignInFailures
from clawdeploy.web.origin import SAFE_METHODS
from clawdeploy.web.request import Request

PROBLEM_TYPE = "application/problem+json"
NOTHING: Mapping[str, Any] = {}


class ErrorAnswers:
    """Answers every error that leaves a responder or a middleware, in the one shape."""

    def __init__(self, pages: ErrorPages, failures: SignInFailures, sign_in: SignIn) -> None:
        self._pages = pages
        self._failures = failures
        self._sign_in = sign_in

    def install(self, app: falcon.App[Any, Any]) -> None:
        """Take over from the framework's own error handlers."""
        app.add_error_handler(Exception, self.answer)
        app.add_error_handler(falcon.HTTPError, self.answer)

    def answer(self, req: Request, resp: falcon.Response, error: Exception, params: dict[str, Any]) -> None:
        """Turn an error into an answer. Signed out, every page leads to the landing page."""
        page = wants_page(req)
        if page and isinstance(error, NotSignedIn | InvalidCredentials):
            resp.status, resp.location = falcon.HTTP_SEE_OTHER, self._way_in(req)
            return
        problem = problem_of(self._failures.counted(req, error))
        give(resp, problem)
        if page:
            resp.content_type = falcon.MEDIA_HTML
            resp.data, resp.text = None, self._pages.page(req, problem)

    def _way_in(self, req: Request) -> str:
        # A form that was sent cannot be opened again, and with two slashes a path would be another server.
        again = self._sign_in.returns and req.method in SAFE_METHODS and not req.target.startswith(("//", "/\\"))
        target = without_parameters(req.target, self._sign_in.parameters)
        return f"/?{urlencode({'next': target})}" if again else "/"


def give(resp: falcon.Response, problem: Problem, further: Mapping[str, Any] = NOTHING) -> None:
    """Answer with a problem document; ``further`` are members that only this call has."""
    resp.status = falcon.code_to_http_status(problem.status)
    resp.set_headers(dict(problem.headers))
    resp.content_type = PROBLEM_TYPE
    resp.data = dump({**further, **problem.body(request_id.get())})


def wants_page(req: Request) -> bool:
    """Say whether the caller is a person with a browser.

    Not on the API, not a script of a page, and not somebody who asks for JSON rather than HTML.
    """
    if req.wants_part or req.is_api_call:
        return False
    return req.client_prefers((falcon.MEDIA_HTML, PROBLEM_TYPE, falcon.MEDIA_JSON)) == falcon.MEDIA_HTML


def dump(members: dict[str, Any]) -> bytes:
    """Return a problem document as bytes.

    Everything but ASCII is written as an escape: a name out of a malformed request may hold what
    UTF-8 cannot.
    """
    return json.dumps(members).encode()
