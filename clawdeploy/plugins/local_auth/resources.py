"""Sign-in and sign-out over HTTP."""

from datetime import UTC, datetime
from typing import Any

import falcon

from clawdeploy.core.contracts import Call, Question, documented
from clawdeploy.core.errors import DatabaseUnavailable, SignInLinkInvalid
from clawdeploy.plugins.local_auth.browsers import browser_of
from clawdeploy.plugins.local_auth.sessions import Sessions

# What browsers and their extensions say when they fetch a page before anybody asked to see it.
_AHEAD = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_OPENED_BY_ITS_PERSON = ("none", "same-origin")
"""What a browser says of a page that was not asked for by another site: a link in a terminal, the address line."""

_ERRORS = (SignInLinkInvalid, DatabaseUnavailable)
_OPENED = {"Location": "The dashboard.", "Set-Cookie": "The session."}


class SignInLink:
    """``/sign-in/{token}``: uses up a one-time link and leads to the dashboard, signed in."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @documented(
        Call(
            status=303,
            headers=_OPENED,
            pages={200: "A page that asks whether to sign in; its button sends the same address as a POST."},
            raises=_ERRORS,
            refuses=(403,),
        )
    )
    def on_get(self, req: Any, resp: falcon.Response, token: str) -> None:
        """Open a session in this browser if its person opened the link, and else ask first.

        Another site that leads a browser here must not sign its person in to an account that is not theirs, into which
        they would then type secrets. Browsers say who asked, but not over http to another machine, nor very old ones.
        """
        _keep_to_ourselves(resp)
        _refuse_a_mere_look(req)
        named = self._sessions.whose(token)
        present = self._sessions.owner(req.cookies.get(self._sessions.cookie), req.credentials.peer)
        if req.get_header("Sec-Fetch-Site") in _OPENED_BY_ITS_PERSON and present in (None, named):
            self._open(req, resp, token)
            return
        instead = f" instead of {present}" if present not in (None, named) else ""
        resp.context.question = Question(
            title=f"Sign in as {named}{instead}?",
            text="Go on only if you asked for this link, or trust whoever gave it to you: what you enter afterwards "
            "belongs to that user.",
            button=f"Sign in as {named}",
        )

    @documented(Call(status=303, headers=_OPENED, raises=_ERRORS))
    def on_post(self, req: Any, resp: falcon.Response, token: str) -> None:
        """Open a session in this browser, for whoever was asked."""
        _keep_to_ourselves(resp)
        self._open(req, resp, token)

    def _open(self, req: Any, resp: falcon.Response, token: str) -> None:
        browser = browser_of(req.user_agent or "")
        replaced = req.cookies.get(self._sessions.cookie)
        session = self._sessions.open(token, browser, req.credentials.peer, replaced)
        resp.set_cookie(
            self._sessions.cookie,
            session.reveal(),
            max_age=int(self._sessions.lifetime.total_seconds()),
            path="/",
            secure=self._sessions.secure,
            http_only=True,
            same_site="Lax",
        )
        resp.status = falcon.HTTP_SEE_OTHER
        resp.location = "/dashboard"


class SignOut:
    """``POST /sign-out``: ends the session of this browser."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @documented(Call(status=303, headers={"Location": "The landing page."}))
    def on_post(self, req: Any, resp: falcon.Response) -> None:
        """End the session, take its cookie back and lead to the landing page."""
        self._sessions.end(req.cookies.get(self._sessions.cookie), req.credentials.peer)
        resp.set_header("Cache-Control", "no-store")
        # A browser drops a cookie that has expired, but only if it comes with the attributes of its name.
        resp.set_cookie(
            self._sessions.cookie,
            "",
            expires=datetime.fromtimestamp(0, UTC),
            path="/",
            secure=self._sessions.secure,
            http_only=True,
            same_site="Lax",
        )
        resp.status = falcon.HTTP_SEE_OTHER
        resp.location = "/"


def _keep_to_ourselves(resp: falcon.Response) -> None:
    """Tell browsers to keep the address, which holds the link itself, from the next page and from caches.

    Not by ``no-referrer``: with that, browsers would not say that the button stands on our own page.
    """
    resp.set_header("Referrer-Policy", "strict-origin")
    resp.set_header("Cache-Control", "no-store")


def _refuse_a_mere_look(req: falcon.Request) -> None:
    """Refuse prefetches, frames, images and scripts, so that only a page a person opens uses the link up."""
    ahead = any("pre" in (req.get_header(name) or "").lower() for name in _AHEAD)
    if ahead or req.get_header("Sec-Fetch-Dest") not in (None, "document"):
        raise falcon.HTTPForbidden(
            title="Open the sign-in link itself",
            description="A preview does not use the sign-in link up. Open the link as a page of its own.",
        )
