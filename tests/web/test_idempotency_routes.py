"""The header Idempotency-Key on every kind of route, with every kind of body, on both databases."""

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import falcon
import pytest

from clawdeploy.core.contracts import Route
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.idempotency import Once
from clawdeploy.core.platform import Platform
from tests.platforms import GOOD
from tests.web.people import Site, problem
from tests.web.test_bad_input import BODIES

JSON = "application/json"
KEY = {"idempotency_key": "k1"}
# Nothing that a database could make short enough for an index by packing it.
LONG = random.Random(1).randbytes(4000).hex()
CRABS = "%F0%9F%A6%80" + LONG


class Reads:
    """Reads its body in one of the ways that resources have, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def on_post(self, req: falcon.Request, resp: falcon.Response, how: str) -> None:
        self.asked += 1
        if how == "media":
            resp.media = {"got": req.get_media()}
        elif how == "bounded":
            resp.content_type, resp.data = "application/octet-stream", req.bounded_stream.read()
        elif how == "streamed":
            resp.stream = io.BytesIO(req.stream.read(req.content_length or 0))
        else:
            resp.content_type, resp.text = "text/csv", req.stream.read(req.content_length or 0).decode()


class Plugin:
    """Offers it."""

    def __init__(self) -> None:
        self.reads = Reads()

    @hookimpl
    def register_routes(self, platform: Platform) -> list[Route]:
        return [Route("/api/reads/{how}", self.reads)]


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
def site(tmp_path: Path, migrated_url: str, plugin: Plugin) -> Iterator[Site]:
    site = Site(tmp_path, plugins={"reads": plugin}, DATABASE_URL=migrated_url)
    yield site
    site.close()


def rows(site: Site) -> int:
    database = site.platform.instances._store.database
    with database.reading():
        (count,) = database.peewee.execute_sql("SELECT count(*) FROM idempotency").fetchone()
    return int(count)


@pytest.mark.parametrize(
    ("how", "body", "kind"),
    [
        ("media", b'{"a": [1]}', JSON),
        ("bounded", b"\x00\xff{", "application/octet-stream"),
        ("text", b"a;b\n1;2\n", "text/csv"),
    ],
)
def test_a_plugin_gets_its_body_and_is_asked_once(site: Site, plugin: Plugin, how: str, body: bytes, kind: str) -> None:
    ann = site.program()
    without = ann.call("POST", f"/api/reads/{how}", body, content_type=kind)
    first = ann.call("POST", f"/api/reads/{how}", body, content_type=kind, **KEY)
    assert (first.status_int, first.body, first.content_type) == (200, without.body, without.content_type)
    again = ann.call("POST", f"/api/reads/{how}", body, content_type=kind, **KEY)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status_int, again.content_type) == (200, first.content_type)
    assert again.body == (b"" if b"\0" in body else first.body), "what is no text cannot be shown again"
    assert plugin.reads.asked == 2
    problem(ann.call("POST", f"/api/reads/{how}", body[:-1], content_type=kind, **KEY), 422, "idempotency_key_reused")
    other = ann.call("POST", f"/api/reads/{how}", body, content_type="text/plain", **KEY)
    problem(other, 422, "idempotency_key_reused")
    problem(ann.call("POST", f"/api/reads/{how}?a=1", body, content_type=kind, **KEY), 422, "idempotency_key_reused")
    assert plugin.reads.asked == 2


def test_an_answer_that_is_streamed_reaches_the_caller_and_is_not_shown_again(site: Site, plugin: Plugin) -> None:
    ann = site.program()
    answers = [ann.call("POST", "/api/reads/streamed", b"abc", content_type="text/csv", **KEY) for _ in range(2)]
    assert [(one.status_int, one.body) for one in answers] == [(200, b"abc"), (200, b"")]
    assert plugin.reads.asked == 1


def test_a_bad_body_is_refused_as_without_a_key(site: Site) -> None:
    ann = site.program()
    for what, (body, status, code, _) in BODIES.items():
        without = problem(ann.call("POST", "/api/instances", body, content_type=JSON), status, code)
        with_key = problem(ann.call("POST", "/api/instances", body, content_type=JSON, **KEY), status, code)
        assert {**with_key, "requestId": ""} == {**without, "requestId": ""}, what
        assert rows(site) == 0, what


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/nothing", 404),
        ("/api/instances/a%00b/start", 404),
        ("/api/instances/%ff%fe/start", 404),
        (f"/api/instances/{LONG}/start", 404),
        (f"/api/instances/{CRABS}/stop", 404),
        ("/api/instances/abcdefghijklmnop/restart", 404),
        ("/api/channels", 405),
    ],
)
def test_an_odd_address_is_answered_as_without_a_key_and_leaves_nothing(site: Site, path: str, status: int) -> None:
    ann = site.program()
    without, with_key = ann.post(path), ann.post(path, **KEY)
    assert (with_key.status_int, with_key.json["code"]) == (without.status_int, without.json["code"])
    assert with_key.status_int == status
    assert rows(site) == 0


@pytest.mark.parametrize("how", ["a%00b", "%ff%fe", CRABS, LONG])
def test_a_plugins_odd_address_takes_a_key(site: Site, plugin: Plugin, how: str) -> None:
    ann = site.program()
    answers = [ann.call("POST", f"/api/reads/{how}", b"a", content_type="text/csv", **KEY) for _ in range(2)]
    assert [answer.body for answer in answers] == [b"a", b"a"]
    assert plugin.reads.asked == 1


def test_what_was_made_and_deleted_is_not_made_again(site: Site) -> None:
    """The database failed before the first answer could be kept: the request leads to the bot, which is gone."""
    ann = site.program()
    keys = site.platform.idempotency
    once = keys.begin("ann", "POST /api/instances", "k1", GOOD)
    assert isinstance(once, Once)
    made = site.platform.instances.create("ann", GOOD, once=once)
    keys.release(once)
    body = json.dumps(GOOD).encode()
    ann.send("DELETE", f"/api/instances/{made.id}")
    problem(ann.call("POST", "/api/instances", body, content_type=JSON, **KEY), 404, "instance_not_found")
    assert site.instances() == []
