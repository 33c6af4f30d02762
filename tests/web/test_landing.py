"""What everybody sees: the landing page, and the files that search engines and browsers ask for."""

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from clawdeploy.web.templating import STATIC
from tests.web.people import Site
from tests.web.reading import Page, page


def described(seen: Page) -> dict[str, str]:
    """Return what a page says about itself to those who show links to it."""
    return {str(meta.get("name") or meta.get("property")): str(meta.get("content")) for meta in seen.all("meta")}


def ways(seen: Page) -> list[str]:
    return [str(link["href"]) for link in seen.all("a")]


def test_the_landing_page(site: Site) -> None:
    seen = page(site.anybody(), "/")
    assert seen.words["title"] == "Your own OpenClaw bot | ClawDeploy"
    assert ".venv/bin/clawdeploy sign-in me" in seen.words["code"]
    assert "http://127.0.0.1:8080/sign-in/" in seen.words["code"]
    told = described(seen)
    assert set(told) >= {"description", "og:title", "og:description", "og:type", "og:site_name", "og:url"}
    assert 50 < len(told["description"]) < 160
    assert "robots" not in told
    assert not [way for way in ways(seen) if way.startswith("/dashboard")]
    assert seen.all("script") == [], "it is read before anybody decides to trust us"
    assert len([link for link in seen.all("link") if link["rel"] == "stylesheet"]) <= 2


def test_the_landing_page_tells_what_can_be_chosen_on_this_server(site: Site) -> None:
    """Also that what is deployed is no real bot, while it is none."""
    told = page(site.anybody(), "/").words["dd"]
    catalog = site.platform.catalog
    for choice in [*catalog.models(), *catalog.channels()]:
        assert choice["label"] in told
    assert [one["description"] in told for one in catalog.blueprints()] == [
        one["default"] for one in catalog.blueprints()
    ]


def test_the_landing_page_leads_on_when_signed_in(site: Site) -> None:
    seen = page(site.browser(), "/")
    assert "/dashboard" in ways(seen)
    assert "Go to your bots" in seen.words["a"]
    assert "sign-in" not in seen.ids
    assert "#sign-in" not in ways(seen)


def test_every_link_of_the_landing_page_leads_somewhere(site: Site) -> None:
    for caller in (site.anybody(), site.browser()):
        for way in {way for way in ways(page(caller, "/")) if not way.startswith("#")}:
            assert caller.get(way).status_int == 200, way


def test_the_pictures_of_the_product_are_as_large_as_the_page_says(site: Site) -> None:
    """So that nothing moves when they arrive, and both have the same room."""
    seen = page(site.anybody(), "/")
    (shown,) = [image for image in seen.all("img") if image["alt"]]
    (dark,) = seen.all("source")
    assert dark["media"] == "(prefers-color-scheme: dark)"
    for address in (str(shown["src"]), str(dark["srcset"])):
        answer = site.anybody().get(address)
        assert (answer.status_int, answer.content_type) == (200, "image/webp")
        assert answer.body[12:16] == b"VP8X"
        width = int.from_bytes(answer.body[24:27], "little") + 1
        height = int.from_bytes(answer.body[27:30], "little") + 1
        assert (str(width), str(height)) == (shown["width"], shown["height"]), "scripts/pictures made them anew"
        assert len(answer.body) < 80_000


def test_a_dead_credential_does_not_lock_anybody_out_of_the_landing_page(site: Site) -> None:
    page(site.forger(), "/")


def test_absolute_links_come_from_the_settings_never_from_the_request(tmp_path: Path) -> None:
    site = Site(tmp_path, PUBLIC_ORIGIN="https://bots.example.org")
    text = site.anybody().get("/", host="evil.example", x_forwarded_host="evil.example").text
    told = described(Page(text))
    assert told["og:url"] == "https://bots.example.org/"
    assert told["og:image"].startswith("https://bots.example.org/static/preview.png")
    assert {"rel": "canonical", "href": "https://bots.example.org/"} in Page(text).all("link")
    assert "evil.example" not in text
    site.close()


def test_an_address_that_nobody_chose_is_not_called_the_only_one(site: Site) -> None:
    """A proxy may stand in front: then its address is the right one, and we do not know it."""
    assert "canonical" not in [link["rel"] for link in page(site.anybody(), "/").all("link")]


def test_the_picture_that_other_sites_show_is_there_and_as_large_as_said(site: Site) -> None:
    told = described(page(site.anybody(), "/"))
    address = told["og:image"]
    assert address.startswith("http://127.0.0.1:8080/static/preview.png")
    answer = site.anybody().get(address.removeprefix("http://127.0.0.1:8080"))
    assert (answer.status_int, answer.content_type) == (200, "image/png")
    width, height = struct.unpack(">II", answer.body[16:24])
    assert (str(width), str(height)) == (told["og:image:width"], told["og:image:height"])
    assert len(answer.body) < 200_000
    assert told["og:image:alt"]
    assert told["twitter:card"] == "summary_large_image"


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
