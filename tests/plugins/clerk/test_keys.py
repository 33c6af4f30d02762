"""The keys are kept, renewed behind everybody's back, and nobody waits long: on a real server that misbehaves."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from clawdeploy.core.contracts import Credentials, SignIn
from clawdeploy.core.errors import InvalidCredentials, SignInUnavailable
from clawdeploy.core.settings import DATA_DIR
from clawdeploy.core.testing import eventually
from clawdeploy.plugins.clerk.identities import ClerkSessions
from clawdeploy.plugins.clerk.jwks import FetchFailed, fetch
from clawdeploy.plugins.clerk.keys import MOST_WAITING, PublishedKeys
from clawdeploy.plugins.clerk.shared_keys import FILE
from clawdeploy.web.server import THREADS
from tests.plugins.clerk.frontend_api import FrontendApi, Instance, Mood, jwk, new_key
from tests.plugins.clerk.surroundings import given, platform_with, serving

HOUR = 3600.0
FIRST, KEY = new_key(), new_key()


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def instance() -> Instance:
    return Instance(key=FIRST)


@pytest.fixture
def api(instance: Instance) -> Iterator[FrontendApi]:
    with serving(instance) as api:
        yield api


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(api: FrontendApi, clock: Clock) -> ClerkSessions:
    keys = PublishedKeys(lambda _: fetch(api.origin), clock)
    return ClerkSessions(given(api.instance), keys, SignIn())


def enters(provider: ClerkSessions, token: str) -> bool:
    """Say whether a token is good; ``SignInUnavailable`` when nobody can tell."""
    try:
        return provider.authenticate(Credentials({"authorization": f"Bearer {token}"}, {})) is not None
    except InvalidCredentials:
        return False


def settled(provider: ClerkSessions) -> bool:
    keys = provider._keys
    assert isinstance(keys, PublishedKeys)
    return eventually(lambda: keys._flight is None, within=10)


def test_keys_are_fetched_once(provider: ClerkSessions, api: FrontendApi) -> None:
    assert all(enters(provider, api.instance.token()) for _ in range(50))
    assert len(api.fetches) == 1


def test_after_five_minutes_they_are_renewed_while_the_old_ones_serve(
    provider: ClerkSessions, api: FrontendApi, clock: Clock
) -> None:
    assert enters(provider, api.instance.token())
    clock.now += 299
    assert enters(provider, api.instance.token())
    assert len(api.fetches) == 1
    clock.now += 2
    api.mood = "hangs"
    began = time.monotonic()
    assert all(enters(provider, api.instance.token()) for _ in range(20))
    assert time.monotonic() - began < 1.0
    assert eventually(lambda: len(api.fetches) == 2, within=10)


def test_an_hour_without_the_service_signs_nobody_out(provider: ClerkSessions, api: FrontendApi, clock: Clock) -> None:
    assert enters(provider, api.instance.token())
    api.mood = "fails"
    for _ in range(120):
        clock.now += 30
        assert enters(provider, api.instance.token())
        assert settled(provider)
    assert 50 <= len(api.fetches) - 1 <= 60
    api.mood = "well"
    clock.now += 60
    assert enters(provider, api.instance.token())
    assert settled(provider)
    assert enters(provider, api.instance.token())


def test_old_keys_serve_a_day_and_not_longer(provider: ClerkSessions, api: FrontendApi, clock: Clock) -> None:
    assert enters(provider, api.instance.token())
    api.mood = "fails"
    clock.now += 24 * HOUR - 1
    assert enters(provider, api.instance.token())
    assert settled(provider)
    clock.now += 2
    with pytest.raises(SignInUnavailable):
        enters(provider, api.instance.token())
    api.mood = "well"
    clock.now += 5
    assert enters(provider, api.instance.token())


def test_a_new_key_is_found_at_once(provider: ClerkSessions, api: FrontendApi) -> None:
    before = api.instance.token()
    assert enters(provider, before)
    api.instance.rotate("ins_2")
    assert enters(provider, api.instance.token())
    assert not enters(provider, before), "what is published no more is good for nothing"
    assert len(api.fetches) == 2


def test_a_new_key_under_the_old_name_is_found_at_once(provider: ClerkSessions, api: FrontendApi) -> None:
    assert enters(provider, api.instance.token())
    api.instance.rotate()
    assert enters(provider, api.instance.token())
    assert len(api.fetches) == 2


def test_a_thousand_unknown_keys_cause_one_fetch(provider: ClerkSessions, api: FrontendApi, clock: Clock) -> None:
    assert enters(provider, api.instance.token())
    good = api.instance.token()
    for number in range(1000):
        assert not enters(provider, api.instance.token(header={"kid": f"ins_{number}x"}, key=KEY))
    assert len(api.fetches) == 2
    clock.now += 59
    assert not enters(provider, api.instance.token(header={"kid": "ins_x"}))
    assert len(api.fetches) == 2
    clock.now += 1
    assert not enters(provider, api.instance.token(header={"kid": "ins_x"}))
    assert len(api.fetches) == 3
    assert enters(provider, good)


def test_the_first_fetch_of_all_counts_when_it_was_made_for_an_unknown_key(
    provider: ClerkSessions, api: FrontendApi
) -> None:
    for _ in range(10):
        assert not enters(provider, api.instance.token(header={"kid": "ins_x"}))
    assert len(api.fetches) == 1


def test_forged_signatures_cause_one_fetch_a_minute(provider: ClerkSessions, api: FrontendApi, clock: Clock) -> None:
    assert enters(provider, api.instance.token())
    for _ in range(20):
        assert not enters(provider, api.instance.token(key=KEY))
    assert len(api.fetches) == 2
    clock.now += 60
    assert not enters(provider, api.instance.token(key=KEY))
    assert len(api.fetches) == 3


@pytest.mark.parametrize(
    "header",
    [{"alg": "RS512"}, {"typ": "x"}, {"cat": "cl_B7d4PD222AAA"}, {"crit": ["exp"]}],
    ids=lambda one: next(iter(one)),
)
def test_what_is_refused_anyway_causes_no_fetch(
    provider: ClerkSessions, api: FrontendApi, header: dict[str, object]
) -> None:
    assert not enters(provider, api.instance.token(header={"kid": "ins_x", **header}))
    assert api.fetches == []


def test_failed_attempts_count(provider: ClerkSessions, api: FrontendApi, clock: Clock) -> None:
    assert enters(provider, api.instance.token())
    api.mood = "fails"
    clock.now += 59
    for _ in range(20):
        with pytest.raises(SignInUnavailable):
            enters(provider, api.instance.token(header={"kid": "ins_x"}))
    assert len(api.fetches) == 2
    assert enters(provider, api.instance.token())


def test_good_tokens_do_not_wait_for_bad_ones(provider: ClerkSessions, api: FrontendApi) -> None:
    """While the service hangs and strangers ask for keys that nobody has."""
    assert enters(provider, api.instance.token())
    good = api.instance.token()
    api.mood = "hangs"
    waited: list[float] = []

    def try_unknown() -> None:
        began = time.monotonic()
        with pytest.raises(SignInUnavailable):
            enters(provider, unknown)
        waited.append(time.monotonic() - began)

    unknown = api.instance.token(header={"kid": "ins_x"})
    strangers = [threading.Thread(target=try_unknown) for _ in range(2 * MOST_WAITING)]
    for stranger in strangers:
        stranger.start()
    assert eventually(lambda: len(api.fetches) == 2, within=10)
    began = time.monotonic()
    assert all(enters(provider, good) for _ in range(200))
    assert time.monotonic() - began < 1.5, "it waited for the others"
    for stranger in strangers:
        stranger.join()
    assert max(waited) < 3.5, "nobody waits more than two seconds, give or take a busy machine"
    assert sum(one < 1.0 for one in waited) >= MOST_WAITING, "only so many may wait"
    assert len(api.fetches) == 2


def test_many_at_once_cause_one_fetch(provider: ClerkSessions, api: FrontendApi) -> None:
    token = api.instance.token()
    answers: list[bool] = []
    people = [threading.Thread(target=lambda: answers.append(enters(provider, token))) for _ in range(MOST_WAITING)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert answers == [True] * MOST_WAITING
    assert len(api.fetches) == 1


@pytest.mark.parametrize("mood", ["fails", "floods", "redirects", "lies", "empty"])
def test_without_any_key_nobody_is_called_signed_out(provider: ClerkSessions, api: FrontendApi, mood: Mood) -> None:
    api.mood = mood
    for _ in range(5):
        with pytest.raises(SignInUnavailable):
            enters(provider, api.instance.token())
    assert len(api.fetches) == 1


def test_a_fetch_ends_in_time() -> None:
    """Whether nothing comes, or a byte now and then."""
    took: dict[Mood, float] = {}

    def measure(mood: Mood) -> None:
        with serving(Instance(key=FIRST)) as api:
            api.mood = mood
            began = time.monotonic()
            with pytest.raises(FetchFailed, match="longer than 3 s"):
                fetch(api.origin)
            took[mood] = time.monotonic() - began

    moods: tuple[Mood, ...] = ("hangs", "drips")
    threads = [threading.Thread(target=measure, args=(mood,)) for mood in moods]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(took) == set(moods)
    assert all(2.5 < seconds < 6 for seconds in took.values()), took


def test_who_is_first_waits_two_seconds_at_most() -> None:
    """However long a fetch takes, as one does that has to look up a host which nobody knows."""
    ended = threading.Event()
    keys = PublishedKeys(lambda _: {"x": KEY.public_key()} if ended.wait(30) else {})
    began = time.monotonic()
    with pytest.raises(SignInUnavailable):
        keys.key("x")
    assert 1.5 < time.monotonic() - began < 5
    ended.set()


def test_who_asks_several_times_waits_no_longer_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the visit of a page does, which looks at a handshake, at a cookie, and at the cookie once more."""
    monkeypatch.setattr("clawdeploy.plugins.clerk.keys.WAIT_SECONDS", 0.5)
    ended = threading.Event()
    keys = PublishedKeys(lambda forced: {"x": KEY.public_key()} if not forced or ended.wait(30) else {})
    known = keys.key("x")
    began = time.monotonic()
    for _ in range(3):
        assert keys.replaced("x", known) is None
    assert 0.4 < time.monotonic() - began < 0.9
    ended.set()


def test_at_most_half_of_the_threads_wait() -> None:
    assert MOST_WAITING <= THREADS // 2


def test_a_failed_fetch_says_why(api: FrontendApi) -> None:
    api.close()
    with pytest.raises(FetchFailed, match="ConnectionRefusedError"):
        fetch(api.origin)


def test_they_are_fetched_before_anybody_comes(api: FrontendApi, tmp_path: Path) -> None:
    with platform_with(tmp_path, api.settings()) as platform:
        assert api.fetches == [], "commands do not need them"
        platform.host.startup(platform)
        assert eventually(lambda: len(api.fetches) == 1, within=10)
        assert platform.authenticate(Credentials({"authorization": f"Bearer {api.instance.token()}"}, {}))
        assert len(api.fetches) == 1


@pytest.mark.parametrize(("age", "fetches"), [(0, 1), (301, 2)])
def test_who_starts_while_the_service_hangs_waits_for_nothing(
    api: FrontendApi, tmp_path: Path, age: int, fetches: int
) -> None:
    with platform_with(tmp_path, api.settings()) as platform:
        assert platform.authenticate(Credentials({"authorization": f"Bearer {api.instance.token()}"}, {}))
    file = platform.config[DATA_DIR] / FILE
    noted = json.loads(file.read_text())
    file.write_text(json.dumps({name: noted[name] - age if name.endswith("_at") else noted[name] for name in noted}))
    api.mood = "hangs"
    with platform_with(tmp_path, api.settings()) as platform:
        platform.host.startup(platform)
        began = time.monotonic()
        assert platform.authenticate(Credentials({"authorization": f"Bearer {api.instance.token()}"}, {}))
        assert time.monotonic() - began < 1.0
        assert eventually(lambda: len(api.fetches) == fetches, within=10), "what is not new is renewed"


@pytest.mark.parametrize(
    "member",
    [
        jwk(KEY, "x", kty="EC"),
        jwk(KEY, "x", use="enc"),
        jwk(KEY, "x", alg="RS512"),
        jwk(KEY, "x", key_ops=["encrypt"]),
        jwk(KEY, "x", key_ops="verify"),
        jwk(KEY, "x", e="AQ"),
        {**jwk(KEY, "x"), "kid": 7},
        jwk(KEY, ""),
        jwk(KEY, "x", n="!"),
        jwk(KEY, "x", n=None),
        jwk(KEY, "x", e="Ag"),
        jwk(new_key(1024), "x"),
        "x",
        None,
    ],
    ids=lambda member: str(member)[:40],
)
def test_what_cannot_be_used_is_left_out(api: FrontendApi, member: object) -> None:
    api.instance.published = [member, jwk(KEY, "good", key_ops=["sign", "verify"])]  # type: ignore[list-item]
    assert list(fetch(api.origin)) == ["good"]


def test_a_private_half_is_not_even_looked_at(api: FrontendApi) -> None:
    api.instance.published = [jwk(KEY, "x", d="AQAB", p="AQAB", q="AQAB")]
    (key,) = fetch(api.origin).values()
    assert isinstance(key, RSAPublicKey)


def test_of_two_keys_with_one_name_the_first_counts(api: FrontendApi) -> None:
    api.instance.published = [jwk(KEY, "x"), jwk(new_key(), "x")]
    assert fetch(api.origin)["x"].public_numbers() == KEY.public_key().public_numbers()
