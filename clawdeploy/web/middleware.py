"""What happens to every request: it gets an id and a log line, its caller is found out, its answer is made safe."""

import hmac
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import falcon

from clawdeploy.core.context import address, instance, request_id
from clawdeploy.core.contracts import Access, Identity, Visit
from clawdeploy.core.errors import InvalidCredentials, NotSignedIn
from clawdeploy.core.logs import told
from clawdeploy.core.measurements import Measurement
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import METRICS_SECRET, PUBLIC_ORIGIN, SYNC_SECRET, TRUSTED_PROXIES
from clawdeploy.web.origin import SAFE_METHODS, check_origin
from clawdeploy.web.peers import Peers
from clawdeploy.web.queries import INSTANCE_ID
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


READ_DIFFERENTLY = re.compile("%(?:2f|5c|00)|#", re.IGNORECASE)
A_HOST = re.compile(r"(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")

# Browsers that came by https once stay with it. Not for the hosts below ours, which may be somebody else's business.
HTTPS_ONLY = "max-age=31536000"

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


@dataclass(frozen=True)
class RequestAnswered(Measurement):
    """A request was answered; ``route`` is a template of the router's, or words of ours in parentheses."""

    method: str
    route: str
    status: int
    seconds: float


class PlainAddresses:
    """Refuses requests that a proxy in front of us may have read differently, and let pass for that reason.

    A slash that is written as an escape is decoded before an address is looked up, so that ``/api%2fadmin`` would be
    ``/api/admin`` here, and to a rule of the proxy something else. So would be ``//api/admin``, as the router takes
    several slashes at the beginning for one, and ``/api/admin#``, as the server drops what stands behind that sign. A
    request for two hosts, or for something that is no host, is for nobody.
    """

    def process_request(self, req: Request, resp: falcon.Response) -> None:
        """Raise 404 for such an address and 400 for such a host."""
        # What the server got, where it says so; the address that the framework knows is decoded already.
        raw = str(req.env.get("RAW_URI", "")).partition("?")[0]
        if req.path.startswith("//") or READ_DIFFERENTLY.search(raw):
            raise falcon.HTTPRouteNotFound
        host = req.get_header("Host")
        # Only the protocol of before 1997 has requests for no host.
        missing = host is None and req.env.get("SERVER_PROTOCOL") != "HTTP/1.0"
        if missing or not A_HOST.fullmatch(host or ""):
            raise falcon.HTTPBadRequest(description="The Host header must be the name of one host.")


class RequestLog:
    """Puts the request's id on its answer, and logs the request once.

    The line names the route, not the address: addresses hold sign-in links and queries.
    """

    def __init__(self, platform: Platform) -> None:
        self._measure = platform.measurements.tell
        self._peers = Peers(platform.config[TRUSTED_PROXIES])

    def process_request(self, req: Request, resp: falcon.Response) -> None:
        """Note where the request came from."""
        address.set(self._peers.address(req))
        req.peer = self._peers.peer(req)

    def process_resource(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        params: Mapping[str, object],
    ) -> None:
        """Note which instance the request is about, if what stands in the address can be the id of one."""
        named = params.get("instance_id")
        if isinstance(named, str) and INSTANCE_ID.fullmatch(named):
            instance.set(named)

    def process_response(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        succeeded: bool,
    ) -> None:
        """Log what was asked, by whom, how it ended and how long it took."""
        resp.set_header("X-Request-Id", request_id.get())
        took = time.monotonic() - req.started
        route = req.uri_template or ("/static" if req.path.startswith("/static/") else "(no such address)")
        method = req.method if req.method in falcon.HTTP_METHODS else "(other)"
        ms = round(took * 1000)
        members = told(method=method, route=route, status=resp.status_code, ms=ms)
        access_log.info("%s %s %s %s ms", method, route, resp.status_code, ms, extra=members)
        self._measure(RequestAnswered(method, route, resp.status_code, took))


def security_headers(public_origin: str) -> dict[str, str]:
    """Return the headers of every answer of a server that browsers reach at an origin."""
    https = {"Strict-Transport-Security": HTTPS_ONLY} if public_origin.startswith("https:") else {}
    return {**SECURITY_HEADERS, **https}


class SecurityHeaders:
    """Adds the headers that keep browsers from being used against their owners; a resource may set its own first."""

    def __init__(self, public_origin: str) -> None:
        self._headers = security_headers(public_origin)

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Add each header that is not there yet."""
        for name, value in self._headers.items():
            if resp.get_header(name) is None:
                resp.set_header(name, value)


class StaticCaching:
    """Lets browsers keep static files: for good when the address names the version, else after asking again."""

    def process_response(self, req: Request, resp: falcon.Response, resource: object, succeeded: bool) -> None:
        """Set Cache-Control on a static file that was found."""
        if resource is None and succeeded and req.path.startswith("/static/"):
            keep = "public, max-age=31536000, immutable" if "v" in req.params else "no-cache"
            resp.set_header("Cache-Control", keep)


class StaticReading:
    """Static files are read and nothing else; the framework would give one in answer to any method."""

    def process_request(self, req: Request, resp: falcon.Response) -> None:
        """Raise ``HTTPMethodNotAllowed`` for a change."""
        if req.path.startswith("/static/") and req.method not in SAFE_METHODS:
            raise falcon.HTTPMethodNotAllowed(["GET", "HEAD"])


class Guard:
    """Lets a request through to its resource only if the route's access says so.

    ``access`` maps URI templates to what they need; a route that is not in it is protected.
    """

    def __init__(self, platform: Platform, access: Mapping[str, Access]) -> None:
        self._platform = platform
        self._access = access
        self._public_origin = platform.config[PUBLIC_ORIGIN]
        self._sync_secret = platform.config[SYNC_SECRET].encode()
        self._metrics_secret = platform.config[METRICS_SECRET].encode()

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
            check_secret(req.get_header(SYNC_SECRET_HEADER), self._sync_secret, f"the header {SYNC_SECRET_HEADER}")
        elif access == "monitor":
            scheme, _, given = (req.get_header("Authorization") or "").partition(" ")
            check_secret(given if scheme.lower() == "bearer" else None, self._metrics_secret, "a bearer token")
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


def check_secret(given: str | None, secret: bytes, where: str) -> None:
    """Compare what a caller sent with a secret of the settings; ``where`` says in what it is sent.

    Raises ``HTTPRouteNotFound`` when there is no such secret, ``NotSignedIn`` or ``InvalidCredentials``.
    """
    if not secret:
        raise falcon.HTTPRouteNotFound
    if not given:
        raise NotSignedIn(f"This call needs {where}.")
    # WSGI hands header bytes over as Latin-1 text.
    if not hmac.compare_digest(given.encode("latin-1", "replace"), secret):
        raise InvalidCredentials(f"What was sent in {where} is wrong.")
