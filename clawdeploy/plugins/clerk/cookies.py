"""Clerk's cookies: which of them count, when there are those of several Clerk instances on one domain.

Each instance sets its cookies under two names, the plain one and one that ends with its own suffix. Which pair is the
newer one was settled by Clerk, for pages that were loaded with old and new versions of its scripts; the order of the
questions in :func:`uses_suffix` is that of Clerk's own libraries.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clawdeploy.plugins.clerk.settings import ClerkSettings
from clawdeploy.plugins.clerk.tokens import peek

SESSION = "__session"
CLIENT_UAT = "__client_uat"
DEV_BROWSER = "__clerk_db_jwt"
HANDSHAKE = "__clerk_handshake"
REDIRECT_COUNT = "__clerk_redirect_count"
SIGNED_OUT = "0"


@dataclass(frozen=True)
class ClerkCookies:
    """What a browser's cookies say; an empty text is a cookie that is not there.

    ``uat`` is when somebody last signed in with this browser, in seconds since 1970, 0 when nobody is signed in;
    ``says_uat`` whether there is such a cookie at all.
    """

    token: str
    uat: int
    says_uat: bool
    dev_browser: str
    handshake: str
    redirects: int
    suffixed: bool


def read_cookies(cookies: Mapping[str, str], settings: ClerkSettings, now: float) -> ClerkCookies:
    """Read the cookies that count for an instance."""
    suffix = settings.key.suffix
    suffixed = uses_suffix(cookies, settings, now)

    def of(name: str) -> str:
        return cookies.get(f"{name}_{suffix}" if suffixed else name, "")

    return ClerkCookies(
        token=of(SESSION),
        uat=_number(of(CLIENT_UAT)),
        says_uat=of(CLIENT_UAT) != "",
        dev_browser=of(DEV_BROWSER),
        handshake=cookies.get(HANDSHAKE, ""),
        redirects=_number(cookies.get(REDIRECT_COUNT, "")),
        suffixed=suffixed,
    )


def uses_suffix(cookies: Mapping[str, str], settings: ClerkSettings, now: float) -> bool:
    """Say whether the cookies with the instance's suffix count, not the plain ones; ``now`` is seconds since 1970."""
    key = settings.key
    plain_uat, uat = cookies.get(CLIENT_UAT, ""), cookies.get(f"{CLIENT_UAT}_{key.suffix}", "")
    plain_token, token = cookies.get(SESSION, ""), cookies.get(f"{SESSION}_{key.suffix}", "")
    plain_claims, claims = peek(plain_token), peek(token)
    if plain_token and not plain_claims.get("iss"):
        # A damaged token is looked at, and refused.
        return False
    if plain_token and not _belongs(plain_claims, settings):
        return True
    if not uat and not token:
        return False
    if SIGNED_OUT not in (uat, plain_uat) and _when(plain_claims, "iat") > _when(claims, "iat"):
        return False
    if uat == SIGNED_OUT and plain_uat != SIGNED_OUT:
        # Every version of the scripts sets the plain one, so it is the newer one.
        return False
    expired = "exp" in claims and _when(claims, "exp") <= int(now)
    if not key.live and uat != SIGNED_OUT and plain_uat == SIGNED_OUT and expired:
        return False
    # A token without its companion was left by a version that had suffixes, before they were switched off.
    return uat != ""


def _belongs(claims: Mapping[str, Any], settings: ClerkSettings) -> bool:
    issuer = claims.get("iss")
    return isinstance(issuer, str) and _host(issuer) in {_host(one) for one in settings.issuers}


def _host(issuer: str) -> str:
    return re.sub("https?://", "", issuer, flags=re.IGNORECASE)


def _when(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _number(text: str) -> int:
    """Read the whole number that a text begins with, 0 when there is none."""
    found = re.match(r"\s*([0-9]{1,15})", text)
    return int(found[1]) if found else 0
