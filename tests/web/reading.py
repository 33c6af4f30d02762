"""Reading pages as a careful browser does, and failing on what no page of ours may hold."""

from html.parser import HTMLParser

from tests.web.people import Caller

VOID = {"meta", "link", "img", "br", "input", "hr", "source"}


class Page(HTMLParser):
    """Reads a page and fails on what is not well-formed: tags that do not match, double ids, inline code."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, str] = {}
        assert text.startswith("<!DOCTYPE html>")
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs)
        assert not any(name.startswith("on") or name == "style" for name in given), (tag, given)
        assert tag not in ("style", "iframe", "object"), tag
        assert tag != "script" or (given.get("src") or "").startswith("/static/"), "no inline script"
        if "id" in given:
            assert given["id"] not in self.ids
            self.ids.add(given["id"] or "")
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.words[tag] = self.words.get(tag, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [given for name, given in self.tags if name == tag]

    def check(self) -> "Page":
        """Check what every page must have to be usable by everybody."""
        assert self.all("html") == [{"lang": "en"}]
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in self.all("meta")
        assert self.words["title"].endswith(" | ClawDeploy")
        assert len(self.all("h1")) == len(self.all("main")) == 1
        assert all("alt" in image for image in self.all("img"))
        named = [given["aria-labelledby"] for _, given in self.tags if "aria-labelledby" in given]
        assert set(named) <= self.ids
        leaving = [link for link in self.all("a") if link.get("target")]
        assert all("noopener" in str(link["rel"]).split() for link in leaving)
        targets = [str(link["href"]) for link in self.all("a") if link not in leaving]
        assert {target[1:] for target in targets if target.startswith("#")} <= self.ids
        assert all(target.startswith(("/", "#")) and not target.startswith("//") for target in targets)
        return self


def page(caller: Caller, path: str, status: int = 200) -> Page:
    answer = caller.get(path)
    assert (answer.status_int, answer.content_type, answer.charset) == (status, "text/html", "utf-8")
    head = caller.call("HEAD", path)
    assert (head.status_int, head.body) == (status, b"")
    return Page(answer.text).check()
