"""Reading our own Markdown: headings, sections, tables, code blocks and links. Only what our documents use."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Code:
    """A fenced block: its language, its text, and the heading that it stands under."""

    language: str
    text: str
    heading: str


def documents() -> dict[str, str]:
    """Return the text of every document, by its path from the project's folder."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths}


def headings(text: str) -> list[str]:
    """Return all headings, in order, without their number signs."""
    return [heading for _, heading in _outline(text)]


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, deeper headings included; nothing when there is no such heading."""
    found, depth = [], 0
    for line, seen in zip(text.splitlines(), _without_code(text), strict=True):
        level = len(seen) - len(seen.lstrip("#"))
        if level and depth and level <= depth:
            break
        if depth:
            found.append(line)
        elif level and seen[level:].strip() == heading:
            depth = level
    return "\n".join(found)


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of all tables, as cells by column."""
    found: list[dict[str, str]] = []
    columns: list[str] = []
    for line in _without_code(text):
        if not line.startswith("|"):
            columns = []
        elif not columns:
            columns = _cells(line)
        elif not set(line) <= set("|-: "):
            found.append(dict(zip(columns, _cells(line), strict=True)))
    return found


def code(text: str, language: str) -> list[Code]:
    """Return the fenced blocks in a language, in order."""
    found = []
    heading, fence, block = "", "", list[str]()
    for line in text.splitlines():
        if fence:
            if line.strip() == "```":
                found.append(Code(fence, "\n".join(block) + "\n", heading))
                fence, block = "", []
            else:
                block.append(line)
        elif line.startswith("```"):
            fence = line[3:].strip() or "text"
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    assert not fence, f"a code block under {heading!r} has no end"
    return [each for each in found if each.language == language]


def links(text: str) -> list[str]:
    """Return the targets of all links."""
    return re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", "\n".join(_without_code(text)))


def anchors(text: str) -> set[str]:
    """Return what a link to a heading may end with, made as forges make it."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


def quoted(cell: str) -> str:
    """Return the first thing in a cell that stands in code style, or the cell as it is."""
    found = re.search(r"`([^`]+)`", cell)
    return found[1] if found else cell


def _outline(text: str) -> list[tuple[int, str]]:
    lines = [line for line in _without_code(text) if line.startswith("#")]
    return [(len(line) - len(line.lstrip("#")), line.lstrip("#").strip()) for line in lines]


def _without_code(text: str) -> list[str]:
    """Return the lines of the text, those of fenced blocks blanked."""
    kept, inside = [], False
    for line in text.splitlines():
        fence = line.startswith("```")
        kept.append("" if inside or fence else line)
        inside ^= fence
    return kept


def _cells(line: str) -> list[str]:
    """Split a row; a bar with a backslash before it belongs to its cell."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
