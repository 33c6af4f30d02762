"""docker-py's way to a Unix socket, mended in two places.

It leaves the socket open when nobody answers there, and has a pool of connections for each URL, so that a connection
is hardly ever used twice.
"""

import socket

from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool


class _Connection(UnixHTTPConnection):
    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self.unix_socket)
        except OSError:
            sock.close()
            raise
        self.sock = sock


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> _Connection:  # type: ignore[override]
        return _Connection(self.base_url, self.socket_path, self.timeout)  # type: ignore[arg-type]


class UnixAdapter(UnixHTTPAdapter):
    """Sends requests through one Unix socket and keeps up to ``connections`` open."""

    def __init__(self, path: str, connections: int) -> None:
        super().__init__(path)
        self._pool = _Pool("engine", self.socket_path, maxsize=connections)

    def get_connection(self, url: bytes | str, proxies: object = None) -> _Pool:  # noqa: ARG002 -- called by requests
        """Return the connections: the same for every address, as all of them lead to the same socket."""
        return self._pool

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
