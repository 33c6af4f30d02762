"""The landing page."""

import falcon

from clawdeploy.core.bootstrap import Platform
from clawdeploy.core.errors import InvalidCredentials, NotSignedIn
from clawdeploy.core.settings import browser_origin
from clawdeploy.web.request import Request
from clawdeploy.web.templating import Templates


class Landing:
    """``/``: what this is and how to sign in."""

    def __init__(self, platform: Platform, templates: Templates) -> None:
        self._platform = platform
        self._templates = templates
        self._origin = browser_origin(platform.config)

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Show the page; it leads on to the dashboard when somebody is signed in."""
        resp.content_type = falcon.MEDIA_HTML
        resp.text = self._templates.render("landing.mako", user=self._user(req), origin=self._origin)

    on_head = on_get

    def _user(self, req: Request) -> str | None:
        try:
            return self._platform.authenticate(req.credentials).user_id
        except (NotSignedIn, InvalidCredentials):
            return None
