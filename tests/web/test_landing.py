"""What everybody sees: the landing page, error pages, and the files that search engines and browsers ask for."""

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from clawdeploy.web.templating import STATIC
from tests.web.people import Site
from tests.web.reading import Page, page


def test_the_landing_page(site: Site) -> None:
    seen = page(site.anybody(), "/")
    assert seen.words["title"] == "Your own OpenClaw bot | ClawDeploy"
    assert ".venv/bin/clawdeploy sign-in me" in seen.words["code"]
    described = {str(meta.get("name") or meta.get("property")) for meta in seen.all("meta")}
    assert described >= {"description", "og:title", "og:description", "og:type", "og:site_name"}
    assert "/dashboard" not in [link["href"] for link in seen.all("a")]
    assert seen.all("script") == [], "it is read before anybody decides to trust us"


def test_the_landing_page_leads_on_when_signed_in(site: Site) -> None:
    assert "/dashboard" in [link["href"] for link in page(site.browser(), "/").all("a")]


def test_a_dead_credential_does_not_lock_anybody_out_of_the_landing_page(site: Site) -> None:
    page(site.forger(), "/")


def test_absolute_links_come_from_the_settings_never_from_the_request(tmp_path: Path) -> None:
    site = Site(tmp_path, PUBLIC_ORIGIN="https://bots.example.org")
    text = site.anybody().get("/", host="evil.example", x_forwarded_host="evil.example").text
    assert 'content="https://bots.example.org/"' in text
    assert "evil.example" not in text
    site.close()


def test_a_used_link_gets_a_page_that_helps(site: Site) -> None:
    answer = site.anybody().get("/sign-in/" + "x" * 43, accept="text/html")
    assert answer.status_int == 410
    assert "clawdeploy sign-in" in Page(answer.text).check().words["p"]
    assert site.anybody().call("HEAD", "/sign-in/x").status_int == 405


def test_an_unknown_address_gets_a_page(site: Site) -> None:
    seen = page(site.anybody(), "/nothing", 404)
    assert seen.words["title"] == "Not Found | ClawDeploy"


def test_the_picture_that_other_sites_show_is_there_and_as_large_as_said(site: Site) -> None:
    described = {meta.get("property"): str(meta.get("content")) for meta in page(site.anybody(), "/").all("meta")}
    address = described["og:image"]
    assert address.startswith("http://127.0.0.1:8080/static/preview.png")
    answer = site.anybody().get(address.removeprefix("http://127.0.0.1:8080"))
    assert (answer.status_int, answer.content_type) == (200, "image/png")
    width, height = struct.unpack(">II", answer.body[16:24])
    assert (str(width), str(height)) == (described["og:image:width"], described["og:image:height"])
    assert len(answer.body) < 200_000


def test_a_missing_bot_is_told_and_leads_back(site: Site) -> None:
    ann = site.browser()
    others = site.program("bob").create()["id"]
    for address in (f"/dashboard/instances/{others}", "/dashboard/instances/nonsense"):
        seen = page(ann, address, 404)
        assert seen.words["title"] == "Instance not found | ClawDeploy"
        assert "/dashboard" in [link["href"] for link in seen.all("a")]
        assert "Back to Dashboard" in seen.words["a"]


def test_an_error_page_carries_the_id_that_the_log_has(site: Site) -> None:
    answer = site.anybody().get("/nothing", accept="text/html")
    assert answer.headers["X-Request-Id"] in Page(answer.text).check().words["code"]


def test_search_engines_read_the_landing_page_only(site: Site) -> None:
    robots = site.anybody().get("/robots.txt")
    assert robots.content_type == "text/plain"
    lines = robots.text.splitlines()
    assert lines[0] == "User-agent: *"
    assert {"Disallow: /dashboard", "Disallow: /api/", "Disallow: /sign-in/"} <= set(lines)
    assert "Disallow: /" not in lines
    (listed,) = [line.partition(": ")[2] for line in lines if line.startswith("Sitemap")]
    sitemap = site.anybody().get(listed.removeprefix("http://127.0.0.1:8080"))
    assert sitemap.content_type == "application/xml"
    found = ElementTree.fromstring(sitemap.text).iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
    assert [one.text for one in found] == ["http://127.0.0.1:8080/"]


def test_addresses_of_the_site_come_from_the_settings(tmp_path: Path) -> None:
    site = Site(tmp_path, PUBLIC_ORIGIN="https://bots.example.org")
    for path in ("/robots.txt", "/sitemap.xml"):
        text = site.anybody().get(path, host="evil.example").text
        assert "https://bots.example.org/" in text
        assert "evil" not in text
    site.close()


@pytest.mark.parametrize(
    ("path", "kind", "begins"),
    [
        ("/favicon.ico", "image/x-icon", b"\0\0\1\0"),
        ("/apple-touch-icon.png", "image/png", b"\x89PNG"),
    ],
)
def test_icons_are_where_browsers_look_for_them(site: Site, path: str, kind: str, begins: bytes) -> None:
    answer = site.anybody().get(path)
    assert (answer.status_int, answer.content_type, answer.body[: len(begins)]) == (200, kind, begins)
    assert "max-age=" in answer.headers["Cache-Control"]


def test_each_library_comes_with_its_licence() -> None:
    vendored = {path.name for path in (STATIC / "vendor").iterdir()}
    for library in [name for name in vendored if name.endswith(".js")]:
        assert f"{library.removesuffix('.min.js').removesuffix('-ext')}.LICENSE.txt" in vendored
