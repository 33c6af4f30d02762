"""The landing page."""

import falcon

from clawdeploy.core.errors import InvalidCredentials, NotSignedIn
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import PUBLIC_ORIGIN, browser_origin
from clawdeploy.core.sign_in import why_signed_out
from clawdeploy.web.middleware import content_security_policy
from clawdeploy.web.request import Request
from clawdeploy.web.templating import Templates


class Landing:
    """``/``: what this is, what can be chosen here, and how to sign in."""

    def __init__(self, platform: Platform, templates: Templates) -> None:
        self._platform = platform
        self._templates = templates
        self._values = {
            "sign_in": platform.sign_in,
            "origin": browser_origin(platform.config),
            "public": bool(platform.config[PUBLIC_ORIGIN]),
            "models": platform.catalog.models(),
            "channels": platform.catalog.channels(),
            "blueprints": platform.catalog.blueprints(),
        }

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Show the page; it leads on to the dashboard when somebody is signed in."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", content_security_policy(self._platform.sign_in.sources))
        user = self._user(req)
        ended = "" if user else why_signed_out(self._platform.sign_in, req.credentials)
        resp.text = self._templates.render("landing.mako", user=user, ended=ended, **self._values)

    on_head = on_get

    def _user(self, req: Request) -> str | None:
        try:
            return self._platform.authenticate(req.credentials).user_id
        except (NotSignedIn, InvalidCredentials):
            return None
