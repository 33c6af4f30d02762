"""Reading forms: what a form of ours sends is understood, and everything else is refused and changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestRequest

from clawdeploy.core.errors import ClawDeployError, InvalidInput
from clawdeploy.web.pages.forms import FORM_TYPE, MOST_FIELDS, read_form
from clawdeploy.web.refusals import BodyTooLarge, MalformedForm, UnsupportedMediaType
from clawdeploy.web.request import Request
from tests.web.people import Caller, Site

OWN = {"origin": "http://localhost", "host": "localhost", "content_type": FORM_TYPE, "accept": "application/json"}


def read(body: bytes, known: tuple[str, ...] = ("name", "model"), **headers: str) -> dict[str, str]:
    sent = {"Content-Type": FORM_TYPE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = TestRequest.blank("/", method="POST", headers=sent)
    request.body = body
    return read_form(Request(request.environ), known)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"name=bot", {"name": "bot"}),
        (b"name=", {"name": ""}),
        (b"name", {"name": ""}),
        (b"name=a+b%2Bc%26d%3De", {"name": "a b+c&d=e"}),
        (b"name=%C3%A9%F0%9F%A4%96&model=x", {"name": "é🤖", "model": "x"}),
        (b"name=%0D%0A", {"name": "\r\n"}),
        (b"na%6De=bot", {"name": "bot"}),
    ],
)
def test_what_browsers_send(body: bytes, fields: dict[str, str]) -> None:
    assert read(body) == fields
    assert read(body, content_type="application/x-www-form-urlencoded; charset=UTF-8") == fields


@pytest.mark.parametrize(
    "body", [b"other=1", b"name=a&other=1", b"Name=a", b"name%20=a", b"=a", b"name.x=1", b"\x7f=1"]
)
def test_a_field_that_the_form_does_not_have(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="not valid") as refused:
        read(body)
    assert list(refused.value.errors.values()) == [["The form has no such field."]]


@pytest.mark.parametrize("body", [b"name=a&name=b", b"name=a&name=a", b"name&name", b"name=a&na%6De=a"])
def test_a_field_that_comes_twice(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(body)
    assert refused.value.errors == {"name": ["It was sent twice."]}


@pytest.mark.parametrize(
    "body",
    [
        b"name=%00",
        b"name=a\x00b",
        b"%00=1",
        b"name=%FF",
        b"name=%C3",
        b"name=%ED%A0%80",
        b"%FF=1",
        b"name=\xc3\xa9",
        b"name=\xff",
        "name=bot".encode("utf-16"),
        b"&".join(b"name=%d" % number for number in range(MOST_FIELDS + 1)),
    ],
)
def test_what_cannot_be_read(body: bytes) -> None:
    with pytest.raises(MalformedForm):
        read(body)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "x" * 9999])
def test_another_type(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read(b"name=bot", content_type=kind)


def test_a_compressed_body() -> None:
    with pytest.raises(UnsupportedMediaType):
        read(b"name=bot", content_encoding="gzip")


@pytest.mark.parametrize("size", [64 * 1024 + 1, 10 * 1024 * 1024])
def test_a_large_body(size: int) -> None:
    with pytest.raises(BodyTooLarge):
        read(b"name=" + b"a" * size)


@given(st.binary(max_size=200))
def test_no_bytes_are_a_defect(body: bytes) -> None:
    try:
        fields = read(body)
    except ClawDeployError:
        return
    assert set(fields) <= {"name", "model"}


FORMS = ("/dashboard/new", "/dashboard/new/check", "/dashboard/account/api_token")


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"other=1", {}, 400),
        (b"name=a&name=a", {}, 400),
        (b"name=%00", {}, 400),
        (b"name=\xff", {}, 400),
        (b"name=" + b"a" * 10 * 1024 * 1024, {}, 413),
        (b'{"name": "bot"}', {"content_type": "application/json"}, 415),
        (b"name=a", {"content_type": "text/plain"}, 415),
        (b"name=a", {"origin": "https://evil.example"}, 403),
        (b"name=a", {"sec_fetch_site": "cross-site"}, 403),
        (b"name=a", {"origin": None}, 403),
    ],
)  # fmt: skip
def test_a_form_that_is_refused_changes_nothing(
    site: Site, path: str, body: bytes, headers: dict[str, str | None], status: int
) -> None:
    ann: Caller = site.browser()
    before = site.everything()
    answer = ann.call("POST", path, body, **{**OWN, **headers})
    assert answer.status_int == status
    assert site.everything() == before
    assert site.platform.credentials.list("api_token") == []
