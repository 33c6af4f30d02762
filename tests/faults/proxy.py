"""A proxy that fails in a known way, for the socket of an engine or of a database."""

import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

CHUNK = 64 * 1024
DRIP_SECONDS = 0.2
TRUNCATED_AFTER = 20
ERROR_500 = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
    b'{"message":"fault"}'
)
GARBAGE = b"\x00\xff\x13garbage\r\n\r\n" * 20

Address = tuple[str, int] | str
"""A TCP host and port, or the path of a Unix socket."""


class Fault(StrEnum):
    """What a proxy does to whatever asks through it while it lasts."""

    REFUSE = "refuse"
    """Connections are refused, and open ones closed."""
    HANG = "hang"
    """What is sent is taken and kept; nothing is ever answered."""
    DROP = "drop"
    """What is sent arrives and is carried out, but instead of the answer the connection ends."""
    ERROR = "error"
    """What is sent does not arrive; the answer is an HTTP 500."""
    GARBAGE = "garbage"
    """What is sent does not arrive; the answer is nonsense."""
    TRUNCATE = "truncate"
    """What is sent arrives; the answer ends after a few bytes."""
    DRIP = "drip"
    """What is sent arrives; the answer comes back a byte at a time."""


class FaultProxy:
    """Stands between a client and ``target``, at ``address``; passes everything on until :meth:`break_`.

    ``injected`` counts how often a fault has hit somebody, ``error`` is the answer of ``Fault.ERROR``. ``seen`` is
    told every piece that a client sends, before it is passed on, and ``answered`` every piece of an answer, before the
    client gets it; both run in a thread of the proxy, which waits for them.
    """

    def __init__(self, address: Address, target: Address) -> None:
        self.address = address
        self.injected = 0
        self.error = ERROR_500
        self.seen: Callable[[bytes], None] = _ignore
        self.answered: Callable[[bytes], None] = _ignore
        self._target = target
        self._fault: Fault | None = None
        self._only: re.Pattern[bytes] = re.compile(b"")
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._listener = self._listen()
        threading.Thread(target=self._accept, name="fault-proxy", daemon=True).start()

    def break_(self, fault: Fault, only: bytes = b"") -> None:
        """Begin to fail: for every request in which the pattern ``only`` is found, and every connection if it is empty.

        Connections that are open and idle fail with their next request; those that wait for an answer at once.
        """
        with self._lock:
            self._fault, self._only = fault, re.compile(only)
        if fault is Fault.REFUSE:
            self._cut()

    def mend(self) -> None:
        """Pass on everything from now on; connections that were hit are ended, so that none of them stays odd."""
        with self._lock:
            self._fault = None
        self._cut()

    def close(self) -> None:
        """Stop listening and end all connections."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()
        if isinstance(self.address, str):
            Path(self.address).unlink(missing_ok=True)

    def _listen(self) -> socket.socket:
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.address)
        listener.listen(256)
        if not isinstance(self.address, str):
            self.address = listener.getsockname()
        return listener

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._hits(b"") is Fault.REFUSE:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), name="fault-connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        family = socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET
        target = socket.socket(family, socket.SOCK_STREAM)
        with self._lock:
            self._open |= {client, target}
        try:
            target.connect(self._target)
            self._pass_on(client, target)
        except (OSError, ValueError):
            # One of both ends is gone; the other one learns it by the end of its connection.
            pass
        finally:
            with self._lock:
                self._open -= {client, target}
            client.close()
            target.close()

    def _pass_on(self, client: socket.socket, target: socket.socket) -> None:
        fault: Fault | None = None
        with selectors.DefaultSelector() as both:
            both.register(client, selectors.EVENT_READ)
            both.register(target, selectors.EVENT_READ)
            while True:
                for key, _ in both.select():
                    sender = key.fileobj
                    piece = sender.recv(CHUNK)  # type: ignore[union-attr]
                    if not piece:
                        return
                    if sender is client:
                        self.seen(piece)
                        fault = self._hits(piece) or (fault if self._fault else None)
                        if not self._ask(fault, client, target, piece):
                            return
                    else:
                        self.answered(piece)
                        if not self._answer(fault or self._hits(b""), client, piece):
                            return

    def _ask(self, fault: Fault | None, client: socket.socket, target: socket.socket, piece: bytes) -> bool:
        """Pass on what a client sends, or do not; says whether the connection goes on."""
        if fault is Fault.REFUSE:
            return False
        if fault is Fault.ERROR:
            client.sendall(self.error)
        elif fault is Fault.GARBAGE:
            client.sendall(GARBAGE)
            return False
        elif fault is not Fault.HANG:
            target.sendall(piece)
        return True

    @staticmethod
    def _answer(fault: Fault | None, client: socket.socket, piece: bytes) -> bool:
        """Pass on a piece of an answer, or do not; says whether the connection goes on."""
        if fault in (Fault.REFUSE, Fault.DROP):
            return False
        if fault is Fault.TRUNCATE:
            client.sendall(piece[:TRUNCATED_AFTER])
            return False
        if fault is Fault.DRIP:
            for at in range(len(piece)):
                client.sendall(piece[at : at + 1])
                time.sleep(DRIP_SECONDS)
        elif fault is not Fault.HANG:
            client.sendall(piece)
        return True

    def _hits(self, piece: bytes) -> Fault | None:
        """Return the fault that hits a request, or a connection that has sent nothing yet."""
        with self._lock:
            if self._fault is None or not self._only.search(piece):
                return None
            self.injected += bool(piece) or self._fault is Fault.REFUSE
            return self._fault

    def _cut(self) -> None:
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _ignore(_: bytes) -> None:
    """Do nothing with a piece."""
