"""Comparing what is documented with what there is."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from tests.docs.markdown import quoted, rows


def compare(documented: Iterable[str], real: Collection[str], what: str) -> Iterator[str]:
    """Complain about what is documented twice, missing, or gone."""
    counted = Counter(documented)
    yield from (f"{what} {name!r} is documented {times} times" for name, times in counted.items() if times > 1)
    yield from (f"{what} {name!r} is not documented" for name in real if name not in counted)
    yield from (f"{what} {name!r} is documented, but there is none" for name in counted if name not in real)


def column(text: str, name: str) -> list[str]:
    """Return what stands in a column, of all tables that have it, without the code style."""
    return [quoted(row[name]) for row in rows(text) if name in row]


def all_quoted(cell: str) -> list[str]:
    """Return everything in a cell that stands in code style."""
    return re.findall("`([^`]+)`", cell)
