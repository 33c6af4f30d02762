"""A bot's page is linked under a name of the machine to which no cookie of ours is sent."""

from pathlib import Path

import pytest

from tests.web.people import Site


def linked(site: Site, host: str) -> set[str]:
    """Return where the pages that came from a host lead, without the ports."""
    bot, ann = site.program().create(), site.browser()
    asked = {path: ann.get(path, host=host).html for path in ("/dashboard", f"/dashboard/instances/{bot['id']}")}
    found = {one["href"] for page in asked.values() for one in page.find_all("a", target="_blank")}
    own = {where for where in found if where.startswith("http://")}
    assert len(own) == 1
    return {where.replace(str(bot["port"]), "PORT") for where in own}


@pytest.mark.parametrize(
    ("bound_to", "host", "leads_to"),
    [
        ("127.0.0.1", "127.0.0.1:8080", "http://localhost:PORT/"),
        ("127.0.0.1", "localhost:8080", "http://127.0.0.1:PORT/"),
        ("127.0.0.1", "bots.example.org", "http://127.0.0.1:PORT/"),
        ("127.0.0.1", "[::1]:8080", "http://127.0.0.1:PORT/"),
        ("0.0.0.0", "127.0.0.1:8080", "http://localhost:PORT/"),
        ("::1", "[::1]:8080", "http://localhost:PORT/"),
        ("::1", "127.0.0.1", "http://[::1]:PORT/"),
        ("192.0.2.1", "192.0.2.1:8080", "http://192.0.2.1:PORT/"),
    ],
)
def test_the_name_is_another_one(tmp_path: Path, bound_to: str, host: str, leads_to: str) -> None:
    site = Site(tmp_path, BIND_ADDRESS=bound_to)
    try:
        assert linked(site, host) == {leads_to}
    finally:
        site.close()


@pytest.mark.parametrize(
    ("origin", "host"), [("https://127.0.0.1:8443", "backend:8080"), ("https://bots.example.org", "127.0.0.1:8080")]
)
def test_neither_the_public_name_nor_the_one_that_was_used(tmp_path: Path, origin: str, host: str) -> None:
    site = Site(tmp_path, PUBLIC_ORIGIN=origin)
    try:
        assert linked(site, host) == {"http://localhost:PORT/"}
    finally:
        site.close()
