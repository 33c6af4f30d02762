"""Bad input of every kind gets a 4xx that says what is wrong, and changes nothing, on both databases."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.platforms import GOOD
from tests.web.people import Site, problem

JSON = "application/json"


def good(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def raw(name: str) -> bytes:
    """Return a create in which one name is written as it is."""
    return good(name="@").replace(b"@", name.encode())


# For each body: the status, the code, and part of what the answer says.
BODIES: dict[str, tuple[bytes | None, int, str, str]] = {
    "no body": (None, 400, "body_missing", "Send the fields as a JSON object"),
    "an empty body": (b"", 400, "body_missing", "Send the fields"),
    "broken JSON": (b'{"name": "test"', 400, "malformed_json", "line 1, column 16"),
    "not an object": (b'["name"]', 400, "malformed_json", "not a list"),
    "100,000 [": (b"[" * 60_000, 400, "malformed_json", "nested more than 20 levels"),
    "deep config": (good(config=0).replace(b" 0", b"[" * 30 + b"]" * 30), 400, "malformed_json", "nested more than"),
    "NUL in the name": (raw("a\\u0000b"), 400, "malformed_json", 'The text at "name" holds a NUL'),
    "NUL in the config": (good(config={"a": ["\0"]}), 400, "malformed_json", '"config"."a"[0]'),
    "NUL in a name in the config": (good(config={"a\0": 1}), 400, "malformed_json", "NUL"),
    "a raw NUL": (raw("a\0b"), 400, "malformed_json", "not valid JSON"),
    "a lone surrogate": (raw("\\ud800"), 400, "malformed_json", "half of a surrogate pair"),
    "invalid UTF-8": (b'{"name": "\xff\xfe"}', 400, "malformed_json", "not valid UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf" + good(), 400, "malformed_json", "byte order mark"),
    "NaN": (good(config=0).replace(b" 0", b'{"a": NaN}'), 400, "malformed_json", "NaN is not JSON"),
    "1e999": (good(config=0).replace(b" 0", b'{"a": 1e999}'), 400, "malformed_json", "1e999 is out of range"),
    "5,000 digits": (good(config={"a": 0}).replace(b" 0", b"1" * 5000), 400, "malformed_json", "out of range"),
    "a 23-digit number": (good(config={"a": 10**22}), 400, "malformed_json", "out of range"),
    "a field twice": (b'{"name": "a", "name": "b"}', 400, "malformed_json", '"name" appears more than once'),
    "10 MB": (b" " * 10_000_000, 413, "body_too_large", "64 KiB"),
    "one byte too many": (good().ljust(65_537), 413, "body_too_large", "64 KiB"),
    "an unknown field": (good(colour="red"), 400, "invalid_input", "colour"),
    "a field of the server": (good(containerId="x"), 400, "invalid_input", "containerId"),
    "somebody else as owner": (good(userId="bob"), 400, "invalid_input", "userId"),
    "an own id": (good(id="a" * 16), 400, "invalid_input", "id"),
    "a number as name": (good(name=5), 400, "invalid_input", "name: It must be a text"),
    "null as name": (good(name=None), 400, "invalid_input", "name"),
    "a list as name": (good(name=["x"]), 400, "invalid_input", "name"),
    "an empty name": (good(name=""), 400, "invalid_input", "name"),
    "a name of spaces": (good(name=" \u2003\t "), 400, "invalid_input", "name"),
    "a name of 101 characters": (good(name="x" * 101), 400, "invalid_input", "100"),
    "a line break in the name": (good(name="a\nb"), 400, "invalid_input", "line breaks"),
    "an escape sequence in the name": (good(name="\x1b[31mred"), 400, "invalid_input", "control characters"),
    "an unknown model": (good(model="gpt-4"), 400, "invalid_input", "claude-opus-4.5"),
    "a number as model": (good(model=5.2), 400, "invalid_input", "model"),
    "an object as model": (good(model={}), 400, "invalid_input", "model"),
    "an unknown channel": (good(channel="irc"), 400, "invalid_input", "telegram"),
    "a list as channel": (good(channel=["telegram"]), 400, "invalid_input", "channel"),
    "an unknown blueprint": (good(blueprint="../../etc"), 400, "invalid_input", "blueprint"),
    "a text as config": (good(config="{}"), 400, "invalid_input", "config"),
    "a list as config": (good(config=[]), 400, "invalid_input", "config"),
    "a config of 17 KB": (good(config={"a": "x" * 17_000}), 400, "invalid_input", "config"),
    "a number as key": (good(apiKey=12345), 400, "invalid_input", "apiKey"),
    "an empty key": (good(apiKey=""), 400, "invalid_input", "apiKey"),
    "the mask as key": (good(apiKey="***"), 400, "invalid_input", "apiKey"),
    "a key with a line break": (good(apiKey="a\nb"), 400, "invalid_input", "apiKey"),
    "a key of 5,000 characters": (good(apiKey="x" * 5000), 400, "invalid_input", "4096"),
    "an object as token": (good(botToken={}), 400, "invalid_input", "botToken"),
    "a token that is none": (good(botToken="hello"), 400, "invalid_input", "botToken"),
    "a list as region": (good(region=[]), 400, "invalid_input", "region"),
    "a status at creation": (good(status="running"), 400, "invalid_input", "status"),
    "nothing required": (b"{}", 400, "invalid_input", "channel: It is required."),
    "an odd field name": (good(**{"\u202e<b>": 1}), 400, "invalid_input", "not a field"),
    "proto": (good(__proto__={"a": 1}), 400, "invalid_input", "__proto__"),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_bad_create_changes_nothing(either_site: Site, what: str) -> None:
    body, status, code, said = BODIES[what]
    before = either_site.everything()
    answer = either_site.program().call("POST", "/api/instances", body, content_type=JSON)
    members = problem(answer, status, code)
    assert said in members["detail"]
    assert (code == "invalid_input") == ("errors" in members)
    assert either_site.everything() == before


CHANGES: dict[str, tuple[bytes | None, int, str, str]] = {
    what: row
    for what, row in BODIES.items()
    if row[2] != "invalid_input" or what in ("an unknown field", "an empty name", "a number as name", "an empty key")
} | {
    "an observed status": (b'{"status": "error"}', 400, "invalid_input", "observed, never set"),
    "deleted": (b'{"status": "deleted"}', 400, "invalid_input", "observed, never set"),
    "pending": (b'{"status": "pending"}', 400, "invalid_input", "observed, never set"),
    "creating": (b'{"status": "creating"}', 400, "invalid_input", "observed, never set"),
    "a status that is none": (b'{"status": "restarting"}', 400, "invalid_input", '"running" or "stopped"'),
    "null as status": (b'{"status": null}', 400, "invalid_input", "status"),
    "a list as status": (b'{"status": ["stopped"]}', 400, "invalid_input", "status"),
    "another model": (b'{"model": "gpt-5.2"}', 400, "invalid_input", "model"),
    "another channel": (b'{"channel": "discord"}', 400, "invalid_input", "channel"),
    "another owner": (b'{"userId": "bob"}', 400, "invalid_input", "userId"),
    "a big config, as on create": (
        json.dumps({"config": {"a": "x" * 17_000}}).encode(),
        400,
        "invalid_input",
        "config",
    ),
    "a long name, as on create": (json.dumps({"name": "x" * 101}).encode(), 400, "invalid_input", "100"),
    "one bad field of two": (b'{"name": "new name", "botToken": "hello"}', 400, "invalid_input", "botToken"),
    "a stop with a bad field": (b'{"status": "stopped", "apiKey": ""}', 400, "invalid_input", "apiKey"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_bad_change_changes_nothing(either_site: Site, what: str) -> None:
    body, status, code, said = CHANGES[what]
    ann = either_site.program()
    made = ann.create()
    before = either_site.everything()
    answer = ann.call("PATCH", f"/api/instances/{made['id']}", body, content_type=JSON)
    assert said in problem(answer, status, code)["detail"]
    assert either_site.everything() == before


TYPES = (
    None,
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/vnd.api+json",
    "application/json; charset=latin-1",
    "application/json, text/plain",
    "text/plain; application/json",
    "*/*",
)


@pytest.mark.parametrize("content_type", TYPES)
def test_only_json_is_read(site: Site, content_type: str | None) -> None:
    ann = site.program()
    made = ann.create()
    before = site.everything()
    for method, path in (
        ("POST", "/api/instances"),
        ("PATCH", f"/api/instances/{made['id']}"),
        ("DELETE", f"/api/instances/{made['id']}"),
        ("POST", f"/api/instances/{made['id']}/stop"),
    ):
        problem(ann.call(method, path, good(), content_type=content_type), 415, "unsupported_media_type")
    form = ann.call("POST", "/api/instances", b"name=a&model=gpt-5.2&channel=telegram", content_type=content_type)
    problem(form, 415, "unsupported_media_type")
    assert site.everything() == before


def test_a_compressed_body_is_not_read(site: Site) -> None:
    answer = site.program().call("POST", "/api/instances", good(), content_type=JSON, content_encoding="gzip")
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=UTF-8"])
def test_json_is_json_however_it_is_spelt(site: Site, content_type: str) -> None:
    assert site.program().call("POST", "/api/instances", good(), content_type=content_type).status_int == 201


CALLS_WITHOUT_A_BODY = (("POST", "/start"), ("POST", "/stop"), ("DELETE", ""))


@pytest.mark.parametrize(("method", "end"), CALLS_WITHOUT_A_BODY)
def test_calls_that_take_no_body_refuse_one(site: Site, method: str, end: str) -> None:
    ann = site.program()
    made = ann.create()
    before = site.everything()
    path = f"/api/instances/{made['id']}{end}"
    problem(ann.call(method, path, b'{"force": true}', content_type=JSON), 400, "body_unexpected")
    problem(ann.call(method, path, b"[]", content_type=JSON), 400, "malformed_json")
    problem(ann.call(method, path, b"x" * 70_000, content_type=JSON), 413, "body_too_large")
    problem(ann.call("POST", "/api/admin/sync", b"{}x", content_type=JSON), 401, "not_signed_in")
    assert site.everything() == before


@pytest.mark.parametrize("body", [None, b"", b"{}", b" { } "])
@pytest.mark.parametrize(("method", "end"), CALLS_WITHOUT_A_BODY)
def test_calls_that_take_no_body_do_not_mind_an_empty_one(
    site: Site, method: str, end: str, body: bytes | None
) -> None:
    ann = site.program()
    made = ann.create()
    content_type = JSON if body else None
    answer = ann.call(method, f"/api/instances/{made['id']}{end}", body, content_type=content_type)
    assert answer.status_int == 200, answer


QUERIES = {
    "/api/instances?limit=0": "limit",
    "/api/instances?limit=101": "limit",
    "/api/instances?limit=-1": "limit",
    "/api/instances?limit=": "limit",
    "/api/instances?limit=1e2": "limit",
    "/api/instances?limit=+5": "limit",
    "/api/instances?limit=%D9%A3": "limit",
    "/api/instances?limit=5&limit=6": "limit",
    "/api/instances?limit=99999999999999999999999999": "limit",
    "/api/instances?cursor=nonsense": "cursor",
    "/api/instances?cursor=%00": "cursor",
    "/api/instances?cursor=": "cursor",
    "/api/instances?cursor=%FF%ED%A0%80": "cursor",
    "/api/instances?cursor=" + "a" * 3000: "cursor",
    "/api/instances?cursor=MTA6YWFhYWFhYWFhYWFhYWFhYQ==": "cursor",
    "/api/instances?page=2": "page",
    "/api/instances?Limit=5": "Limit",
    "/api/instances?%00=1": "\0",
    "/api/instances/{id}?verbose=1": "verbose",
    "/api/instances/{id}/logs?tail=0": "tail",
    "/api/instances/{id}/logs?tail=10001": "tail",
    "/api/instances/{id}/logs?tail=-1": "tail",
    "/api/instances/{id}/logs?tail=5;%20rm": "tail",
    "/api/instances/{id}/logs?tail=all": "tail",
    "/api/instances/{id}/logs?tail=1000000000000000000": "tail",
    "/api/instances/{id}/logs?tail=": "tail",
    "/api/instances/{id}/logs?tail=1.0": "tail",
    "/api/instances/{id}/logs?tail=%EF%BC%91": "tail",
    "/api/instances/{id}/logs?since=1": "since",
    "/api/channels?a=1": "a",
    "/api/health?a=1": "a",
}


def test_bad_queries_are_refused_by_name(either_site: Site) -> None:
    ann = either_site.program()
    made = ann.create()
    for path, name in QUERIES.items():
        said = problem(ann.get(path.replace("{id}", made["id"])), 400, "invalid_input")
        assert list(said["errors"]) == [name], path


def test_changing_calls_take_no_query(site: Site) -> None:
    ann = site.program()
    made = ann.create()
    before = site.everything()
    one = f"/api/instances/{made['id']}"
    for method, path in (("POST", "/api/instances"), ("PATCH", one), ("DELETE", one), ("POST", f"{one}/stop")):
        fields = GOOD if method == "POST" and path == "/api/instances" else None
        problem(ann.send(method, f"{path}?force=1", fields), 400, "invalid_input")
    assert site.everything() == before


class Chunks:
    """A body of unknown length that counts how much of it was read."""

    def __init__(self, total: int) -> None:
        self.left = total
        self.read_so_far = 0

    def read(self, size: int) -> bytes:
        data = b" " * min(size, self.left)
        self.left -= len(data)
        self.read_so_far += len(data)
        return data


class TestLengths:
    """What arrives is compared with what was announced; webtest itself always announces the truth."""

    def call(self, site: Site, **environ: Any) -> tuple[int, dict[str, Any]]:
        answers: list[str] = []

        def start(status: str, headers: object, error: object = None, /) -> Callable[[bytes], object]:
            answers.append(status)
            return lambda _: None

        full = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/api/instances",
            "CONTENT_TYPE": JSON,
            "HTTP_AUTHORIZATION": site.program().headers["Authorization"],
            "HTTP_HOST": "localhost",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            **environ,
        }
        body = b"".join(site.app(full, start))
        return int(answers[0][:3]), json.loads(body)

    def test_an_announced_length_is_looked_at_before_anything_is_read(self, site: Site) -> None:
        body = Chunks(10**9)
        status, said = self.call(site, CONTENT_LENGTH=str(10**9), **{"wsgi.input": body})
        assert (status, said["code"], body.read_so_far) == (413, "body_too_large", 0)

    def test_a_chunked_body_is_read_no_further_than_the_limit(self, site: Site) -> None:
        body = Chunks(10**9)
        status, said = self.call(site, **{"wsgi.input": body, "wsgi.input_terminated": True})
        assert (status, said["code"], body.read_so_far) == (413, "body_too_large", 65_537)

    def test_a_body_that_is_shorter_than_announced(self, site: Site) -> None:
        status, said = self.call(site, CONTENT_LENGTH="500", **{"wsgi.input": Chunks(10)})
        assert (status, said["code"]) == (400, "body_incomplete")
        assert "500 bytes, but only 10 arrived" in said["detail"]

    def test_a_connection_that_breaks(self, site: Site) -> None:
        class Broken:
            def read(self, size: int) -> bytes:
                raise ConnectionResetError

        status, said = self.call(site, CONTENT_LENGTH="500", **{"wsgi.input": Broken()})
        assert (status, said["code"]) == (400, "body_incomplete")

    @pytest.mark.parametrize("length", ["-1", "ten", "1.5"])
    def test_a_length_that_is_no_number(self, site: Site, length: str) -> None:
        status, said = self.call(site, CONTENT_LENGTH=length, **{"wsgi.input": Chunks(10)})
        assert (status, said["code"]) == (400, "bad_request")
