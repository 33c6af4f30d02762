"""Requests that no honest client sends, byte by byte to a real server: refused, and never taken for two."""

import re
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from clawdeploy.web.middleware import SECURITY_HEADERS
from tests.web.serving import Served

pytestmark = pytest.mark.system

GOOD = b'{"name": "test", "model": "gpt-5.2", "channel": "telegram"}'
HEALTH = b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /api/models HTTP/1.1\r\nHost: x\r\nX-Smuggled: yes\r\n\r\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server that all attacks of this file share: none of them may trouble it."""
    server = Served(tmp_path_factory.mktemp("raw"), WORKERS="1", RATE_LIMIT="0", SIGN_IN_LIMIT="0")
    yield server
    server.close()


def statuses(served: Served, request: bytes) -> list[int]:
    """Send bytes, close our side, and return the status of every answer that comes back.

    ``BEARER`` stands for a good token, so that the server has a reason to read what follows.
    """
    request = request.replace(b"BEARER", served.bearer.encode())
    with served.connect() as opened:
        seen = b""
        # The server may have closed its side already, for what came first was enough.
        with suppress(OSError):
            opened.sendall(request)
            opened.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := opened.recv(65536):
                seen += more
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", seen)]


def post(*lines: bytes, body: bytes = b"") -> bytes:
    head = [b"POST /api/instances HTTP/1.1", b"Host: x", b"Authorization: BEARER", b"Content-Type: application/json"]
    head += lines
    return b"\r\n".join([*head, b"", b""]) + body


def get(target: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *lines, b"", b""])


CHUNKED = b"Transfer-Encoding: chunked"
BODY = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)

AMBIGUOUS: dict[str, bytes] = {
    "two lengths": post(b"Content-Length: 59", b"Content-Length: 0", body=GOOD + SMUGGLED),
    "the same length twice": post(b"Content-Length: 59", b"Content-Length: 59", body=GOOD),
    "two lengths in one header": post(b"Content-Length: 59, 59", body=GOOD),
    "a length with a sign": post(b"Content-Length: +59", body=GOOD),
    "a length in another base": post(b"Content-Length: 0x3b", body=GOOD),
    "a length with an underscore": post(b"Content-Length: 5_9", body=GOOD),
    "a negative length": post(b"Content-Length: -1", body=GOOD),
    "a length beyond any number": post(b"Content-Length: " + b"9" * 5000, body=GOOD),
    "a length in other digits": post("Content-Length: ٥٩".encode(), body=GOOD),
    "an empty length": post(b"Content-Length:", body=GOOD),
    "length and chunks": post(b"Content-Length: 4", CHUNKED, body=BODY + SMUGGLED),
    "chunks and length": post(CHUNKED, b"Content-Length: 4", body=BODY + SMUGGLED),
    "chunks twice": post(CHUNKED, CHUNKED, body=BODY),
    "chunks in chunks": post(b"Transfer-Encoding: chunked, chunked", body=BODY),
    "chunks and then something": post(b"Transfer-Encoding: chunked, identity", body=BODY),
    "chunks hidden by a tab": post(b"Transfer-Encoding:\tchunked\x0b", body=BODY),
    "chunks of another name": post(b"Transfer-Encoding: xchunked", body=BODY),
    "a space before the colon": post(b"Content-Length : 59", body=GOOD),
    "chunks with a space before the colon": post(b"Transfer-Encoding : chunked", body=BODY),
    "a header on two lines": get(b"/", b"X: a", b" b"),
    "a header without a name": get(b"/", b": x"),
    "a header without a colon": get(b"/", b"x"),
    "NUL in a header": get(b"/", b"X: a\0b"),
    "NUL in the name of a header": get(b"/", b"X\0: a"),
    "NUL in the address": get(b"/\0"),
    "a return in a header": get(b"/", b"X: a\rb"),
    "a bare line feed": b"GET / HTTP/1.1\nHost: x\n\n",
    "a method in small letters": b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no address": b"GET HTTP/1.1\r\nHost: x\r\n\r\n",
    "a version that there is not": b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "an endless method": b"A" * 9000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
    "61 headers": get(b"/", *[b"X: y"] * 61),
    "10,000 headers": get(b"/", *[b"X: y"] * 10_000),
    "a long header": get(b"/", b"X: " + b"y" * 17_000),
    "headers without end": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000,
    "a long address": get(b"/" + b"a" * 9000),
    "a size of a chunk that is none": post(CHUNKED, body=b"-1\r\n"),
    "a size of a chunk beyond any number": post(CHUNKED, body=b"f" * 5000 + b"\r\n"),
    "a chunk without its end": post(CHUNKED, body=b"1\r\n{1\r\n}0\r\n\r\n"),
    "an endless extension of a chunk": post(CHUNKED, body=b"1;" + b"x" * 100_000),
    "endless trailers": post(CHUNKED, body=b"0\r\n" + b"X: y\r\n" * 20_000),
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a proxy's line": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + HEALTH,
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_what_two_servers_could_read_differently_is_refused(shared: Served, what: str) -> None:
    got = statuses(shared, AMBIGUOUS[what])
    assert len(got) <= 1, "what stood behind it was taken for a request of its own"
    assert all(400 <= status < 500 for status in got)
    assert got or what in DELUGES
    assert shared.call("GET", "/api/instances").body == b'{"instances": []}'


def test_such_an_answer_is_as_hardened_as_all_others(shared: Served) -> None:
    answer = shared.answer(get(b"/api/health", b"X: a\0b"))
    assert answer.problem()["code"] == "malformed_request"
    others = shared.call("GET", "/api/nothing")
    for name in SECURITY_HEADERS:
        assert answer.headers[name] == others.headers[name], name


def test_it_too_keeps_browsers_to_https(tmp_path: Path) -> None:
    with closing(Served(tmp_path, WORKERS="1", PUBLIC_ORIGIN="https://bots.example.org")) as served:
        answer = served.answer(get(b"/api/health", b"X: a\0b"))
        assert answer.problem()["code"] == "malformed_request"
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


DELUGES = ("10,000 headers", "headers without end", "an endless extension of a chunk", "endless trailers")
"""What goes on after the answer, which may be lost in it."""


@pytest.mark.parametrize("what", [name for name, sent in AMBIGUOUS.items() if CHUNKED in sent])
def test_a_refusal_that_comes_before_a_malformed_body_is_the_only_answer(shared: Served, what: str) -> None:
    """A second one would be taken, by a proxy that shares its connections, for the answer to another request."""
    got = statuses(shared, AMBIGUOUS[what].replace(b"BEARER", b"Bearer cd_nothing"))
    assert len(got) <= 1
    assert set(got) <= {400, 401}


ODD: dict[str, tuple[bytes, int]] = {
    "a whole address": (b"GET http://evil.example/api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    "a whole address of no host": (b"GET http:///api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    "a whole address of no place": (b"GET http://evil.example HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    "all addresses": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    "an address of another server": (get(b"//evil.example/api/health"), 404),
    "an escaped slash": (get(b"/api%2fhealth"), 404),
    "an escaped slash in an id": (get(b"/api/instances/aaaaaaaaaaaaaaaa%2Flogs"), 404),
    "an escaped backslash": (get(b"/%5Cevil.example"), 404),
    "an escaped NUL": (get(b"/api/instances/%00"), 404),
    "half an escape": (get(b"/api/instances/%"), 401),
    "an escape that is none": (get(b"/api/instances/%zz"), 401),
    "bytes that are no text": (get(b"/\xff\xfe"), 400),
    "escapes that are no text": (get(b"/%ff%fe"), 404),
    "a step up": (get(b"/api/../api/health"), 404),
    "an escaped step up": (get(b"/static/%2e%2e/app.py"), 404),
    "escaped letters": (get(b"/api/%68ealth"), 200),
    "an escaped slash in a query": (get(b"/api/health?a=%2f"), 400),
    "a fragment": (get(b"/api/health#x"), 404),
    "a fragment in a query": (get(b"/api/health?#x"), 200),
    "two slashes": (get(b"//api/health"), 404),
    "three slashes": (get(b"///api/health"), 404),
    "two slashes in a whole address": (get(b"http://x//api/health"), 404),
    "two slashes and a key": (
        post(b"Connection: close", b"Idempotency-Key: a", b"Content-Length: 59", body=GOOD).replace(b"/api", b"//api"),
        404,
    ),
    "an old version": (b"GET /api/health HTTP/1.0\r\n\r\n", 200),
    "two hosts": (get(b"/api/health", b"Host: evil.example"), 400),
    "no host": (b"GET /api/health HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "a host with a path": (b"GET /api/health HTTP/1.1\r\nHost: x/y\r\nConnection: close\r\n\r\n", 400),
    "a host with a user": (b"GET /api/health HTTP/1.1\r\nHost: a@b\r\nConnection: close\r\n\r\n", 400),
    "a host that is markup": (b"GET /api/health HTTP/1.1\r\nHost: <b>\r\nConnection: close\r\n\r\n", 400),
    "a host of many": (b"GET /api/health HTTP/1.1\r\nHost: a, b\r\nConnection: close\r\n\r\n", 400),
    "an IPv6 address": (b"GET /api/health HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n", 200),
    "an upgrade": (get(b"/api/health", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), 200),
    "a web socket": (get(b"/", b"Upgrade: websocket", b"Sec-WebSocket-Key: x", b"Sec-WebSocket-Version: 13"), 200),
    "another address in a header": (get(b"/api/health", b"X-Original-URL: /api/models", b"X-Rewrite-URL: /x"), 200),
    "another method in a header": (get(b"/api/health", b"X-HTTP-Method-Override: DELETE"), 200),
    "underscores for hyphens": (get(b"/api/health", b"Content_Length: 4", b"Transfer_Encoding: chunked"), 200),
    "60 headers": (get(b"/api/health", *[b"X: y"] * 58), 200),
    "100 cookies": (get(b"/api/health", b"Cookie: " + b"; ".join(b"a%d=b" % one for one in range(100))), 200),
    "1,000 parameters": (get(b"/?" + b"&".join(b"a=b" for _ in range(1000))), 200),
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_has_one_meaning(shared: Served, what: str) -> None:
    request, status = ODD[what]
    assert statuses(shared, request) == [status]


def test_no_answer_repeats_the_host_that_a_caller_names(shared: Served) -> None:
    """Links are made from what is configured, so that nobody can poison a cache or a mail with a Host header."""
    evil = b"evil.example"
    forged = [b"X-Forwarded-Host: " + evil, b"Forwarded: host=" + evil, b"X-Forwarded-Proto: https",
              b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Port: 444", b"X-Forwarded-Prefix: /" + evil]  # fmt: skip
    for path in (b"/", b"/robots.txt", b"/sitemap.xml", b"/dashboard", b"/nothing", b"/api/openapi.json", b"/static"):
        request = get(path, b"Accept: text/html", *forged).replace(b"Host: x", b"Host: " + evil)
        with shared.connect(request) as opened:
            seen = b""
            while more := opened.recv(65536):
                seen += more
        assert seen.startswith(b"HTTP/1.1 ")
        assert evil not in seen, path
        assert b":444" not in seen


def test_none_of_it_was_a_defect(shared: Served) -> None:
    """Stands last: what all the others made the server say."""
    said = shared.log.read_text()
    assert "Traceback" not in said
    assert " ERROR " not in said
    assert max(map(len, said.splitlines())) < 1000
    assert "evil" not in said
