"""The pages' templates: every value is HTML-escaped unless a template says otherwise, and a missing one is an error."""

import hashlib
from datetime import datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from mako.lookup import TemplateLookup

STATIC = Path(__file__).with_name("static")


class Templates:
    """All templates of the package, compiled in memory.

    Nothing is cached on disk: a cache file that somebody else could write would be code that we run.
    """

    def __init__(self) -> None:
        self._lookup = _compiled()
        self._versions = _versions()

    def names(self) -> list[str]:
        """Return the names of all templates, such as ``landing.mako``."""
        return sorted(name for name, _ in _read_all(files("clawdeploy.templates"), ""))

    def render(self, name: str, **values: Any) -> str:
        """Return a page as HTML text."""
        return str(self._lookup.get_template(name).render_unicode(static=self.static, date=date, **values))

    def render_live(self, name: str, **values: Any) -> str:
        """Return only the part of a page that its script refreshes, the block ``live``; all of a page without one."""
        page = self._lookup.get_template(name)
        live = page.get_def("live") if page.has_def("live") else page
        return str(live.render_unicode(static=self.static, date=date, **values))

    def static(self, name: str) -> str:
        """Return the address of a static file; it changes with the content, so browsers may keep the file."""
        return f"/static/{name}?v={self._versions[name]}"


def date(moment: datetime) -> str:
    """Return a moment for people: ``31 Jan 2026, 12:00 UTC``."""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


@cache
def _compiled() -> TemplateLookup:
    """Compile all templates, once a process: they are part of the package, and compiling is most of an app's making."""
    lookup = TemplateLookup(default_filters=["h"], strict_undefined=True, input_encoding="utf-8")
    for name, text in _read_all(files("clawdeploy.templates"), ""):
        lookup.put_string(name, text)
    return lookup


@cache
def _versions() -> dict[str, str]:
    return {path.relative_to(STATIC).as_posix(): _version(path) for path in STATIC.rglob("*") if path.is_file()}


def _read_all(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found = []
    for entry in folder.iterdir():
        # What Python compiled of this package; perhaps another user did, and closed it to this one.
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            found += _read_all(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".mako"):
            found.append((prefix + entry.name, entry.read_text("utf-8")))
    return found


def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
