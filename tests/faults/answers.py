"""I11: every answer is one that the documents promise."""

import re
from collections.abc import Iterable, Iterator

from tests.faults.ledger import Answer
from tests.faults.state import PASSING

STATUSES = {*PASSING, "running", "stopped", "error", "deleted"}
HTTP = {200, 201, 204, 303, 304, 400, 401, 403, 404, 405, 409, 410, 413, 414, 415, 416, 417, 422, 429, 431, 503}
"""The statuses that docs/api.md names; of those of 500 and more only this one."""


def odd(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield a sentence for each kind of answer that is not as promised, once."""
    seen = set()
    for answer in answers:
        for said in _oddities(answer):
            if said not in seen:
                seen.add(said)
                yield f"I11: {answer.method} {answer.path}: {said}"


def _oddities(answer: Answer) -> Iterator[str]:
    """Say what is wrong with an answer by what the documents promise."""
    if answer.status not in HTTP:
        yield f"status {answer.status}: {answer.body[:300]!r}"
    if answer.status == 503 and not re.fullmatch("[1-9][0-9]*", answer.headers.get("retry-after", "")):
        yield "503 without Retry-After"
    if not answer.path.startswith("/api/"):
        return
    try:
        said = answer.json() if answer.body else {}
    except ValueError:
        yield f"no JSON, but {answer.body[:100]!r}"
        return
    if answer.status >= 400 and not (isinstance(said, dict) and said.get("code")):
        yield f"status {answer.status} without a code"
    shown = [said["instance"]] if "instance" in said else said.get("instances", ())
    for one in shown:
        if one["status"] not in STATUSES:
            yield f"the status {one['status']!r}"
