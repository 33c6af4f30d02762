"""I8: no secret lies or is shown anywhere: canaries are looked for in all that was answered, logged and kept."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from urllib.parse import quote


def leaks(canaries: Sequence[str], sinks: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """Yield a sentence for each canary and each sink, which are the name and the content of a place, that has it."""
    forms = [_forms(canary) for canary in canaries]
    found = set()
    for where, content in sinks:
        # Not the canary itself: this sentence is printed.
        found |= {
            f"I8: canary {n} is in {where}" for n, each in enumerate(forms) if any(one in content for one in each)
        }
    yield from sorted(found)


def _forms(canary: str) -> set[bytes]:
    """Return the ways in which a secret may be written somewhere."""
    plain = canary.encode()
    return {
        plain,
        base64.b64encode(plain),
        plain.hex().encode(),
        quote(canary, safe="").encode(),
        escape(canary).encode(),
    }
