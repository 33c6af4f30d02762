"""What ``docs/security.md`` says of each requirement names modules and tests that exist, and its sums are right.

Whether a verdict is right no test can say; that none is missing, made up or miscounted, this one does.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.comparing import compare
from tests.docs.markdown import ROOT, documents, rows, section

TEXT = documents()["docs/security.md"]
VERDICTS = {"holds": "hold", "partly": "hold partly", "does not": "do not", "not applicable": "are not applicable"}
ASVS = "OWASP ASVS 5.0, levels 1 and 2"
CIS = "CIS Docker Benchmark"
CONTAINERS = tuple(f"5.{number}" for number in range(1, 32))
"""The items of the benchmark's section about containers, all of which have to be told of."""


def required() -> list[str]:
    """Return the numbers of all requirements of the standard's levels 1 and 2."""
    return (ROOT / "tests" / "docs" / "asvs_5_levels_1_2.txt").read_text().split()


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """Return the names of a file's tests, those in classes included; none when there is no such file."""
    if not (ROOT / path).is_file():
        return frozenset()
    nodes = ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def judged(part: str) -> list[tuple[str, dict[str, str]]]:
    """Return each item of a part's tables with its row; a row may be about several."""
    return [(item, row) for row in rows(part) if "item" in row for item in row["item"].split(", ")]


def complaints(text: str) -> Iterator[str]:
    """Complain about items that are missing or told of twice, verdicts, names and sums that are not right."""
    asvs, cis = judged(section(text, ASVS)), judged(section(text, CIS))
    yield from compare([item for item, _ in asvs], required(), "The requirement")
    items = [item for item, _ in cis]
    yield from compare([item for item in items if item.startswith("5.")], CONTAINERS, "The item")
    yield from (f"The item {item} is told of twice" for item, times in Counter(items).items() if times > 1)
    for part, found in ((ASVS, asvs), (CIS, cis)):
        counted = Counter(row["verdict"] for _, row in found)
        sums = ", ".join(f"{counted[verdict]} {words}" for verdict, words in VERDICTS.items())
        if f"Of {len(found)}: {sums}." not in section(text, part):
            yield f"{part} should say: Of {len(found)}: {sums}."
    for item, row in [*asvs, *cis]:
        yield from (f"{item}: {said}" for said in wrong_with(row))


def wrong_with(row: dict[str, str]) -> Iterator[str]:
    """Complain about one row."""
    verdict, why = row["verdict"], row["where and which test, or why not"]
    if verdict not in VERDICTS:
        yield f"{verdict!r} is no verdict"
    if "," in row["item"] and verdict != "not applicable":
        yield "only what is not applicable may share a row"
    if len(why) < 10:
        yield "no reason is given"
    if verdict == "holds" and "`" not in why and "](" not in why:
        yield "it is said to hold, and neither module, test nor document shows it"
    for path, name in re.findall(r"`(tests/[^`:]+)::([^`]+)`", why):
        if name not in names_of_tests(path):
            yield f"there is no test {path}::{name}"
    for path in re.findall(r"`(clawdeploy/[^`]+)`", why):
        if not (ROOT / path).is_file():
            yield f"there is no module {path}"


def test_every_item_is_judged_and_nothing_is_named_that_does_not_exist() -> None:
    assert list(complaints(TEXT)) == []


def test_the_list_of_requirements_is_that_of_the_standard() -> None:
    chapters = Counter(int(item.partition(".")[0]) for item in required())
    assert len(required()) == len(set(required())) == 253
    assert list(chapters) == list(range(1, 18))


def test_a_row_that_is_missing_or_there_twice_is_found() -> None:
    lines = TEXT.splitlines()
    entries = [at for at, line in enumerate(lines) if re.match(r"\| \d+\.\d", line)]
    assert len(entries) > 150
    # A twentieth of them, of all chapters: each look at the whole document takes some milliseconds.
    for at in entries[::20]:
        assert list(complaints("\n".join(lines[:at] + lines[at + 1 :]))) != [], lines[at]
        assert list(complaints("\n".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]))) != [], lines[at]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("| holds |", "| holds mostly |"),
        ("| does not |", "| holds |"),
        ("| 1.1.1 |", "| 1.1.9 |"),
        ("| 5.31 |", "| 5.32 |"),
        ("::test_", "::test_gone_"),
        ("`tests/web/", "`tests/gone/"),
        ("`clawdeploy/web/strict_json.py`", "`clawdeploy/web/gone.py`"),
        ("Of 253: ", "Of 252: "),
        (" hold partly, ", "0 hold partly, "),
    ],
)
def test_what_is_wrong_is_found(right: str, wrong: str) -> None:
    assert right in TEXT
    assert list(complaints(TEXT.replace(right, wrong, 1))) != []
