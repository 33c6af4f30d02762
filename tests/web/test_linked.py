"""Help texts, in which addresses are links and everything else is text."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawdeploy.web.templating import Templates
from tests.core.surroundings import TELEGRAM_TOKEN
from tests.web.people import Site
from tests.web.reading import page
from tests.web.test_instance_page import address

LINK = re.compile(r'<a href="(https://[^"<>&\s]+)" target="_blank" rel="noopener noreferrer">([^"<>&\s]+)</a>')

TEMPLATE = Templates()._lookup.get_template("components/help.mako").get_def("linked")


def linked(text: str) -> str:
    """Return the HTML of a help text."""
    return str(TEMPLATE.render_unicode(text))


@pytest.mark.parametrize(
    ("text", "leads_to"),
    [
        ("Open t.me/BotFather.", ["https://t.me/BotFather"]),
        ("(discord.com/developers/applications)", ["https://discord.com/developers/applications"]),
        ("at platform.openai.com under API keys", ["https://platform.openai.com"]),
        ("such as https://matrix.example.org.", ["https://matrix.example.org"]),
        ("https://a.example.com/b/c_d/, then b.io", ["https://a.example.com/b/c_d/", "https://b.io"]),
    ],
)
def test_addresses_are_links_in_a_new_tab(text: str, leads_to: list[str]) -> None:
    assert [found[0] for found in LINK.findall(linked(text))] == leads_to
    assert LINK.sub(r"\2", linked(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "config.json, e.g. nginx.conf",
        "ann@example.com",
        "http://example.com",
        "javascript:alert(1)//example.com",
        "ftp://example.com",
        "https://example.com@evil.test",
        "https://example.com:8443",
        "//example.com",
        "example.community",
        "example.com.evil",
        "@BotFather",
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert linked(text) == html.escape(text)


@given(st.lists(st.sampled_from(["<b>", '"', "'", "&", "t.me/x", "https://", "a.com", "/", "<a href=", " ", "@", "."])))
def test_no_text_becomes_markup(parts: list[str]) -> None:
    text = "".join(parts)
    shown = LINK.sub(r"\2", linked(text))
    assert "<" not in shown
    assert html.unescape(shown) == text


def test_the_help_of_fields_has_them(site: Site) -> None:
    ann = site.browser()
    for where in ("/dashboard/new", address(site, botToken=TELEGRAM_TOKEN)):
        links = page(ann, where).all("a")
        assert "https://t.me/BotFather" in [link["href"] for link in links], where
        assert "https://platform.openai.com" in [link["href"] for link in links], where
