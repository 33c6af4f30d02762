"""Addresses in help texts, so that people can follow them."""

import re
from collections.abc import Iterator

# Only https, spelt out or not, and only the ends of hosts that people know, so that "config.json" is no address.
ADDRESS = re.compile(
    r"(?<![\w@.:/-])(?:https://(?=[a-z0-9]))?"
    r"((?:[a-z0-9-]+\.)+(?:ai|com|dev|io|me|net|org)(?:/(?:[\w.~%/-]*[\w~%/-])?)?)"
    r"(?![\w@:?#&=-]|\.[\w@])"
)


def addresses(text: str) -> Iterator[tuple[str, str]]:
    """Cut a text into parts, each with the https address that it stands for, or with nothing; both are unescaped."""
    at = 0
    for found in ADDRESS.finditer(text):
        yield text[at : found.start()], ""
        yield found[0], f"https://{found[1]}"
        at = found.end()
    yield text[at:], ""
