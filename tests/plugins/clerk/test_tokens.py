"""Which session tokens are good: every rule, from both sides, with tokens that are really signed."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from clawdeploy.core.contracts import Credentials, Identity, SignIn
from clawdeploy.core.errors import InvalidCredentials
from clawdeploy.plugins.clerk.identities import ClerkSessions
from clawdeploy.plugins.clerk.jwks import fetch
from clawdeploy.plugins.clerk.keys import GivenKey, PublishedKeys
from clawdeploy.plugins.clerk.settings import LEAST_BITS
from clawdeploy.plugins.clerk.tokens import MOST_BYTES
from tests.plugins.clerk.frontend_api import ABSENT, Instance, compact, encode, jwk, new_key, public_pem
from tests.plugins.clerk.surroundings import given, serving

CLERK = Instance()
OTHER = Instance("clerk.other.example.org")
STRANGER = new_key()
PARTIES = {"CLERK_AUTHORIZED_PARTIES": f"{CLERK.origin},https://admin.example.org"}
NOW = int(time.time())


@dataclass(frozen=True)
class Case:
    """A token, by what makes it different from the usual one, and whether it is good."""

    name: str
    good: bool
    make: Callable[[], str]


def case(name: str, good: bool, header: dict[str, Any] | None = None, **changes: Any) -> Case:
    def make() -> str:
        return CLERK.token(header=header, **{key: each() if callable(each) else each for key, each in changes.items()})

    return Case(name, good, make)


def at(seconds: float) -> Callable[[], float]:
    """Give a moment so many seconds after the token is made, not after the tests were collected."""
    return lambda: int(time.time()) + seconds


def raw(name: str, good: bool, make: Callable[[], str]) -> Case:
    return Case(name, good, make)


def segments(token: str) -> list[str]:
    return token.split(".")


def swapped(claims: dict[str, Any]) -> str:
    """Return a good token whose claims were changed after it was signed."""
    head, _, signature = segments(CLERK.token())
    return f"{head}.{encode(json.dumps(claims).encode())}.{signature}"


def as_claims(text: bytes, header: bytes = b"") -> str:
    """Return a signed token with any bytes as its claims, and as its header if they are given."""
    usual = json.dumps({"alg": "RS256", "typ": "JWT", "kid": CLERK.kid}).encode()
    signed = f"{encode(header or usual)}.{encode(text)}"
    import jwt

    algorithm = jwt.PyJWS().get_algorithm_by_name("RS256")
    return f"{signed}.{encode(algorithm.sign(signed.encode(), CLERK.key))}"


def usual(**changes: Any) -> dict[str, Any]:
    import base64

    part = segments(CLERK.token())[1]
    return {**json.loads(base64.urlsafe_b64decode(part + "==")), **changes}


def usual_and(member: str) -> bytes:
    """Return the usual claims as they are written, with one more member at the end."""
    return json.dumps(usual())[:-1].encode() + b", " + member.encode() + b"}"


def with_symmetric_key() -> str:
    """Return a token that is signed with the public key as if it were a password."""
    import hashlib
    import hmac

    header = encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": CLERK.kid}).encode())
    signed = f"{header}.{encode(json.dumps(usual()).encode())}"
    return f"{signed}.{encode(hmac.new(public_pem(CLERK.key).encode(), signed.encode(), hashlib.sha256).digest())}"


def of_length(length: int) -> str:
    """Return a token that would be good, of so many letters: base64 has no texts of some lengths, so two parts grow."""
    for more in range(3):
        header = json.dumps({"alg": "RS256", "kid": CLERK.kid, "x": "x" * more}).encode()
        left = length - len(encode(header)) - len(segments(CLERK.token())[2]) - 2
        claims = usual_and(f'"x": "{"x" * 9000}"')
        claims = usual_and(f'"x": "{"x" * (9000 - (len(claims) - left * 3 // 4))}"')
        if len(encode(claims)) == left:
            return as_claims(claims, header)
    raise AssertionError(length)


def respelled() -> str:
    """Return a good token with another last letter of the same signature."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = CLERK.token()
    return token[:-1] + letters[letters.index(token[-1]) ^ 1]


CASES = (
    # Headers
    case("the usual one", True),
    case("no typ", True, {"typ": ABSENT}),
    case("typ in small letters", False, {"typ": "jwt"}),
    case("another typ", False, {"typ": "at+jwt"}),
    case("typ null", False, {"typ": None}),
    case("typ no text", False, {"typ": ["JWT"]}),
    case("no category", True, {"cat": ABSENT}),
    case("the category that is to be ignored", True, {"cat": "cl_I7d4PD111III"}),
    case("a token of a template", False, {"cat": "cl_B7d4PD222AAA"}),
    case("a token of a machine", False, {"cat": "cl_B7d4PD333AAA"}),
    case("an unknown category", False, {"cat": "cl_B7d4PD444AAA"}),
    case("category null", False, {"cat": None}),
    case("category empty", False, {"cat": ""}),
    case("category no text", False, {"cat": 1}),
    case("unknown members", True, {"oiat": 1, "new": {"a": [1]}, "cty": "x"}),
    case(
        "another key is named by address",
        True,
        {"jku": "https://evil.example.org/keys", "x5u": "https://evil.example.org"},
    ),
    case("another key is enclosed", True, {"jwk": jwk(STRANGER, "x")}),
    case("an enclosed key has signed", False, {"jwk": jwk(STRANGER, CLERK.kid)}, key=STRANGER),
    case("a critical extension", False, {"crit": ["exp"]}),
    case("a critical list that is empty", False, {"crit": []}),
    case("a critical extension that some libraries know", False, {"crit": ["b64"], "b64": True}),
    case("an unencoded payload", False, {"crit": ["b64"], "b64": False}),
    case("unknown kid", False, {"kid": "ins_2"}),
    case("no kid", False, {"kid": ABSENT}),
    case("kid null", False, {"kid": None}),
    case("kid no text", False, {"kid": 1}),
    case("kid a list", False, {"kid": [CLERK.kid]}),
    case("kid empty", False, {"kid": ""}),
    # Algorithms and signatures
    case("RS384", False, algorithm="RS384"),
    case("RS512", False, algorithm="RS512"),
    case("PS256", False, algorithm="PS256"),
    case("RS256 in small letters", False, {"alg": "rs256"}),
    case("no algorithm", False, {"alg": ABSENT}),
    case("algorithm null", False, {"alg": None}),
    case("algorithm no text", False, {"alg": ["RS256"]}),
    case("algorithm none", False, {"alg": "none"}),
    raw(
        "algorithm none without a signature",
        False,
        lambda: ".".join([*segments(CLERK.token(header={"alg": "none"}))[:2], ""]),
    ),
    raw("HS256 with the public key", False, with_symmetric_key),
    case("signed by a stranger", False, key=STRANGER),
    raw("changed after it was signed", False, lambda: swapped(usual(sub="user_eve"))),
    raw("no signature", False, lambda: CLERK.token().rpartition(".")[0] + "."),
    raw("half a signature", False, lambda: CLERK.token()[:-100]),
    raw(
        "another token's signature",
        False,
        lambda: ".".join([*segments(CLERK.token(sid="sess_2"))[:2], segments(CLERK.token())[2]]),
    ),
    raw("another spelling of the signature", False, respelled),
    raw("padding", False, lambda: CLERK.token() + "=="),
    raw("a line end", False, lambda: CLERK.token()[:-5] + "\n" + CLERK.token()[-5:]),
    raw("another instance's token", False, OTHER.token),
    # Forms
    raw("two parts", False, lambda: CLERK.token().rpartition(".")[0]),
    raw("four parts", False, lambda: CLERK.token() + ".e30"),
    raw("parts that are empty", False, lambda: ".."),
    raw("a header that is no object", False, lambda: ".".join([encode(b"[]"), *segments(CLERK.token())[1:]])),
    raw("a header that is no JSON", False, lambda: ".".join([encode(b"{"), *segments(CLERK.token())[1:]])),
    raw(
        "a header that is no UTF-8", False, lambda: ".".join([encode(b'{"alg":"\xff"}'), *segments(CLERK.token())[1:]])
    ),
    raw("a header that is nested deeply", False, lambda: ".".join([encode(b"[" * 5000), *segments(CLERK.token())[1:]])),
    raw("claims that are no object", False, lambda: as_claims(b"[]")),
    raw("claims that are null", False, lambda: as_claims(b"null")),
    raw("claims that are no JSON", False, lambda: as_claims(b"{")),
    raw("claims that are no UTF-8", False, lambda: as_claims(b"\xff\xfe")),
    raw("claims that are nested deeply", False, lambda: as_claims(b'{"a":' + b"[" * 3000)),
    raw("claims with a number of many digits", False, lambda: as_claims(b'{"exp":' + b"9" * 5000 + b"}")),
    raw("claims that name the user twice", False, lambda: as_claims(usual_and('"sub": "user_bob"'))),
    raw(
        "claims in which somebody else says something twice",
        False,
        lambda: as_claims(usual_and('"a": {"b": 1, "b": 1}')),
    ),
    raw("claims with a number that is none", False, lambda: as_claims(usual_and('"a": NaN'))),
    raw("claims with a number that is too large for one", False, lambda: as_claims(usual_and('"a": 1e999'))),
    raw("claims with another member", True, lambda: as_claims(usual_and('"a": [1e9, null, "\\u2603"]'))),
    raw("claims with a byte order mark", False, lambda: as_claims(b"\xef\xbb\xbf" + json.dumps(usual()).encode())),
    raw(
        "a header that names the algorithm twice",
        False,
        lambda: as_claims(json.dumps(usual()).encode(), b'{"alg": "none", "alg": "RS256", "kid": "ins_1"}'),
    ),
    raw("claims signed as they are", True, lambda: as_claims(json.dumps(usual()).encode())),
    raw("as long as can be", True, lambda: of_length(MOST_BYTES)),
    raw("a letter too long", False, lambda: of_length(MOST_BYTES + 1)),
    case("much too long", False, extra="x" * MOST_BYTES),
    # Issuer and authorized party
    case("another issuer", False, iss="https://clerk.other.example.org"),
    case("an issuer with a slash", False, iss=f"{CLERK.issuer}/"),
    case("an issuer by http", False, iss=CLERK.issuer.replace("https", "http")),
    case("an issuer without a scheme", False, iss="clerk.example.org"),
    case("an issuer in capital letters", False, iss=CLERK.issuer.upper()),
    case("no issuer", False, iss=ABSENT),
    case("issuer null", False, iss=None),
    case("issuers in a list", False, iss=[CLERK.issuer]),
    case("the other authorized party", True, azp="https://admin.example.org"),
    case("no authorized party", False, azp=ABSENT),
    case("party null", False, azp=None),
    case("party empty", False, azp=""),
    case("an unknown party", False, azp="https://evil.example.org"),
    case("a sibling of the party", False, azp="https://bots.example.org.evil.org"),
    case("a party with a slash", False, azp=f"{CLERK.origin}/"),
    case("a party by http", False, azp="http://bots.example.org"),
    case("a party with a port", False, azp=f"{CLERK.origin}:443"),
    case("all parties at once", False, azp=PARTIES["CLERK_AUTHORIZED_PARTIES"]),
    case("parties in a list", False, azp=[CLERK.origin]),
    # Times
    case("it has just expired", True, exp=at(-1), age=61),
    case("it expired before the skew", False, exp=at(-30)),
    case("no end", False, exp=ABSENT),
    case("end null", False, exp=None),
    case("an end in text", False, exp=lambda: str(at(60)())),
    case("an end with a fraction", False, exp=at(60.5)),
    case("an end with a point", False, exp=lambda: float(at(60)())),
    case("an end that is true", False, exp=True),
    case("a negative end", False, exp=-1),
    case("an end far away", True, exp=at(10**9)),
    case("it begins within the skew", True, nbf=at(3)),
    case("it begins later", False, nbf=at(600)),
    case("no beginning", False, nbf=ABSENT),
    case("beginning null", False, nbf=None),
    case("a beginning with a fraction", False, nbf=at(-10.5)),
    case("a beginning in text", False, nbf=lambda: str(at(0)())),
    case("a beginning that is false", False, nbf=False),
    case("it is issued within the skew", True, iat=at(3)),
    case("it is issued later", False, iat=at(600)),
    case("no time of issue", False, iat=ABSENT),
    case("time of issue null", False, iat=None),
    case("a time of issue with a fraction", False, iat=at(-0.5)),
    case("a time of issue in text", False, iat=lambda: str(at(0)())),
    # People and sessions
    case("another user", True, sub="user_2bVq9QxkYz"),
    case("no user", False, sub=ABSENT),
    case("user null", False, sub=None),
    case("user empty", False, sub=""),
    case("user only begun", False, sub="user_"),
    case("a machine in place of a user", False, sub="mch_2bVq9QxkYz"),
    case("an organization in place of a user", False, sub="org_2bVq9QxkYz"),
    case("a user with a space", False, sub="user_ann bob"),
    case("a user with a line end", False, sub="user_ann\n"),
    case("a user in capital letters", False, sub="USER_ann"),
    case("a user in a list", False, sub=["user_ann"]),
    case("a user with a long name", False, sub="user_" + "a" * 100),
    case("no session", False, sid=ABSENT),
    case("session null", False, sid=None),
    case("session empty", False, sid=""),
    case("session no text", False, sid=1),
    case("session with a space", False, sid="sess_1 2"),
    case("session with a line end", False, sid="sess_1\n"),
    case("session with half a character", False, sid="sess_\ud800"),
    case("session with a long name", False, sid="sess_" + "a" * 100),
    # Versions and status
    case("version 1 of the claims", True, v=ABSENT, sts=ABSENT, org_id="org_1", org_role="org:admin"),
    case("version 1, said", True, v=1),
    case("version 2 with an organization", True, o={"id": "org_1", "rol": "admin"}, pla="u:free", fea="u:x"),
    case("version 3", False, v=3),
    case("version 0", False, v=0),
    case("version in text", False, v="2"),
    case("version true", False, v=True),
    case("version null", False, v=None),
    case("version with a point", False, v=2.0),
    case("no status", True, sts=ABSENT),
    case("a session that is not complete", False, sts="pending"),
    case("an unknown status", False, sts="revoked"),
    case("status null", False, sts=None),
    case("somebody acts as the user", True, act={"sub": "user_eve", "iss": "https://dashboard.clerk.com"}),
    case("an audience is said", True, aud="x"),
)


def published() -> ClerkSessions:
    """Return the provider on keys that are fetched from the real server of the tests."""
    with serving(CLERK) as api:
        keys = PublishedKeys(lambda _: fetch(api.origin))
        provider = ClerkSessions(given(CLERK, **PARTIES), keys, SignIn())
        assert said(provider, CLERK.token()) is not None
    return provider


def said(provider: ClerkSessions, token: str, *, cookie: bool = False) -> Identity | None:
    """Return whom the provider recognizes by a token."""
    headers = {} if cookie else {"authorization": f"Bearer {token}"}
    try:
        return provider.authenticate(Credentials(headers, {"__session": token} if cookie else {}))
    except InvalidCredentials:
        return None


@pytest.fixture(scope="module")
def provider() -> ClerkSessions:
    """The provider, with an answer for unknown keys at hand: none are fetched."""
    keys = PublishedKeys(lambda _: {CLERK.kid: CLERK.key.public_key()})
    return ClerkSessions(given(CLERK, **PARTIES), keys, SignIn())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("cookie", [False, True], ids=["header", "cookie"])
def test_a_token_is_judged(provider: ClerkSessions, case: Case, cookie: bool) -> None:
    found = said(provider, case.make(), cookie=cookie)
    assert (found is not None) is case.good
    if found:
        assert found.user_id.startswith("user_")
        assert (found.provider, found.ambient) == ("clerk", cookie)


def test_the_cases_are_as_many_as_the_rules_have_sides() -> None:
    assert len(CASES) > 100
    assert len({each.name for each in CASES}) == len(CASES)


def test_tokens_are_checked_with_what_a_real_server_publishes() -> None:
    provider = published()
    assert said(provider, CLERK.token(sub="user_bob")) == Identity("user_bob", "clerk", ambient=False)


@pytest.mark.parametrize(("late", "flaw"), [(64.5, ""), (65.0, "expired"), (66.0, "expired")])
def test_the_skew_is_five_seconds_at_the_end(late: float, flaw: str) -> None:
    token = CLERK.token(iat=NOW, nbf=NOW, exp=NOW + 60)
    provider = ClerkSessions(given(CLERK), GivenKey(CLERK.key.public_key()), SignIn(), lambda: NOW + late)
    assert (said(provider, token) is None) is bool(flaw)


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(("early", "good"), [(5.0, True), (5.5, False), (6.0, False)])
def test_the_skew_is_five_seconds_at_the_beginning(name: str, early: float, good: bool) -> None:
    times: dict[str, Any] = {"iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 60, name: NOW}
    token = CLERK.token(**times)
    provider = ClerkSessions(given(CLERK), GivenKey(CLERK.key.public_key()), SignIn(), lambda: NOW - early)
    assert (said(provider, token) is not None) is good


def test_a_frontend_api_in_another_place_may_say_where_it_is() -> None:
    elsewhere = given(CLERK, CLERK_FRONTEND_API="http://127.0.0.1:5555")
    provider = ClerkSessions(elsewhere, GivenKey(CLERK.key.public_key()), SignIn())
    for issuer, good in ((CLERK.issuer, True), ("http://127.0.0.1:5555", True), ("http://127.0.0.1:5556", False)):
        for cookie in (False, True):
            assert (said(provider, CLERK.token(iss=issuer), cookie=cookie) is not None) is good


def test_a_given_key_answers_to_every_name() -> None:
    provider = ClerkSessions(
        given(CLERK, CLERK_JWT_KEY=public_pem(CLERK.key)), GivenKey(CLERK.key.public_key()), SignIn()
    )
    assert said(provider, CLERK.token(header={"kid": "ins_9"}))
    assert said(provider, CLERK.token(header={"kid": ABSENT}))
    assert not said(provider, CLERK.token(key=STRANGER))


def test_a_key_that_is_too_short_is_none() -> None:
    short = new_key(1024)
    assert short.key_size < LEAST_BITS
    with serving(Instance()) as api:
        api.instance.key = short
        api.instance.published = [jwk(short, "ins_1")]
        provider = ClerkSessions(given(CLERK), PublishedKeys(lambda _: fetch(api.origin)), SignIn())
        with pytest.raises(Exception, match="cannot be fetched"):
            said(provider, api.instance.token())


def test_claims_are_looked_at_after_the_signature(provider: ClerkSessions) -> None:
    """What is wrong with the claims of a forged token is told to nobody."""
    with pytest.raises(InvalidCredentials) as refused:
        provider.authenticate(Credentials({"authorization": f"Bearer {CLERK.token(key=STRANGER, age=600)}"}, {}))
    assert "expired" not in refused.value.detail


def test_a_compact_token_can_be_written_by_hand(provider: ClerkSessions) -> None:
    token = compact({"alg": "RS256", "kid": CLERK.kid}, usual(), CLERK.key)
    assert said(provider, token)
