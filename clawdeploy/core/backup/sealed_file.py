"""A stream that is encrypted with a passphrase, so that nothing in it can be read, changed or cut off unnoticed.

After a line with the version come a salt and a check of the passphrase, then chunks of ChaCha20-Poly1305 whose nonces
count them and mark the last one (the STREAM construction, as in age). The key is made from the passphrase with scrypt;
salt, and so key, are new in each file.
"""

import io
import secrets
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from clawdeploy.core.contracts import Secret
from clawdeploy.core.errors import BackupUnusable

KIND = b"clawdeploy-backup "
VERSION = 1
OPENING = KIND + b"%d\n" % VERSION
SALT_BYTES = 16
CHECK_BYTES = 32
KEY_BYTES = 32
CHUNK_BYTES = 65536
TAG_BYTES = 16
SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""What OWASP recommends: 128 MiB of memory for each guess. A change of it is a new version of the file."""

NOT_ONE = "It is no backup that ClawDeploy made."
NEWER = "It was made by a newer ClawDeploy (version {} of the file, this one knows {}). Restore it with that version."
UNFIT = "The passphrase is not the one that it was made with, or its beginning was damaged."
ALTERED = "It was altered or damaged after it was made: what is in it cannot be trusted. Use another copy or backup."
CUT_OFF = "It ends too early: it was not copied or written completely. Use another copy or backup."


class SealedWriter(io.RawIOBase):
    """Encrypts what is written to it; the file is complete after ``close``."""

    def __init__(self, file: BinaryIO, passphrase: Secret) -> None:
        super().__init__()
        salt = secrets.token_bytes(SALT_BYTES)
        self._cipher, check = _derived(passphrase, salt)
        self._heading = OPENING + salt + check
        self._file = file
        self._file.write(self._heading)
        self._pending = bytearray()
        self._count = 0

    def writable(self) -> bool:
        """Say that this is for writing."""
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]  # of any buffer, as sockets take it
        """Take some more."""
        self._pending += data
        while len(self._pending) > CHUNK_BYTES:
            self._seal(bytes(self._pending[:CHUNK_BYTES]), last=False)
            del self._pending[:CHUNK_BYTES]
        return len(data)

    def close(self) -> None:
        """Write the last chunk. The file below stays open."""
        if not self.closed:
            self._seal(bytes(self._pending), last=True)
        super().close()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._count, last=last), chunk, self._heading))
        self._count += 1


class SealedReader(io.RawIOBase):
    """Decrypts a file that a :class:`SealedWriter` made; gives out nothing that is not as it was written."""

    def __init__(self, file: BinaryIO, passphrase: Secret) -> None:
        """Read the heading; raises ``BackupUnusable``."""
        super().__init__()
        self._file = file
        self._heading = _read_heading(file)
        salt, check = self._heading[len(OPENING) : -CHECK_BYTES], self._heading[-CHECK_BYTES:]
        self._cipher, expected = _derived(passphrase, salt)
        if not secrets.compare_digest(check, expected):
            raise BackupUnusable(UNFIT)
        self._next = file.read(CHUNK_BYTES + TAG_BYTES)
        self._plain = b""
        self._count = 0
        self._through = False

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # into any buffer, too
        """Give some more, nothing at the end; raises ``BackupUnusable``."""
        while not self._plain and not self._through:
            self._plain = self._opened()
        given, self._plain = self._plain[: len(buffer)], self._plain[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)

    def _opened(self) -> bytes:
        chunk, self._next = self._next, self._file.read(CHUNK_BYTES + TAG_BYTES)
        self._through = not self._next
        try:
            plain = self._cipher.decrypt(_nonce(self._count, last=self._through), chunk, self._heading)
        except InvalidTag:
            raise BackupUnusable(self._what_is_wrong(chunk)) from None
        self._count += 1
        return plain

    def _what_is_wrong(self, chunk: bytes) -> str:
        """Say whether the file was cut off, which needs another copy, or altered."""
        if not self._through:
            return ALTERED
        if len(chunk) < TAG_BYTES:
            return CUT_OFF
        try:
            self._cipher.decrypt(_nonce(self._count, last=False), chunk, self._heading)
        except InvalidTag:
            return f"{CUT_OFF} Or it was altered." if len(chunk) < CHUNK_BYTES + TAG_BYTES else ALTERED
        return CUT_OFF


def _read_heading(file: BinaryIO) -> bytes:
    line = file.readline(len(KIND) + 20)
    version = line.removeprefix(KIND).strip()
    if not line.startswith(KIND) or not version.isdigit():
        raise BackupUnusable(NOT_ONE)
    if line != OPENING:
        raise BackupUnusable(NEWER.format(int(version), VERSION))
    rest = file.read(SALT_BYTES + CHECK_BYTES)
    if len(rest) < SALT_BYTES + CHECK_BYTES:
        raise BackupUnusable(CUT_OFF)
    return line + rest


def _derived(passphrase: Secret, salt: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """Return the cipher, and what shows that a passphrase is the right one; takes about a second."""
    both = Scrypt(salt=salt, length=KEY_BYTES + CHECK_BYTES, **SCRYPT).derive(passphrase.reveal().encode())
    return ChaCha20Poly1305(both[:KEY_BYTES]), both[KEY_BYTES:]


def _nonce(count: int, *, last: bool) -> bytes:
    return count.to_bytes(11, "big") + (b"\x01" if last else b"\x00")
