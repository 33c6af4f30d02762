"""A change that a browser signs with its cookie must come from one of our own pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms import GOOD
from tests.web.people import Site, problem

ALLOWED = [
    {"sec_fetch_site": "same-origin"},
    {"sec_fetch_site": "same-origin", "origin": "http://localhost"},
    {"origin": "http://localhost"},
    {"origin": "http://localhost:80"},
    {"origin": "http://bots.example:8080", "host": "bots.example:8080"},
    {"origin": "http://bots.example:8080", "host": "BOTS.example:8080"},
    {"origin": "https://bots.example", "host": "bots.example"},
    {"origin": "http://[::1]:8080", "host": "[::1]:8080"},
]

REFUSED: list[dict[str, str]] = [
    {},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "none"},
    {"sec_fetch_site": "same-origin, cross-site"},
    {"sec_fetch_site": "", "origin": "http://localhost"},
    {"sec_fetch_site": "same-site", "origin": "http://localhost"},
    {"sec_fetch_site": "same-origin", "origin": "http://evil.example"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://localhost:8080"},
    {"origin": "http://localhost.evil.example"},
    {"origin": "http://evil.example@localhost"},
    {"origin": "ftp://localhost"},
    {"origin": "localhost"},
    {"origin": "http://bots.example", "host": "evil.example"},
    {"origin": "http://[::1"},
    {"origin": "http://localhost", "host": ""},
]


@pytest.mark.parametrize("headers", ALLOWED, ids=str)
def test_our_own_pages_may_change_things(site: Site, headers: dict[str, str]) -> None:
    sent = {"host": "localhost:80", **headers}
    answer = site.browser().post("/api/instances", GOOD, **sent)
    assert answer.status_int == 201, answer


@pytest.mark.parametrize("headers", REFUSED, ids=str)
def test_nobody_else_may(site: Site, headers: dict[str, str]) -> None:
    sent = {"host": "localhost:80", **headers}
    ann = site.browser()
    made = site.program().create()
    before = site.everything()
    for method, path in (
        ("POST", "/api/instances"),
        ("PATCH", f"/api/instances/{made['id']}"),
        ("DELETE", f"/api/instances/{made['id']}"),
        ("POST", f"/api/instances/{made['id']}/stop"),
    ):
        problem(ann.send(method, path, GOOD if path == "/api/instances" else None, **sent), 403, "cross_origin")
    assert site.everything() == before
    assert ann.post("/sign-out", **sent).status_int == 403
    assert ann.get("/api/instances", **sent).status_int == 200


def test_a_program_with_a_token_needs_no_origin(site: Site) -> None:
    for headers in REFUSED:
        assert site.program().post("/api/instances", GOOD, **{"host": "localhost:80", **headers}).status_int == 201


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, PUBLIC_ORIGIN="https://bots.example.org")
    yield site
    site.close()


class TestWithAPublicOrigin:
    def test_it_alone_counts(self, public: Site) -> None:
        ann = public.browser()
        assert ann.post("/api/instances", GOOD, origin="https://bots.example.org", host="10.0.0.1").status_int == 201
        for origin in (
            "http://bots.example.org",
            "https://bots.example.org:8443",
            "http://10.0.0.1",
            "https://example.org",
        ):
            answer = ann.post("/api/instances", GOOD, origin=origin, host="10.0.0.1")
            said = problem(answer, 403, "cross_origin")
            assert "CLAWDEPLOY_PUBLIC_ORIGIN" in said["detail"]
            assert "https://bots.example.org" in said["detail"]

    def test_what_a_proxy_says_is_not_believed(self, public: Site) -> None:
        sent = {"x_forwarded_host": "evil.example", "forwarded": "host=evil.example", "x_forwarded_proto": "https"}
        problem(
            public.browser().post("/api/instances", GOOD, origin="https://evil.example", **sent), 403, "cross_origin"
        )


def test_a_proxy_that_changes_the_host_is_told_what_to_set(site: Site) -> None:
    answer = site.browser().post("/api/instances", GOOD, origin="https://bots.example", host="127.0.0.1:8080")
    assert "CLAWDEPLOY_PUBLIC_ORIGIN" in problem(answer, 403, "cross_origin")["detail"]


def test_signing_in_cannot_be_done_by_a_foreign_form(site: Site) -> None:
    """There is nothing to sign in to by POST yet, and a foreign page is refused before that is looked at."""
    answer = site.anybody().post("/", origin="http://evil.example", host="localhost:80")
    assert answer.status_int == 403
    assert site.anybody().post("/", host="localhost:80").status_int == 405
