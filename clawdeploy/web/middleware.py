"""What happens to every request: it gets an id and a log line, its caller is found out, its answer is made safe."""

import hmac
import logging
import time
from collections.abc import Mapping
from types import MappingProxyType

import falcon

from clawdeploy.core.bootstrap import Platform
from clawdeploy.core.contracts import Access, Identity, Visit
from clawdeploy.core.errors import InvalidCredentials, NotSignedIn
from clawdeploy.core.settings import PUBLIC_ORIGIN, SYNC_SECRET
from clawdeploy.web.logs import request_id
from clawdeploy.web.origin import check_origin
from clawdeploy.web.request import Request

access_log = logging.getLogger("clawdeploy.web.access")

SYNC_SECRET_HEADER = "X-Sync-Secret"  # noqa: S105 - the name of a header

# Pages use their own style sheets and scripts only, so text that slipped through as markup could do nothing.
OWN_SOURCES: Mapping[str, tuple[str, ...]] = {
    "default-src": ("'none'",),
    "style-src": ("'self'",),
    "script-src": ("'self'",),
    "img-src": ("'self'",),
    "connect-src": ("'self'",),
    "form-action": ("'self'",),
    "base-uri": ("'none'",),
    "frame-ancestors": ("'none'",),
}


def content_security_policy(further: Mapping[str, tuple[str, ...]] = MappingProxyType({})) -> str:
    """Return the policy of a page that may use further sources, by directive, besides our own."""
    names = dict.fromkeys((*OWN_SOURCES, *further))
    return "; ".join(" ".join((name, *OWN_SOURCES.get(name, ()), *further.get(name, ()))) for name in names)


# Referrer-Policy is not "no-referrer": with that, browsers send "Origin: null" with our own forms.
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


class RequestLog:
    """Puts the request's id on its answer, and logs the request once.

    The line names the route, not the address: addresses hold sign-in links and queries.
    """

    def process_response(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        succeeded: bool,
    ) -> None:
        """Log what was asked, by whom, how it ended and how long it took."""
        resp.set_header("X-Request-Id", request_id.get())
        took = (time.monotonic() - req.started) * 1000
        user = req.caller if req.signed_in else "-"
        route = req.uri_template or ("/static" if req.path.startswith("/static/") else "(no such address)")
        access_log.info("%s %s %s %.0f ms user=%s", req.method, route, resp.status_code, took, user)


class SecurityHeaders:
    """Adds the headers that keep browsers from being used against their owners; a resource may set its own first."""

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Add each header that is not there yet."""
        for name, value in SECURITY_HEADERS.items():
            if resp.get_header(name) is None:
                resp.set_header(name, value)


class StaticCaching:
    """Lets browsers keep static files: for good when the address names the version, else after asking again."""

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Set Cache-Control on a static file that was found."""
        if resource is None and succeeded and req.path.startswith("/static/"):
            keep = "public, max-age=31536000, immutable" if "v" in req.params else "no-cache"
            resp.set_header("Cache-Control", keep)


class Guard:
    """Lets a request through to its resource only if the route's access says so.

    ``access`` maps URI templates to what they need; a route that is not in it is protected.
    """

    def __init__(self, platform: Platform, access: Mapping[str, Access]) -> None:
        self._platform = platform
        self._access = access
        self._public_origin = platform.config[PUBLIC_ORIGIN]
        self._sync_secret = platform.config[SYNC_SECRET].encode()

    def process_resource(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        params: Mapping[str, object],
    ) -> None:
        """Raise what keeps the request from its resource, or note who is calling."""
        access = self._access.get(req.uri_template or "", "user")
        if access == "admin":
            self._check_secret(req)
        elif access == "public":
            # Nobody's name is used here, but another site must not sign a browser in or out behind its owner's back.
            check_origin(req, self._public_origin, must_say=False)
        else:
            req.identity = self._receive(req, resp) or self._platform.authenticate(req.credentials)
            if req.identity.ambient:
                check_origin(req, self._public_origin, must_say=True)

    def _receive(self, req: Request, resp: falcon.Response) -> Identity | None:
        """Let the sign-in decide about a visit; ``None`` when it leaves that to the auth providers."""
        reception = self._platform.receive(Visit(req.credentials, req.target)) if req.is_visit else None
        if reception is None:
            return None
        for cookie in reception.cookies:
            resp.append_header("Set-Cookie", cookie)
        if reception.leads_to:
            raise falcon.HTTPTemporaryRedirect(reception.leads_to)
        if reception.identity is None:
            raise NotSignedIn
        return reception.identity

    def _check_secret(self, req: Request) -> None:
        if not self._sync_secret:
            raise falcon.HTTPRouteNotFound
        given = req.get_header(SYNC_SECRET_HEADER)
        if not given:
            raise NotSignedIn(f"This call needs the header {SYNC_SECRET_HEADER}.")
        # WSGI hands header bytes over as Latin-1 text.
        if not hmac.compare_digest(given.encode("latin-1", "replace"), self._sync_secret):
            raise InvalidCredentials(f"The value of {SYNC_SECRET_HEADER} is wrong.")
