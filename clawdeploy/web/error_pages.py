"""What people read when something went wrong, and where they can go from there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from clawdeploy.core.context import request_id
from clawdeploy.core.errors import ClawDeployError, SignInLinkInvalid
from clawdeploy.core.platform import Platform
from clawdeploy.web.errors import Problem
from clawdeploy.web.origin import SAFE_METHODS
from clawdeploy.web.request import Request
from clawdeploy.web.templating import Templates

LINK_INVALID = SignInLinkInvalid.code

ADVICE: Mapping[str, str] = {
    "not_found": "It may have been moved or deleted, or the address has a mistake in it.",
    "instance_not_found": "It may have been deleted, or be somebody else's, or the address has a mistake in it.",
    "rate_limited": "What you asked for was not done.",
    "internal_error": "Your bots run on. If it happens again, show the request id to whoever runs this server.",
}
"""What can be said besides a problem's own sentence, by its code."""

NO_PAGE = "Only a button or a form leads here. Go back and use it again."
"""In place of the sentence about methods, which is for programs."""

SIGNED_IN_ALREADY = "You are signed in already, so you need no other link."

UNCERTAIN = "It cannot be told from here whether what you asked for was done. Look before you send it again."


@dataclass(frozen=True)
class Way:
    """A link that leads on."""

    label: str
    address: str


AGAIN = "Try Again"
TO_DASHBOARD = Way("Back to Dashboard", "/dashboard")
TO_START = Way("To the start page", "/")
TO_SIGN_IN = Way("How to get a new link", "/#sign-in")


class ErrorPages:
    """Shows a problem to a person."""

    def __init__(self, platform: Platform, templates: Templates) -> None:
        self._platform = platform
        self._templates = templates

    def page(self, req: Request, problem: Problem) -> str:
        """Return the page for a problem as HTML text."""
        user = self._user(req, problem)
        return self._templates.render(
            "error.mako",
            problem=_for_people(problem),
            advice=_advice(req, problem, user),
            ways=_ways(req, problem, user),
            user=user,
            request_id=request_id.get(),
        )

    def _user(self, req: Request, problem: Problem) -> str | None:
        """Return who is signed in, as far as that can be told without making a failure last longer."""
        if req.signed_in:
            return req.caller
        try:
            return self._platform.authenticate(req.credentials).user_id if problem.status < 500 else None
        except ClawDeployError:
            return None


def _for_people(problem: Problem) -> Problem:
    if problem.code == "method_not_allowed":
        return replace(problem, title="There is no page here", detail=NO_PAGE)
    return problem


def _advice(req: Request, problem: Problem, user: str | None) -> str:
    if problem.code == LINK_INVALID and user is not None:
        return SIGNED_IN_ALREADY
    if problem.status >= 500 and req.method not in SAFE_METHODS:
        return UNCERTAIN
    return ADVICE.get(problem.code, "")


def _ways(req: Request, problem: Problem, user: str | None) -> list[Way]:
    """Return where to go, the likeliest first."""
    inside = req.path == "/dashboard" or req.path.startswith("/dashboard/")
    home = TO_DASHBOARD if user or inside else TO_START
    # Only a page that was merely looked at can be opened again, and two slashes would lead to another server.
    if problem.status >= 500 and req.method in SAFE_METHODS and not req.path.startswith("//"):
        # Encoded anew: a browser takes a backslash for a slash.
        again = Way(AGAIN, quote(req.path) + (f"?{req.query_string}" if req.query_string else ""))
        return [again] if again.address == home.address else [again, home]
    if problem.code == LINK_INVALID and user is None:
        return [TO_SIGN_IN]
    return [home]
