"""From the engine's log stream to bounded text."""

import struct
from collections.abc import Iterable, Iterator

from clawdeploy.plugins.docker_runtime.failures import not_understood

MOST_LINES = 10_000
MOST_BYTES = 2**20
PIECE_BYTES = 16 * 1024
"""The engine keeps a longer line in pieces of that size, and counts each of them as a line."""

_HEADER = struct.Struct(">BxxxL")
"""Before each piece: 1 for stdout or 2 for stderr, and the length of the piece."""


def entries_for(tail: int) -> int:
    """Return how many entries to ask the engine for, so that ``tail`` lines begin at their beginning.

    A line that began in its middle could hold the rest of a secret, which nobody would recognize.
    """
    return tail + MOST_BYTES // PIECE_BYTES + 1


def last_lines(chunks: Iterable[bytes], tail: int) -> str:
    """Return the last ``tail`` lines of a log stream, at most a mebibyte of them, as text without NUL.

    Bytes that are not UTF-8 become U+FFFD.
    """
    kept, cut = bytearray(), False
    for piece in unframed(chunks):
        kept += piece
        if len(kept) > 2 * MOST_BYTES:
            del kept[:-MOST_BYTES]
            cut = True
    cut = cut or len(kept) > MOST_BYTES
    del kept[:-MOST_BYTES]
    text = kept.decode("utf-8", "replace").replace("\0", "")
    if cut:
        # The first line lost its beginning, unless the whole is one huge line.
        text = text.partition("\n")[2] or text
    lines = text.split("\n")
    ended = 1 if lines[-1] == "" else 0
    return "\n".join(lines[-(tail + ended) :])


def unframed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Take the frames off: both streams of the container, in the order in which they were written."""
    header, left = bytearray(), 0
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if left == 0:
                missing = _HEADER.size - len(header)
                header += rest[:missing]
                rest = rest[missing:]
                if len(header) == _HEADER.size:
                    left = _length(header)
                    header.clear()
            else:
                piece, rest = rest[:left], rest[left:]
                left -= len(piece)
                yield bytes(piece)


def _length(header: bytearray) -> int:
    with not_understood():
        stream, length = _HEADER.unpack(header)
        if stream > 2:
            raise ValueError(stream)
        return int(length)
