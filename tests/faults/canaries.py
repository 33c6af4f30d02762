"""Secrets that are made to be found again: all of them hold a mark, so that a piece of one shows a leak as well."""

import base64
import secrets
from collections.abc import Iterable

from tests.faults.leaks import leaks, written

MARK = "Zq7Kvx"
"""Stands at the beginning and at the end of each: whatever shows one of them in part shows that."""
ODD = "\"&<'>/+=%\\"
"""Characters that are written otherwise in JSON, HTML and addresses."""


class Canaries:
    """The secrets that went in, and where."""

    def __init__(self) -> None:
        self.sown: dict[str, str] = {}
        self.issued: dict[str, str] = {}
        """Credentials that the product has made itself, which have no mark."""

    def __len__(self) -> int:
        return len(self.sown)

    def plain(self, where: str) -> str:
        """Make one of letters and digits, as fits into a header."""
        return self._sow(where, f"{MARK}{secrets.token_hex(10)}{MARK}")

    def key(self, where: str) -> str:
        """Make one that is a key of a model, with everything in it that is written in several ways."""
        return self._sow(where, f"sk-{MARK}{secrets.token_hex(6)}{ODD}{MARK}")

    def telegram(self, where: str) -> str:
        """Make one that the form of a Telegram bot takes."""
        return self._sow(where, f"{secrets.randbelow(10**9) + 10**9}:AA{MARK}{secrets.token_hex(10)}{MARK}")

    def discord(self, where: str) -> str:
        """Make one that the form of a Discord bot takes."""
        parts = (f"{MARK}{secrets.token_hex(8)}", MARK, f"{secrets.token_hex(10)}{MARK}")
        return self._sow(where, ".".join(parts))

    def encryption_key(self, where: str) -> str:
        """Make a key for secrets at rest: the base64 of 32 bytes."""
        raw = MARK.encode() + secrets.token_bytes(20) + MARK.encode()
        return self._sow(where, base64.urlsafe_b64encode(raw).decode())

    def webhook_secret(self, where: str) -> str:
        """Make the signing secret of a webhook endpoint."""
        raw = MARK.encode() + secrets.token_bytes(12) + MARK.encode()
        return self._sow(where, "whsec_" + base64.b64encode(raw).decode())

    def found(self, sinks: Iterable[tuple[str, bytes]]) -> list[str]:
        """Return a sentence for each secret, or piece of one, that is in a place where none must be."""
        marks = written(MARK)
        said = set()
        for where, content in sinks:
            pieces = [mark for mark in marks if mark in content]
            if pieces:
                # Which one it is takes longer to find out, and is only for whoever mends it.
                whole = [at for value, at in self.sown.items() if any(one in content for one in written(value))]
                said.add(f"{where} has {'a piece of one' if not whole else f'what was sown in {sorted(set(whole))}'}")
            said |= {f"{where}: {one} (issued)" for one in leaks(list(self.issued), [(where, content)])}
        return sorted(said)

    def _sow(self, where: str, value: str) -> str:
        self.sown[value] = where
        return value
