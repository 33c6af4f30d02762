"""Which session tokens are good. The rules are ours; PyJWT checks the signature."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Any, NoReturn

from jwt.algorithms import RSAAlgorithm

from clawdeploy.plugins.clerk.keys import Keys, UnknownKey
from clawdeploy.plugins.clerk.settings import ClerkSettings

MOST_BYTES = 8 * 1024
SKEW_SECONDS = 5
ALGORITHM = "RS256"
# Clerk signs tokens of several classes with one key. The second of these is the sign of instances that tell no class.
SESSION_CATEGORIES = ("cl_B7d4PD111AAA", "cl_I7d4PD111III")
RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
LAST_OF_TWO, LAST_OF_THREE = "AQgw", "AEIMQUYcgkosw048"
USER = re.compile(r"user_[A-Za-z0-9_-]{1,95}")
MACHINE = "mch_"
SESSION_ID = re.compile(r"[!-~]{1,100}")
VERSIONS = (1, 2)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse(text)


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says something twice: whoever signed it may have meant the other one."""
    found = dict(members)
    return found if len(found) == len(members) else _refuse("an object with two members of one name")


JSON = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)


class Flaw(Enum):
    """What is wrong with a token, as far as it matters to anybody."""

    INVALID = "It is no good session token of this instance."
    EXPIRED = "It has expired."
    NOT_YET = "It is not valid yet."
    FROM_THE_FUTURE = "It was issued in the future."
    PENDING = "Its session is not complete yet."


class BadToken(Exception):
    """A token is not good; the message holds nothing of it."""

    def __init__(self, flaw: Flaw = Flaw.INVALID) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


@dataclass(frozen=True)
class Session:
    """What a good token says; ``issued_at`` is in seconds since 1970."""

    user_id: str
    session_id: str
    issued_at: int


def has_form(token: str) -> bool:
    """Say whether a text looks like a token, and not like somebody else's credential."""
    return FORM.fullmatch(token) is not None


def peek(token: str) -> Mapping[str, Any]:
    """Return the claims of a token that nobody has checked, to choose between tokens; empty when it cannot be read."""
    if len(token) > MOST_BYTES or not has_form(token):
        return {}
    header, claims, signature = token.split(".")
    try:
        _object(_decoded(header))
        _decoded(signature)
        return _object(_decoded(claims))
    except BadToken:
        return {}


def session_of(token: str, settings: ClerkSettings, keys: Keys, now: float) -> Session:
    """Return what a good session token says. ``now`` is in seconds since 1970.

    Raises ``BadToken``, or ``SignInUnavailable`` when there is no key to check it with.
    """
    claims = signed_claims(token, keys)
    user, session, version, status = (claims.get(name) for name in ("sub", "sid", "v", "sts"))
    _must(isinstance(claims.get("iss"), str) and claims["iss"] in settings.issuers)
    _must(isinstance(claims.get("azp"), str) and claims["azp"] in settings.parties)
    _must(isinstance(user, str) and USER.fullmatch(user) is not None)
    _must(isinstance(session, str) and SESSION_ID.fullmatch(session) is not None)
    _must("v" not in claims or (type(version) is int and version in VERSIONS))
    _must("sts" not in claims or status in ("active", "pending"))
    expires, begins, issued = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    _must(expires > now - SKEW_SECONDS, Flaw.EXPIRED)
    _must(begins <= now + SKEW_SECONDS, Flaw.NOT_YET)
    _must(issued <= now + SKEW_SECONDS, Flaw.FROM_THE_FUTURE)
    _must(status != "pending", Flaw.PENDING)
    return Session(str(user), str(session), issued)


def signed_claims(token: str, keys: Keys, most: int = MOST_BYTES) -> Mapping[str, Any]:
    """Return the claims of a token that the instance has signed as a session or a handshake; they are not judged.

    ``most`` is how many bytes it may have.
    Raises ``BadToken``, or ``SignInUnavailable`` when there is no key to check it with.
    """
    _must(len(token) <= most and has_form(token))
    header = _object(_decoded(token.partition(".")[0]))
    _must(header.get("alg") == ALGORITHM and _is_session_token(header))
    # RFC 7515: who does not understand all that "crit" lists refuses the token, and nothing in it is understood here.
    _must("crit" not in header and header.get("b64") is not False)
    _must(isinstance(header.get("kid", ""), str))
    return _object(_signed(token, header.get("kid"), keys))


def is_of_another_class(token: str) -> bool:
    """Say whether a token that nobody has checked says that it is none of a session: a fresh one is no help then.

    What has not even the form of a token says nothing.
    """
    if not has_form(token):
        return False
    try:
        header = _object(_decoded(token.partition(".")[0]))
    except BadToken:
        return False
    return not _is_session_token(header) or str(peek(token).get("sub")).startswith(MACHINE)


def _is_session_token(header: Mapping[str, Any]) -> bool:
    return header.get("typ", "JWT") == "JWT" and header.get("cat", SESSION_CATEGORIES[0]) in SESSION_CATEGORIES


def _signed(token: str, kid: str | None, keys: Keys) -> bytes:
    """Return the payload when the signature is right, with keys that are fetched anew if that may help."""
    signed, _, last = token.rpartition(".")
    message, signature = signed.encode(), _decoded(last)
    try:
        key = keys.key(kid)
    except UnknownKey:
        raise BadToken from None
    if not RS256.verify(message, key, signature):
        # A rotation can keep the name of the key.
        replaced = keys.replaced(kid, key)
        _must(replaced is not None and RS256.verify(message, replaced, signature))
    return _decoded(signed.rpartition(".")[2])


def _decoded(part: str) -> bytes:
    """Decode a part of what has the form of a token in the one way in which it can be written.

    A token must not have two spellings. The last letter of a part tells less than six bits; the others have to be zero.
    """
    over = len(part) % 4
    _must(over == 0 or (over == 2 and part[-1] in LAST_OF_TWO) or (over == 3 and part[-1] in LAST_OF_THREE))
    return base64.urlsafe_b64decode(part + "=" * (-over % 4))


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = JSON.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadToken from None
    _must(isinstance(found, dict))
    members: dict[str, Any] = found
    return members


def _moment(claims: Mapping[str, Any], name: str) -> int:
    # True is a whole number to Python, and none to anybody else.
    _must(type(claims.get(name)) is int)
    return int(claims[name])


def _must(holds: bool, flaw: Flaw = Flaw.INVALID) -> None:
    if not holds:
        raise BadToken(flaw)
