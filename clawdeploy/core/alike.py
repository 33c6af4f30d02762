"""Texts that begin alike, and which of them stands at a place in another text.

Whoever can have a text told chooses what is in it, and secrets of their own. So the time that it takes must not grow
with the number of those that begin as something in the text does.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property

SHORTEST = 8
"""How long a secret has to be, and how long the beginnings are by which they are found."""


class Alike:
    """Some texts in alphabetical order. It is replaced and never changed, because other threads read it."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def including(self, text: str) -> "Alike":
        """Return these and one more."""
        at = bisect_left(self._texts, text)
        if text in self._texts[at : at + 1]:
            return self
        return Alike((*self._texts[:at], text, *self._texts[at:]))

    def without(self, text: str) -> "Alike":
        """Return these but one."""
        at = bisect_left(self._texts, text)
        return Alike((*self._texts[:at], *self._texts[at + 1 :])) if text in self._texts[at : at + 1] else self

    def length(self, text: str, at: int, uncut: int) -> int:
        """Return how long what stands at a place in ``text`` is, as far as it is one of these; 0 if it is none.

        It is the longest of those that do, or the beginning of one that was cut off at ``uncut``.
        """
        found = self._whole(text[at:])
        rest = text[at:uncut]
        if len(rest) > found and len(rest) >= SHORTEST:
            after = bisect_left(self._texts, rest)
            if after < len(self._texts) and self._texts[after].startswith(rest):
                return len(rest)
        return found

    def _whole(self, here: str) -> int:
        """Return the length of the longest with which a text begins."""
        # All that lies, in order, between a text and one with which it begins does so, too. So the text before this
        # one begins with all of those that are looked for.
        place = bisect_right(self._texts, here) - 1
        while place >= 0 and not here.startswith(self._texts[place]):
            place = self._begins_with[place]
        return len(self._texts[place]) if place >= 0 else 0

    @cached_property
    def _begins_with(self) -> Sequence[int]:
        """The place of the longest other one with which each begins, -1 if there is none."""
        found: list[int] = []
        open_: list[int] = []
        for place, text in enumerate(self._texts):
            while open_ and not text.startswith(self._texts[open_[-1]]):
                open_.pop()
            found.append(open_[-1] if open_ else -1)
            open_.append(place)
        return found
