"""Tables of what was measured."""

import statistics
from collections.abc import Mapping, Sequence


def table(unit: str, rows: Mapping[str, Sequence[float | None]], *, width: int = 24, digits: int = 3) -> str:
    """Lay out the least, the median and the most of each row; ``None`` in a row is what was never seen."""
    lines = [f"{unit:{width}}{'min':>8}{'median':>8}{'max':>8}"]
    for name, times in rows.items():
        known = [each for each in times if each is not None]
        figures = (min(known), statistics.median(known), max(known)) if len(known) == len(times) else ()
        told = "".join(f"{each:8.{digits}f}" for each in figures)
        lines.append(f"{name:{width}}{told or 'not seen':>24}")
    return "\n".join(lines) + "\n"
