"""The header Idempotency-Key on the API."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clawdeploy.core.idempotency import HEADER
from tests.platforms import GOOD
from tests.web.people import Caller, Site

KEY = {"idempotency_key": "4f1c9d0e-6a52-4a1b-8f7e-2f4f3c1f9a10"}


def create(caller: Caller, *, key: dict[str, str] = KEY, **fields: Any) -> Any:
    return caller.post("/api/instances", {**GOOD, **fields}, **key)


def test_a_create_that_is_sent_again_is_answered_alike_and_makes_nothing(site: Site) -> None:
    ann = site.program()
    first = create(ann, apiKey="sk-1")
    again = create(ann, apiKey="sk-1")
    assert (again.status_int, again.body) == (first.status_int, first.body) == (201, first.body)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.content_type == first.content_type
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(site.instances()) == 1
    assert "sk-1" not in again.text


def test_the_answer_stays_when_the_bot_is_gone(site: Site) -> None:
    ann = site.program()
    first = create(ann)
    ann.send("DELETE", first.headers["Location"])
    assert create(ann).body == first.body
    assert site.instances() == []


def test_another_body_is_refused(site: Site) -> None:
    ann = site.program()
    create(ann)
    other = create(ann, name="other")
    assert (other.status_int, other.json["code"]) == (422, "idempotency_key_reused")
    assert len(site.instances()) == 1


def test_a_refusal_leaves_the_key_to_the_corrected_request(site: Site) -> None:
    ann = site.program()
    assert create(ann, name="").status_int == 400
    assert create(ann).status_int == 201


def test_two_owners_may_use_one_key_and_without_a_key_each_request_counts(site: Site) -> None:
    assert create(site.program("ann")).status_int == create(site.program("bob")).status_int == 201
    assert len(site.instances("bob")) == 1
    ann = site.program()
    create(ann, key={})
    create(ann, key={})
    assert len(site.instances()) == 3


@pytest.mark.parametrize("action", ["stop", "start", "restart"])
def test_each_post_takes_a_key(site: Site, action: str) -> None:
    ann = site.program()
    address = f"{create(ann).headers['Location']}/{action}"
    first = ann.post(address, **KEY)
    again = ann.post(address, **KEY)
    assert (first.status_int, again.body) == (200, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"


def test_many_at_once_make_one(site: Site) -> None:
    ann = site.program()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: create(ann), range(12)))
    assert {answer.status_int for answer in answers} <= {201, 409}
    refused = [answer for answer in answers if answer.status_int == 409]
    assert {(answer.json["code"], answer.headers["Retry-After"]) for answer in refused} <= {
        ("idempotency_in_flight", "2")
    }
    assert len(site.instances()) == 1
    assert create(ann).headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9"])
def test_a_malformed_key_is_refused(site: Site, key: str) -> None:
    answer = create(site.program(), key={"idempotency_key": key})
    assert (answer.status_int, list(answer.json["errors"])) == (400, [HEADER])
    assert site.instances() == []


def test_a_bad_body_is_refused_as_without_a_key(site: Site) -> None:
    answer = site.program().call("POST", "/api/instances", b"{", content_type="application/json", **KEY)
    assert (answer.status_int, answer.json["code"]) == (400, "malformed_json")


def test_who_is_not_signed_in_takes_no_key(site: Site) -> None:
    assert create(site.anybody()).status_int == 401
    assert create(site.program()).status_int == 201
