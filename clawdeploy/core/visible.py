"""Text that people choose and other people read: what may be in it."""

import unicodedata

# Control characters, line and paragraph separators, lone surrogates, and what no font is sure to have a picture for.
REFUSED_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs", "Cn", "Co"})

# Overrides and isolates turn the text around them, so that it reads as something else. The joiners of emoji and of
# Persian words are of the same Unicode category (Cf) and do no harm.
TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))

# Letters and symbols by category, and yet nothing to be seen: the fillers of Hangul, and Braille without a dot.
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def is_well_behaved(text: str) -> bool:
    """Say whether a text stays on its line and in its direction: it can be put into a page, a table or a log."""
    return not any(character in TURNING or unicodedata.category(character) in REFUSED_CATEGORIES for character in text)


def is_visible(text: str) -> bool:
    """Say whether there is anything to see in a text: a letter, a digit, a sign of punctuation or a symbol."""
    return any(unicodedata.category(character)[0] in "LNPS" and character not in BLANK for character in text)
