"""Sign-in and sign-out over HTTP."""

from datetime import UTC, datetime

import falcon

from clawdeploy.core.contracts import Call, documented
from clawdeploy.core.errors import DatabaseUnavailable, SignInLinkInvalid
from clawdeploy.plugins.local_auth.browsers import browser_of
from clawdeploy.plugins.local_auth.sessions import SESSION_LIFETIME, Sessions

# What browsers and their extensions say when they fetch a page before anybody asked to see it.
_AHEAD = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


class SignInLink:
    """``GET /sign-in/{token}``: uses up a one-time link and leads to the dashboard, signed in."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @documented(
        Call(
            status=303,
            headers={"Location": "The dashboard.", "Set-Cookie": "The session."},
            raises=(SignInLinkInvalid, DatabaseUnavailable),
            refuses=(403,),
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        """Open a session in this browser."""
        # The address holds the link itself: no next page and no cache may keep it.
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.set_header("Cache-Control", "no-store")
        _refuse_a_mere_look(req)
        browser = browser_of(req.user_agent or "")
        session = self._sessions.open(token, browser, replaced=req.cookies.get(self._sessions.cookie))
        resp.set_cookie(
            self._sessions.cookie,
            session.reveal(),
            max_age=int(SESSION_LIFETIME.total_seconds()),
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
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """End the session, take its cookie back and lead to the landing page."""
        self._sessions.end(req.cookies.get(self._sessions.cookie))
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


def _refuse_a_mere_look(req: falcon.Request) -> None:
    """Refuse prefetches, frames, images and scripts, so that only a page a person opens uses the link up."""
    ahead = any("pre" in (req.get_header(name) or "").lower() for name in _AHEAD)
    if ahead or req.get_header("Sec-Fetch-Dest") not in (None, "document"):
        raise falcon.HTTPForbidden(
            title="Open the sign-in link itself",
            description="A preview does not use the sign-in link up. Open the link as a page of its own.",
        )
