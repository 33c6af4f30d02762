"""Strangers who ask too much are refused by where they come from; health and good credentials are let through."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.web.visitors import PeerCounts
from tests.web.people import METRICS_SECRET, SYNC_SECRET, Caller, Site, problem

HTML = "text/html"
Make = Callable[..., Site]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Site] = []

    def site(limit: str = "3/minute", **settings: Any) -> Site:
        usual = {"SYNC_SECRET": SYNC_SECRET, "METRICS_SECRET": METRICS_SECRET, "TRUSTED_PROXIES": "127.0.0.1"}
        made.append(Site(tmp_path, **{"VISITOR_LIMIT": limit, **usual, **settings}))
        return made[-1]

    yield site
    for each in made:
        each.close()


def exhausted(site: Site) -> Caller:
    """Return a stranger who has asked for all that strangers get, as others at that address may have before."""
    stranger = site.anybody()
    for _ in range(3):
        assert stranger.get("/").status_int in (200, 429)
    assert stranger.get("/").status_int == 429
    return stranger


@pytest.mark.parametrize(
    "path",
    ["/", "/robots.txt", "/api/openapi.json", "/dashboard", "/api/instances", "/nothing", "/static/style.css", "/%2f"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_whatever_a_stranger_asks_for_counts_and_is_refused(make: Make, method: str, path: str) -> None:
    stranger = make().anybody()
    for _ in range(3):
        assert stranger.call(method, path).status_int != 429
    answer = stranger.call(method, path)
    assert answer.status_int == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_it_is_told_to_programs_and_to_people(make: Make) -> None:
    stranger = exhausted(make())
    said = problem(stranger.get("/api/openapi.json"), 429, "rate_limited")
    assert said["detail"].startswith("From your network address, this server was asked 3 times within a minute, ")
    page = stranger.get("/", accept=HTML)
    assert (page.status_int, page.content_type) == (429, HTML)
    assert "for whoever is not signed in. Try again in " in page.text


def test_what_has_limits_of_its_own_answers_all_the_same(make: Make) -> None:
    site = make()
    browser, stranger = site.browser(), exhausted(site)
    secret = SYNC_SECRET.encode().decode("latin-1")
    for _ in range(5):
        assert stranger.get("/api/health").status_int == 200
        assert stranger.call("HEAD", "/api/health").status_int == 200
        assert stranger.post("/api/admin/sync", x_sync_secret=secret).status_int == 200
        assert stranger.get("/metrics", authorization=f"Bearer {METRICS_SECRET}").status_int == 200
        assert browser.get("/dashboard").status_int == 200
    assert stranger.get("/").status_int == 429


def test_what_does_not_exist_without_a_secret_is_like_any_other_address(make: Make) -> None:
    stranger = make(SYNC_SECRET="", METRICS_SECRET="").anybody()
    assert [stranger.get("/metrics").status_int for _ in range(4)] == [404, 404, 404, 429]
    assert stranger.post("/api/admin/sync").status_int == 429


@pytest.mark.parametrize("path", ["/sign-in/x/y", "/sign-in/guess", "/api/health/", "/api/health;x", "/API/health"])
def test_nothing_that_looks_like_what_is_free_is_free(make: Make, path: str) -> None:
    stranger = make().anybody()
    for _ in range(3):
        stranger.get(path)
    assert stranger.get(path).status_int == 429


def test_whoever_is_signed_in_is_not_limited(make: Make) -> None:
    site = make()
    browser, program = site.browser(), site.program()
    exhausted(site)
    for caller in (browser, program):
        for path in ("/", "/dashboard", "/static/style.css", "/api/openapi.json", "/nothing"):
            assert caller.get(path).status_int != 429, path
    assert site.forger().get("/").status_int == 429
    assert site.anybody().get("/", cookie="clawdeploy_session=guess").status_int == 429


def test_who_is_signed_in_uses_nothing_up(make: Make) -> None:
    site = make()
    browser = site.browser()
    for _ in range(10):
        assert browser.get("/dashboard").status_int == 200
    assert site.anybody().get("/").status_int == 200


def test_every_address_has_its_own_and_nobody_invents_one(make: Make) -> None:
    site = make()
    stranger = site.anybody()

    def asked(said: str) -> int:
        return int(stranger.get("/", x_forwarded_for=said).status_int)

    assert [asked("192.0.2.1") for _ in range(4)] == [200, 200, 200, 429]
    assert asked("192.0.2.2") == 200
    assert asked("192.0.2.9, 192.0.2.1") == 429
    assert [asked(f"2001:db8::{n}") for n in range(4)] == [200, 200, 200, 429]


def test_several_rates_hold_and_none_is_none(make: Make, tmp_path: Path) -> None:
    stranger = make("2/second;4/hour").anybody()
    assert [stranger.get("/").status_int for _ in range(3)] == [200, 200, 429]
    free = Site(tmp_path / "free", VISITOR_LIMIT="0")
    assert {free.anybody().get("/").status_int for _ in range(50)} == {200}
    free.close()


def test_refusals_are_counted(make: Make) -> None:
    site = make()
    exhausted(site)
    told = site.anybody().get("/metrics", authorization=f"Bearer {METRICS_SECRET}").text
    assert 'clawdeploy_rate_limited_total{limit="visits"} 1.0' in told


class TestCounts:
    def test_a_window_ends(self) -> None:
        now = [100.0]
        counts = PeerCounts(60, lambda: now[0])
        assert [counts.count("a"), counts.count("a"), counts.count("b"), counts.so_far("a")] == [1, 2, 1, 2]
        now[0] += 59.5
        assert (counts.seconds_left, counts.so_far("a")) == (1, 2)
        now[0] += 0.5
        assert (counts.so_far("a"), counts.count("a"), counts.seconds_left) == (0, 1, 60)

    def test_it_does_not_grow_without_an_end(self) -> None:
        counts = PeerCounts(60)
        for number in range(20_000):
            counts.count(f"2001:db8:{number:x}::/64")
        assert counts.peers <= 10_001
        assert counts.so_far("somebody new") == 10_000
        assert counts.so_far("2001:db8:0::/64") == 1
