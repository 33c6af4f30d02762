"""How long sessions last, and what keeps their cookies."""

from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from clawdeploy.core.config import Config, Setting
from clawdeploy.core.setting_values import span
from clawdeploy.core.settings import PUBLIC_ORIGIN

SESSION_LIFETIME = Setting(
    "CLAWDEPLOY_SESSION_LIFETIME",
    span(timedelta(days=365)),
    timedelta(days=30),
    "How long after signing in a session ends, however much it is used: hours or days, `12h` or `30d`.",
)
SESSION_UNUSED = Setting(
    "CLAWDEPLOY_SESSION_UNUSED",
    span(timedelta(days=365)),
    timedelta(days=7),
    "After how long without any use a session ends: hours or days, `12h` or `7d`.",
)


def is_https(config: Config) -> bool:
    """Say whether browsers reach this server by https, so that cookies can be kept to it."""
    return config[PUBLIC_ORIGIN].startswith("https:")


def cookie_name(config: Config) -> str:
    """Return the session cookie's name. With ``__Host-`` a browser takes it from this very host only."""
    return "__Host-clawdeploy_session" if is_https(config) else "clawdeploy_session"


def is_shared_with_bots(config: Config) -> bool:
    """Say whether a bot's page on the same host name is sent the session's cookie, and can put another in its place.

    Cookies know no ports. What keeps one from bots, which speak http, is that it is Secure; but browsers send a Secure
    one by http, too, when the host is their own machine.
    """
    return not is_https(config) or _is_loopback(urlsplit(config[PUBLIC_ORIGIN]).hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
