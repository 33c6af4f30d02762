"""The account page: tokens are shown once, sessions can be ended, and nothing of another's is seen."""

import re

import pytest

from tests.web.people import Caller, Site
from tests.web.reading import Page, page

OWN = {"origin": "http://localhost", "host": "localhost", "content_type": "application/x-www-form-urlencoded"}


def post(caller: Caller, path: str, body: str = "") -> "tuple[int, str, str]":
    answer = caller.call("POST", path, body.encode(), **OWN)
    return answer.status_int, answer.headers.get("Location", ""), answer.text


def made(text: str) -> str:
    found = re.search('<code id="made">(cd_[A-Za-z0-9_-]{43})</code>', text)
    assert found
    return found[1]


def test_a_token_is_shown_once_and_works_until_it_is_revoked(site: Site) -> None:
    ann = site.browser()
    assert "You have no API tokens." in page(ann, "/dashboard/account").words["p"]
    status, _, text = post(ann, "/dashboard/account/api_token", "name=my+script&lifetime=30")
    assert status == 200
    value = made(text)
    Page(text).check()
    program = Caller(site, {"Authorization": f"Bearer {value}"})
    assert program.get("/api/instances").status_int == 200
    again = ann.get("/dashboard/account").text
    assert value not in again
    assert "my script" in again
    (ending,) = re.findall('action="(/dashboard/account/api_token/[0-9a-f]+/end)"', again)
    assert post(ann, ending)[:2] == (303, "/dashboard/account?ended=api_token")
    assert program.get("/api/instances").status_int == 401
    assert "The token was revoked" in page(ann, "/dashboard/account?ended=api_token").words["p"]
    assert post(ann, ending)[0] == 404


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(site: Site) -> None:
    ann = site.browser()
    status, _, text = post(ann, "/dashboard/account/api_token", "name=%3Cb%3E%0A&lifetime=1000")
    assert status == 400
    seen = Page(text).check()
    wrong = {str(field["id"]) for tag in ("input", "select") for field in seen.all(tag) if "aria-invalid" in field}
    assert wrong == {"lifetime-api_token"}
    assert {"value": "<b>\n"}.items() <= next(one for one in seen.all("input") if one.get("name") == "name").items()
    assert post(ann, "/dashboard/account/api_token")[0] == 400


def test_a_session_names_its_browser_and_can_be_ended_from_another(site: Site) -> None:
    here, there = site.browser(), site.browser()
    text = here.get("/dashboard/account").text
    assert text.count("A browser") >= 2
    assert text.count("This browser") == 1
    page(here, "/dashboard/account")
    endings = re.findall('action="(/dashboard/account/session/[0-9a-f]+/end)"', text)
    own = [
        ending for ending in endings if ending.split("/")[4] in text.partition("This browser")[0].rpartition("<li")[2]
    ]
    (other,) = set(endings) - set(own)
    assert post(here, other)[:2] == (303, "/dashboard/account?ended=session")
    assert there.get("/dashboard").status_int == 303
    assert post(here, own[0])[:2] == (303, "/")
    assert here.get("/dashboard").status_int == 303


def test_somebody_signs_out_everywhere(site: Site) -> None:
    here, there, bob = site.browser(), site.browser(), site.browser("bob")
    program = site.program()
    assert "Sign out everywhere" in page(here, "/dashboard/account").words["button"]
    assert post(here, "/dashboard/account/session/end-all")[:2] == (303, "/")
    assert [one.get("/dashboard").status_int for one in (here, there, bob)] == [303, 303, 200]
    assert program.get("/api/instances").status_int == 200
    noted = [(entry.who, entry.what, entry.user_id) for entry in site.platform.audit.newest(2)]
    assert noted == [("ann", "session.ended", "ann")] * 2
    assert bob.call("POST", "/dashboard/account/session/end-all", b"", origin="https://evil.example").status_int == 403
    assert bob.get("/dashboard").status_int == 200


def test_only_what_has_the_button_is_ended_as_a_whole(site: Site) -> None:
    ann = site.browser()
    post(ann, "/dashboard/account/api_token", "name=x&lifetime=never")
    assert post(ann, "/dashboard/account/api_token/end-all")[0] == 404
    assert post(ann, "/dashboard/account/nonsense/end-all")[0] == 404
    assert post(site.program(), "/dashboard/account/session/end-all")[0] == 403
    assert "No expiry" in page(ann, "/dashboard/account").words["span"]


def test_nobody_ends_anothers(site: Site) -> None:
    ann, bob = site.browser("ann"), site.browser("bob")
    text = bob.get("/dashboard/account").text
    (ending,) = re.findall('action="(/dashboard/account/session/[0-9a-f]+/end)"', text)
    assert post(ann, ending)[0] == 404
    assert bob.get("/dashboard").status_int == 200
    assert "bob" not in ann.get("/dashboard/account").text


def test_a_program_may_look_and_not_touch(site: Site) -> None:
    ann = site.program()
    seen = page(ann, "/dashboard/account")
    assert seen.all("form") == []
    assert post(ann, "/dashboard/account/api_token", "name=more&lifetime=never")[0] == 403


def test_opening_the_address_of_a_sent_form_again_leads_back(site: Site) -> None:
    ann = site.browser()
    answer = ann.get("/dashboard/account/api_token")
    assert (answer.status_int, answer.headers["Location"]) == (303, "/dashboard/account")
    assert ann.get("/dashboard/account/nonsense").status_int == 404


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_another_site_makes_no_token(site: Site, origin: str) -> None:
    ann = site.browser()
    sent = {**OWN, "origin": origin}
    assert ann.call("POST", "/dashboard/account/api_token", b"name=x&lifetime=never", **sent).status_int == 403
    assert "You have no API tokens." in page(ann, "/dashboard/account").words["p"]
