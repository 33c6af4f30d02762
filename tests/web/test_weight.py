"""What a page makes a browser load: little, and nothing that its template does not name."""

import gzip
import re
from importlib.resources import files

import pytest

from clawdeploy.web.templating import STATIC
from tests.web.people import Site
from tests.web.reading import page

MOST_BYTES_OF_SCRIPT = 60 * 1024
PAGES = ("/", "/dashboard", "/dashboard/new", "/dashboard/account", "/dashboard/instances/{bot}")


@pytest.mark.parametrize("path", PAGES)
def test_the_scripts_of_a_page_are_small(site: Site, path: str) -> None:
    bot = site.program().create()["id"]
    seen = page(site.browser(), path.format(bot=bot))
    scripts = [str(script["src"]).partition("?")[0].removeprefix("/static/") for script in seen.all("script")]
    assert bool(scripts) == (path != "/")
    assert sum(len(gzip.compress((STATIC / script).read_bytes())) for script in scripts) < MOST_BYTES_OF_SCRIPT


def test_no_script_loads_another_or_makes_code_of_text() -> None:
    for script in STATIC.glob("*.js"):
        assert not re.search(
            r"\bimport\b|\beval\b|new Function|innerHTML|outerHTML\s*=|document\.write", script.read_text()
        )


def test_every_file_is_used_by_a_template_or_a_route() -> None:
    named = "".join(
        entry.read_text("utf-8")
        for folder in (files("clawdeploy.templates"), files("clawdeploy.templates").joinpath("components"))
        for entry in folder.iterdir()
        if entry.name.endswith(".mako")
    )
    there = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    unused = {name for name in there if f"static('{name}')" not in named and not name.endswith(".LICENSE.txt")}
    assert unused == {"favicon.ico"}
