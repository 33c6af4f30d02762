"""Which of Clerk's cookies count, as Clerk's own libraries choose."""

import time
from typing import Any

import pytest

from clawdeploy.core.contracts import Credentials, SignIn
from clawdeploy.core.errors import InvalidCredentials
from clawdeploy.plugins.clerk.cookies import uses_suffix
from clawdeploy.plugins.clerk.identities import ClerkSessions
from clawdeploy.plugins.clerk.keys import GivenKey
from clawdeploy.plugins.clerk.publishable_key import publishable_key
from tests.plugins.clerk.frontend_api import ABSENT, Instance
from tests.plugins.clerk.surroundings import given

CLERK = Instance()
TRIAL = Instance("brave-fox-12.clerk.accounts.dev", live=False)
OTHER = Instance("clerk.other.example.org")
NOW = int(time.time())
OLDER, NEWER = CLERK.token(iat=NOW - 9), CLERK.token(iat=NOW)
DAMAGED = f"e30x{CLERK.token()[4:]}"
PLAIN, PLAIN_UAT, OWN, OWN_UAT = "plain", "plain_uat", "own", "own_uat"


def named(instance: Instance, **cookies: str) -> dict[str, str]:
    suffix = publishable_key(instance.publishable_key).suffix
    names = {
        PLAIN: "__session",
        PLAIN_UAT: "__client_uat",
        OWN: f"__session_{suffix}",
        OWN_UAT: f"__client_uat_{suffix}",
    }
    return {names[name]: value for name, value in cookies.items()}


@pytest.mark.parametrize(
    ("says", "cookies", "suffixed"),
    [
        ("nothing", {}, False),
        ("plain only", {PLAIN: CLERK.token(), PLAIN_UAT: "1"}, False),
        ("own only", {OWN: CLERK.token(), OWN_UAT: "1"}, True),
        ("own without its companion", {OWN: CLERK.token()}, False),
        ("own time only", {OWN_UAT: "1"}, True),
        ("plain damaged", {PLAIN: "damaged", OWN: CLERK.token(), OWN_UAT: "1"}, False),
        ("plain with a damaged header", {PLAIN: DAMAGED, OWN: CLERK.token(), OWN_UAT: "1"}, False),
        ("plain of nobody", {PLAIN: CLERK.token(iss=ABSENT), OWN: CLERK.token(), OWN_UAT: "1"}, False),
        ("plain too long", {PLAIN: CLERK.token(x="x" * 9000), OWN: CLERK.token(), OWN_UAT: "1"}, False),
        ("plain of another", {PLAIN: OTHER.token(), OWN: CLERK.token(), OWN_UAT: "1"}, True),
        ("plain of another alone", {PLAIN: OTHER.token()}, True),
        ("plain with an odd issuer", {PLAIN: CLERK.token(iss=["x"]), OWN: CLERK.token(), OWN_UAT: "1"}, True),
        ("both, plain newer", {PLAIN: NEWER, PLAIN_UAT: "1", OWN: OLDER, OWN_UAT: "1"}, False),
        ("both, own newer", {PLAIN: OLDER, PLAIN_UAT: "1", OWN: NEWER, OWN_UAT: "1"}, True),
        ("both, as old", {PLAIN: NEWER, PLAIN_UAT: "1", OWN: NEWER, OWN_UAT: "1"}, True),
        ("own signed out, plain in", {PLAIN: CLERK.token(), PLAIN_UAT: "1", OWN_UAT: "0"}, False),
        ("own signed out, plain unknown", {OWN_UAT: "0"}, False),
        ("both signed out", {PLAIN_UAT: "0", OWN_UAT: "0"}, True),
        ("own in, plain out", {PLAIN_UAT: "0", OWN: CLERK.token(), OWN_UAT: "1"}, True),
        ("own in but expired, plain out", {PLAIN_UAT: "0", OWN: CLERK.token(age=600), OWN_UAT: "1"}, True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_plain_or_own_cookies_of_a_live_instance(says: str, cookies: dict[str, str], suffixed: bool) -> None:
    assert says
    assert uses_suffix(named(CLERK, **cookies), given(CLERK), NOW) is suffixed


@pytest.mark.parametrize(
    ("own", "suffixed"),
    [(TRIAL.token(age=600), False), (TRIAL.token(), True), (TRIAL.token(exp=ABSENT), True), ("damaged", True)],
    ids=["expired", "good", "endless", "damaged"],
)
def test_a_trial_that_went_back_to_old_scripts(own: str, suffixed: bool) -> None:
    cookies = named(TRIAL, own=own, own_uat="1", plain_uat="0")
    assert uses_suffix(cookies, given(TRIAL), NOW) is suffixed


def whose(instance: Instance, headers: dict[str, str] | None = None, **cookies: str) -> str | None:
    provider = ClerkSessions(given(instance), GivenKey(instance.key.public_key()), SignIn())
    found = provider.authenticate(Credentials(headers or {}, named(instance, **cookies)))
    return found.user_id if found else None


def test_the_cookie_that_counts_is_the_one_that_is_judged() -> None:
    ann, bob = CLERK.token(sub="user_ann"), CLERK.token(sub="user_bob")
    assert whose(CLERK, plain=ann) == "user_ann"
    assert whose(CLERK, own=bob, own_uat="1") == "user_bob"
    assert whose(CLERK, plain=ann, own=bob, own_uat="1", plain_uat="1") == "user_bob"
    assert whose(CLERK, plain=OTHER.token(), own=bob, own_uat="1") == "user_bob"
    assert whose(CLERK, plain="damaged", own=bob, own_uat="1") is None
    assert whose(CLERK, plain=CLERK.token(age=600), own=bob) is None, "no second chance with another cookie"


@pytest.mark.parametrize("name", ["__session_x", "__clerk_session", "session", "__Session", "__clerk_handshake"])
def test_no_other_cookie_is_looked_at(name: str) -> None:
    provider = ClerkSessions(given(CLERK), GivenKey(CLERK.key.public_key()), SignIn())
    assert provider.authenticate(Credentials({}, {name: CLERK.token()})) is None


@pytest.mark.parametrize(
    ("cookies", "good"),
    [
        ({PLAIN_UAT: "1"}, True),
        ({PLAIN_UAT: str(NOW - 5)}, True),
        ({PLAIN_UAT: "0"}, False),
        ({PLAIN_UAT: str(NOW + 30)}, False),
        ({PLAIN_UAT: "x"}, False),
        ({}, True),
    ],
)
def test_a_token_from_before_a_sign_out_or_sign_in_counts_no_more(cookies: dict[str, str], good: bool) -> None:
    assert (whose(CLERK, None, plain=CLERK.token(iat=NOW - 1), **cookies) is not None) is good


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer  ", "Bearer\t"])
def test_the_header_comes_first(scheme: str) -> None:
    bob = {"authorization": f"{scheme}{CLERK.token(sub='user_bob')}"}
    assert whose(CLERK, bob, plain=CLERK.token(sub="user_ann")) == "user_bob"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer\tx",
        "Bearer x",
        "Bearer a.b.c,Bearer d.e.f",
        "Bearer a.b.c",
        "Bearer cd_abc",
        f"Bearer\xa0{CLERK.token()}",
        f"Bearer \x85{CLERK.token()}",
        f"Bearer {CLERK.token()}\xa0",
        f"Bearer: {CLERK.token()}",
        f'Bearer "{CLERK.token()}"',
        f"Bearer {CLERK.token()} x",
        f" Bearer {CLERK.token()}\n",
        f"Bearer {CLERK.token(age=600)}",
    ],
)
def test_with_a_bad_header_the_cookie_is_not_looked_at(value: str) -> None:
    found: Any = "nobody"
    try:
        found = whose(CLERK, {"authorization": value}, plain=CLERK.token())
    except InvalidCredentials:
        found = None
    assert found is None


@pytest.mark.parametrize("value", ["Basic YW5uOng=", "Token x", "Bearers x", "Bearer-x y", ""])
def test_a_header_of_another_kind_is_no_bearer(value: str) -> None:
    assert whose(CLERK, {"authorization": value}, plain=CLERK.token()) == "user_ann"
