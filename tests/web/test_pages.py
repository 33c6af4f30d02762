"""The pages: whole, safe, usable without a mouse, and honest."""

from importlib.resources import files

import pytest

from clawdeploy.web.templating import STATIC, Templates
from tests.web.people import Site
from tests.web.reading import page

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</h2></li><h1>x",
    "${7*7} <%block name='title'/> &amp; &lt;b&gt;",
    "\u202egnp.exe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_shown_as_they_are(site: Site, text: str) -> None:
    """Whoever chooses a name, of a bot or of a user, chooses text and never markup."""
    user = text.strip()
    if text.isprintable():
        ann = site.program()
        bot = ann.create(name=text)["id"]
        for path in ("/dashboard", f"/dashboard/instances/{bot}", f"/dashboard/instances/{bot}/progress"):
            if ann.get(path).status_int == 200:
                assert text in page(ann, path).words["bdi"]
        assert text in page(ann, f"/dashboard/instances/{bot}").words["title"]
        assert user in page(site.browser(user), "/dashboard").words["bdi"]
        assert user in page(site.browser(user), "/").words["bdi"]
    page(site.anybody(), f"/nothing/{text.replace('%', '%25').replace('?', '%3F')}".replace("\u202e", "%E2%80%AE"), 404)


def test_signing_in_and_out(site: Site) -> None:
    ann = site.browser()
    seen = page(ann, "/dashboard")
    assert seen.all("form") == [{"method": "post", "action": "/sign-out"}]
    out = ann.post("/sign-out", origin="http://localhost", host="localhost")
    assert (out.status_int, out.headers["Location"]) == (303, "/")
    back = ann.get("/dashboard")
    assert (back.status_int, back.headers["Location"]) == (303, "/")


def test_a_caller_with_a_token_is_not_offered_to_sign_out(site: Site) -> None:
    assert page(site.program(), "/dashboard").all("form") == []


def test_every_template_compiles_and_every_page_has_a_title() -> None:
    names = Templates().names()
    assert {"base.mako", "landing.mako", "dashboard.mako", "error.mako"} <= set(names)
    for name in names:
        text = files("clawdeploy.templates").joinpath(name).read_text("utf-8")
        is_page = "/" not in name and name not in ("base.mako", "signed_in.mako")
        assert ('<%block name="title">' in text) == is_page, name
        assert "| n" not in text, "nothing is written without escaping"


def test_a_missing_value_is_an_error_not_a_gap() -> None:
    with pytest.raises(NameError):
        Templates().render("landing.mako")


def test_an_unknown_file_is_an_error() -> None:
    with pytest.raises(KeyError):
        Templates().static("nothing.css")


class TestStaticFiles:
    def test_every_file_that_pages_name_is_there_and_may_be_kept(self, site: Site) -> None:
        linked = {str(link["href"]) for link in page(site.anybody(), "/").all("link")}
        for address in [one for one in linked if one.startswith("/static/")]:
            answer = site.anybody().get(address)
            assert answer.status_int == 200
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.content_type in ("text/css", "image/svg+xml", "image/png")

    def test_files_of_text_say_how_it_is_written(self, site: Site) -> None:
        types = {"style.css": "text/css", "app.js": "text/javascript", "vendor/htmx.min.js": "text/javascript"}
        for name, expected in types.items():
            assert site.anybody().get(f"/static/{name}").headers["Content-Type"] == f"{expected}; charset=utf-8"

    def test_without_the_version_they_are_asked_for_again(self, site: Site) -> None:
        answer = site.anybody().get("/static/style.css")
        assert answer.headers["Cache-Control"] == "no-cache"
        again = site.anybody().get("/static/style.css", if_none_match=answer.headers["ETag"])
        assert (again.status_int, again.body) == (304, b"")

    @pytest.mark.parametrize(
        "path", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "", ".", "x.css", "%00"]
    )
    def test_nothing_else_is_served(self, site: Site, path: str) -> None:
        answer = site.anybody().get(f"/static/{path}?v=1")
        assert answer.status_int == 404
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_they_are_only_read(self, site: Site, method: str) -> None:
        answer = site.anybody().call(method, "/static/style.css?v=1", accept="application/json")
        assert (answer.status_int, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_the_style_works_in_the_dark_and_loads_nothing_from_elsewhere(self) -> None:
        style = (STATIC / "style.css").read_text()
        assert "prefers-color-scheme: dark" in style
        assert "url(" not in style
        assert "@import" not in style
