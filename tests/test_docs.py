"""The documents are complete: nothing is missing in them, and nothing that they tell of is gone.

A check is a function from a text and the facts to complaints. That each can fail is shown on every single entry:
with its line removed, or a line added for something that does not exist, there is a complaint.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest

from tests.docs.checks import CHECKS
from tests.docs.facts import gather
from tests.docs.markdown import ROOT, anchors, code, documents, headings, links, section

ENTRY = re.compile(r"\| \[?`|#+ `|\*\*(Called|Returns)\*\*")
"""How a line begins that tells of one thing: a row or heading in code style, or a part of a hook's description."""

PATHS = (
    "/",
    "/api/",
    "/apple-touch-icon.png",
    "/clerk/",
    "/dashboard",
    "/data",
    "/dev/null",
    "/etc/caddy/Caddyfile",
    "/etc/clawdeploy.conf",
    "/etc/systemd/system/clawdeploy.service",
    "/favicon.ico",
    "/healthz",
    "/metrics",
    "/newbot",
    "/opt/clawdeploy",
    "/robots.txt",
    "/run/podman/podman.sock",
    "/run/secrets/",
    "/sign-in/",
    "/sign-out",
    "/sitemap.xml",
    "/srv/clawdeploy",
    "/static/",
    "/stop",
    "/usr/sbin/nologin",
    "/var/lib/clawdeploy",
    "/var/lib/docker",
    "/var/run/docker.sock",
)
"""Beginnings of all absolute paths that the documents may name: our addresses, and the product's own facts."""

HOSTS = (
    "127.0.0.1",
    "bots.example.org",
    "clerk.com",
    "click.palletsprojects.com",
    "datatracker.ietf.org",
    "docs.docker.com",
    "download.docker.com",
    "falcon.readthedocs.io",
    "login.example.org",
    "matrix.example.org",
    "www.rfc-editor.org",
)


def complaints(path: str, text: str) -> list[str]:
    """Return what all checks of a document say about a text in its place."""
    return [said for check in CHECKS[path] for said in check(text, gather())]


@pytest.mark.parametrize("path", CHECKS)
def test_everything_is_documented_and_nothing_else(path: str) -> None:
    assert complaints(path, documents()[path]) == []


@pytest.mark.parametrize("path", CHECKS)
def test_a_removed_entry_is_missed(path: str) -> None:
    lines = documents()[path].splitlines()
    entries = [at for at, line in enumerate(lines) if ENTRY.match(line)]
    assert len(entries) > 8
    unnoticed = [lines[at] for at in entries if not complaints(path, "\n".join(lines[:at] + lines[at + 1 :]))]
    assert unnoticed == []


@pytest.mark.parametrize("path", CHECKS)
def test_an_invented_entry_is_found(path: str) -> None:
    lines = documents()[path].splitlines()
    unnoticed = []
    for at, line in enumerate(lines):
        if ENTRY.match(line) and not line.startswith("**"):
            # A heading goes to the end, where it takes nothing away from another one.
            place = len(lines) if line.startswith("#") else at + 1
            invented = line.replace("`", "`gone_", 1)
            if not complaints(path, "\n".join([*lines[:place], invented, *lines[place:]])):
                unnoticed.append(invented)
    assert unnoticed == []


def broken_links(texts: Mapping[str, str]) -> Iterator[str]:
    """Complain about links inside of the project that lead nowhere."""
    for path, text in texts.items():
        for link in links(text):
            parts = urlsplit(link)
            target = path if not parts.path else str(PurePosixPath(path).parent / parts.path)
            if parts.scheme:
                continue
            if target not in texts and not (ROOT / target).exists():
                yield f"{path}: {link} leads nowhere"
            elif parts.fragment and parts.fragment not in anchors(texts.get(target, "")):
                yield f"{path}: {link} leads to a heading that is not there"


def test_links_lead_somewhere() -> None:
    assert list(broken_links(documents())) == []


def test_a_renamed_heading_or_document_breaks_its_links() -> None:
    texts = documents()
    linked = {(path, link) for path, text in texts.items() for link in links(text) if not urlsplit(link).scheme}
    assert len(linked) > 30
    for path, link in linked:
        elsewhere = link.replace("#", "#gone-") if "#" in link else f"gone-{link}"
        renamed = texts[path].replace(f"]({link})", f"]({elsewhere})")
        assert list(broken_links(texts | {path: renamed})), link


def test_each_document_can_be_reached_from_the_readme() -> None:
    texts = documents()
    reached = {"README.md"} | {link.partition("#")[0] for link in links(texts["README.md"])}
    assert set(texts) - reached == set()


def foreign_places(text: str) -> Iterator[str]:
    """Complain about paths and hosts that are no facts of the product, such as those of somebody's machine."""
    for url in re.findall(r"https?://[^\s`\"')>,]+[^\s`\"')>,.]", text):
        host = urlsplit(url).hostname or ""
        if host not in HOSTS and "CLAWDEPLOY" not in url:
            yield f"{url} is on a host that the documents do not name"
    for path in re.findall(r"(?<![\w.:/~}$\-])/[\w.\-]+(?:/[\w.\-]+)*/?", re.sub(r"\w+:/+\S*", "", text)):
        if not path.startswith(tuple(PATHS[1:])):
            yield f"{path} is a path that the documents do not name"
    yield from re.findall(r"[A-Z]:\\\w+|~\w+/|\bfile:\S+", text)


@pytest.mark.parametrize("path", documents())
def test_no_machine_is_named(path: str) -> None:
    assert list(foreign_places(documents()[path])) == []


@pytest.mark.parametrize(
    "named",
    [f"{ROOT}/docs", "/home/somebody/clawdeploy", "`/root/.cache`", "(/opt/mirror)", "https://packages.example.com/x",
     r"C:\Users\me", "file:///tmp", 'cd "/mnt/disk/bots"', "PATH=/usr/local/bin"],
)  # fmt: skip
def test_a_machine_that_is_named_is_found(named: str) -> None:
    assert list(foreign_places(f"Look at {named}, it is there.")) != []


def test_headings_are_unique_where_they_are_linked() -> None:
    for path, text in documents().items():
        linked = {link.partition("#")[2] for other in documents().values() for link in links(other) if "#" in link}
        made = [next(iter(anchors(f"# {heading}"))) for heading in headings(text)]
        assert [anchor for anchor in set(made) & linked if made.count(anchor) > 1] == [], path


def test_the_readme_shows_the_diagram_of_the_architecture() -> None:
    texts = documents()
    shown = code(section(texts["README.md"], "How it is built"), "text")
    assert [block.text for block in shown] == [code(section(texts["docs/architecture.md"], "One idea"), "text")[0].text]
