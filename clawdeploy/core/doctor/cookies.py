"""The check of ``clawdeploy doctor`` that looks at what is between browsers and the server."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from clawdeploy.core.doctor.ground import Ground, Unmet
from clawdeploy.core.settings import HOST, PUBLIC_ORIGIN, browser_origin


def cookies(ground: Ground) -> str:
    """Nobody but the server is sent the cookies of its sessions."""
    origin = urlsplit(browser_origin(ground.config))
    here = _is_loopback(origin.hostname or "")
    if origin.scheme == "https" and not here:
        return "Browsers send the cookies of sessions by https only, and so to no bot"
    # Whoever listens for others as well is reached by others, whatever the printed address is.
    if here and _is_loopback(ground.config[HOST]):
        return (
            "Only browsers on this machine get sessions, and bots are linked by a name that has none of their cookies"
        )
    raise Unmet(
        "Pages are used by http from other machines: everybody on the way can read the cookies of sessions, and every "
        "bot whose page is opened under the same host name is sent them"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


ADVICE = (
    f"Put a web server with https in front, as docs/operations.md tells, and set {PUBLIC_ORIGIN.name} to its address."
)
