"""The origin check: a change that a browser signs with a cookie must come from one of our own pages.

SameSite cookies alone do not promise that: a sibling subdomain is the same site.
"""

import falcon

from clawdeploy.web.refusals import CrossOrigin

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
USUAL_PORTS = {"http": ":80", "https": ":443"}


def check_origin(req: falcon.Request, public_origin: str, *, must_say: bool) -> None:
    """Raise ``CrossOrigin`` when a request that changes something was sent for a page that is not ours.

    ``public_origin`` is the configured one, empty when there is none; then the origin's host has
    to be the one that the request was sent to. ``must_say`` refuses requests that say nothing
    about where they come from: every browser says it, and what holds a browser's cookie is one.
    """
    if req.method in SAFE_METHODS:
        return
    fetch_site = req.get_header("Sec-Fetch-Site")
    origin = req.get_header("Origin")
    if fetch_site is not None and fetch_site != "same-origin":
        raise CrossOrigin("Another site tried to make this change in your name. Make it on this server's own pages.")
    if origin is not None:
        _check_host(origin, req.get_header("Host") or "", public_origin)
    elif fetch_site is None and must_say:
        raise CrossOrigin(
            "The request carries a browser's cookie but says neither Origin nor Sec-Fetch-Site. "
            "A program should send an API token instead: Authorization: Bearer cd_..."
        )


def _check_host(origin: str, host: str, public_origin: str) -> None:
    if public_origin:
        if origin != public_origin:
            raise CrossOrigin(
                f"The page is at {origin[:200]}, but this server belongs to {public_origin}. Open it there, or, if "
                "the address has changed, set CLAWDEPLOY_PUBLIC_ORIGIN to the new one."
            )
        return
    # Browsers write origins in one form only, so there is nothing to parse, and nothing that can fail to parse.
    scheme, _, origin_host = origin.partition("://")
    usual = USUAL_PORTS.get(scheme)
    if usual is None or origin_host.removesuffix(usual) != host.lower().removesuffix(usual):
        raise CrossOrigin(
            f"The page is at {origin[:200]}, but the request arrived for {host[:200]}. If a proxy stands in front of "
            "this server, set CLAWDEPLOY_PUBLIC_ORIGIN to the address that browsers use."
        )
