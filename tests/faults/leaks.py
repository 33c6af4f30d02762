"""I8: no secret lies or is shown anywhere: canaries are looked for in all that was answered, logged and kept."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from urllib.parse import quote


def leaks(canaries: Sequence[str], sinks: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """Yield a sentence for each canary and each sink, which are the name and the content of a place, that has it."""
    forms = [written(canary) for canary in canaries]
    found = set()
    for where, content in sinks:
        # Not the canary itself: this sentence is printed.
        found |= {
            f"I8: canary {n} is in {where}" for n, each in enumerate(forms) if any(one in content for one in each)
        }
    yield from sorted(found)


def written(secret: str) -> set[bytes]:
    """Return the ways in which a secret may be written somewhere, also within something that was encoded as a whole."""
    plain = secret.encode()
    html = escape(secret)
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        html,
        # As templates of Mako write the two quotation marks.
        html.replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        plain.hex(),
        plain.hex().upper(),
        "".join(f"%{byte:02X}" for byte in plain),
    }
    for before in range(3):
        # Three bytes become four characters: what stands before decides which, and the last one may hold other bits.
        whole = base64.b64encode(b"\0" * before + plain)
        whole = whole[-(-8 * before // 6) : 8 * (before + len(plain)) // 6]
        texts |= {whole.decode(), whole.decode().replace("+", "-").replace("/", "_")}
    return {text.encode() for text in texts}
