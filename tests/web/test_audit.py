"""What people and strangers do with credentials is in the audit trail, with who, when and from where."""

from pathlib import Path

import pytest

from clawdeploy.core.audit import AuditEntry
from tests.web.people import SYNC_SECRET, Site
from tests.web.reading import page
from tests.web.test_account import post

HEADER = SYNC_SECRET.encode().decode("latin-1")


def trail(site: Site) -> list[AuditEntry]:
    """Return the entries, the oldest first."""
    return site.platform.audit.newest(1000)[::-1]


def told(site: Site) -> list[tuple[str, str, str]]:
    return [(entry.who, entry.what, entry.detail) for entry in trail(site)]


def test_sign_in_and_sign_out(site: Site) -> None:
    browser = site.browser("ann")
    assert browser.call("POST", "/sign-out", sec_fetch_site="same-origin").status_int == 303
    assert told(site) == [
        ("ann", "sign_in_link.made", ""),
        ("ann", "sign_in_link.ended", ""),
        ("ann", "session.made", "A browser"),
        ("ann", "session.ended", "A browser"),
    ]


def test_failures(site: Site) -> None:
    site.anybody().get("/api/instances")
    site.anybody().get("/dashboard", accept="text/html")
    assert trail(site) == [], "who shows nothing has not tried to get in"
    site.forger().get("/api/instances")
    site.anybody().get("/sign-in/" + "x" * 43)
    site.anybody().post("/api/admin/sync", x_sync_secret="guessed")
    assert told(site) == [
        ("", "sign_in.failed", "invalid_credentials: GET /api/instances"),
        ("", "sign_in.failed", "sign_in_link_invalid: GET /sign-in/{token}"),
        ("", "sign_in.failed", "invalid_credentials: POST /api/admin/sync"),
    ]


def test_failures_are_as_many_as_the_limit_admits(tmp_path: Path) -> None:
    site = Site(tmp_path, SIGN_IN_LIMIT="3/minute")
    for _ in range(10):
        site.forger().get("/api/instances")
    assert [entry.what for entry in trail(site)] == ["sign_in.failed"] * 3 + ["sign_in.refused"]
    assert trail(site)[-1].detail == "rate_limited: GET /api/instances"
    site.close()


def test_a_flood_does_not_flood_the_trail(tmp_path: Path) -> None:
    site = Site(tmp_path, SIGN_IN_LIMIT="1/minute", TRUSTED_PROXIES="127.0.0.1")
    forger = site.forger()
    for number in (*range(110), *range(10)):
        for _ in range(2):
            forger.get("/api/instances", x_forwarded_for=f"192.0.2.{number}")
    told_of = [entry.what for entry in trail(site)]
    assert (told_of.count("sign_in.failed"), told_of.count("sign_in.refused")) == (110, 100)
    site.close()


def test_what_an_operator_does(site: Site) -> None:
    site.anybody().post("/api/admin/sync", x_sync_secret=HEADER)
    assert told(site) == [("", "admin.sync", "")]


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_where_it_came_from(tmp_path: Path, address: str) -> None:
    site = Site(tmp_path, TRUSTED_PROXIES="127.0.0.1")
    site.forger().get("/api/instances", x_forwarded_for=address)
    site.forger().get("/api/instances")
    assert [entry.address for entry in trail(site)] == [address, "127.0.0.1"]
    site.close()


def test_nothing_that_opens_anything_is_in_it(site: Site) -> None:
    ann, browser = site.program(), site.browser()
    values = [ann.headers["Authorization"][7:], browser.headers["Cookie"].partition("=")[2], HEADER, "guessed-secret"]
    site.anybody().get("/api/instances?token=guessed-secret", authorization="Bearer cd_guessed-secret")
    site.anybody().get("/sign-in/guessed-secret")
    site.anybody().post("/api/admin/sync", x_sync_secret=HEADER)
    kept = str(trail(site))
    assert len(trail(site)) == 7
    for value in values:
        assert value not in kept


def test_a_token_that_is_made_on_the_account_page_is_its_owners(site: Site) -> None:
    browser = site.browser("ann")
    post(browser, "/dashboard/account/api_token", "name=backup&lifetime=7")
    made = trail(site)[-1]
    assert (made.who, made.what, made.user_id, made.detail) == ("ann", "api_token.made", "ann", "backup")
    post(browser, f"/dashboard/account/api_token/{made.subject}/end")
    ended = trail(site)[-1]
    assert (ended.who, ended.what, ended.subject, ended.detail) == ("ann", "api_token.ended", made.subject, "backup")


def test_people_see_what_was_done_with_their_own(site: Site) -> None:
    bob = site.browser("bob")
    ann = site.browser("ann")
    post(ann, "/dashboard/account/api_token", "name=%3Cb%3Escript&lifetime=7")
    site.forger().get("/api/instances")
    shown = page(ann, "/dashboard/account").words["li"]
    assert "Api token made: <b>script" in shown
    assert "from 127.0.0.1" in shown
    assert "Session made" in shown
    assert "failed" not in shown
    assert "script" not in bob.get("/dashboard/account").text.partition("Lately")[2]
