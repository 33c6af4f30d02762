"""The connection to an engine: one request a call, an answer in bounded time, and only our own errors.

docker-py gives the transport (Unix sockets, TCP, registry credentials). Its methods are not used, because they take
one timeout for everything, switch it off altogether while they stream, and pass on errors of four libraries.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import docker
from requests import Response

from clawdeploy.plugins.docker_runtime.failures import EngineRefusal, not_understood, refusal, translated
from clawdeploy.plugins.docker_runtime.observing import began
from clawdeploy.plugins.docker_runtime.transport import TcpAdapter, UnixAdapter, all_within

T = TypeVar("T", bound=dict[str, Any] | list[Any])

LOCAL_SOCKET = "unix:///var/run/docker.sock"

CONNECT_SECONDS = 2.0
PING_SECONDS = 3.0
LOOK_SECONDS = 4.0
"""For calls that only look: whoever waits for a change that begins with a look is answered within 5 seconds."""
ANSWER_SECONDS = 10.0
WORK_SECONDS = 30.0
"""For calls that make the engine do something: many bots that start at once wait for each other in the engine."""

PREFERRED_API = (1, 41)
"""The API that everything here was tried with, Docker 20.10's; newer engines still speak it, or say what they need."""

UNPROTECTED = (
    "{} is asked without encryption and without a password: whoever reaches that port, or is on the way to it, can "
    "become root there. Lead it through a tunnel (ssh -N -L /run/clawdeploy.sock:/var/run/docker.sock HOST) and set "
    "DOCKER_HOST=unix:///run/clawdeploy.sock."
)

POOL = 64
CHUNK = 64 * 1024


class Engine:
    """One engine at one address. Making it contacts nobody, and any number of threads may share it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.host = urlsplit(address).hostname
        """The engine's host name when it is reached over the network, ``None`` for a Unix socket."""
        self.warning = "" if self.host is None or _is_this_machine(self.host) else UNPROTECTED.format(address)
        self._lock = threading.Lock()
        self._session: docker.APIClient | None = None
        self._process = 0
        self._api: str | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        data: bytes | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> Any:
        """Send one request and return its JSON, ``None`` when the answer is empty.

        Only ``ask`` makes sure that it is what it should be. ``timeout`` is in seconds. Raises ``EngineRefusal`` for
        an error that the engine reports (304, "it is so already", is one of them), and ``RuntimeUnavailable`` when
        it does not answer or answers nonsense.
        """
        with translated(self.address):
            response = self._send(method, path, timeout, params=params, json=body, data=data)
            return response.json() if response.content else None

    def ask(self, kind: type[T], path: str, params: Mapping[str, str] | None = None) -> T:
        """Send a GET and return its JSON, which must be a ``dict`` or a ``list`` as ``kind`` says."""
        said = self.call("GET", path, params=params, timeout=LOOK_SECONDS)
        with not_understood():
            if not isinstance(said, kind):
                raise TypeError(type(said))
        return said

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = ANSWER_SECONDS,
        total: float = ANSWER_SECONDS,
    ) -> Iterator[Iterator[bytes]]:
        """Send one request and give its answer piece by piece.

        ``timeout`` bounds the wait for each piece and ``total`` all of them, in seconds. Raises like ``call``.
        """
        with translated(self.address):
            deadline = time.monotonic() + total
            response = self._send(method, path, timeout, params=params, headers=headers, stream=True)
            try:
                yield _until(deadline, response)
            finally:
                response.close()

    def version(self, timeout: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Ask the engine what it is, and remember which version of the API to speak with it."""
        with translated(self.address):
            said = self._request("GET", "/version", timeout).json()
        with not_understood():
            low, high = _numbers(said.get("MinAPIVersion", "1.12")), _numbers(said["ApiVersion"])
            self._api = ".".join(map(str, max(low, min(high, PREFERRED_API))))
            return dict(said)

    def listens_since(self) -> datetime | None:
        """Return when the engine's socket was made: a moment before the engine that made it looks at its containers.

        It is much older where systemd made it, and may be younger where something stands in front of the engine.
        ``None`` for an engine on the network.
        """
        if self.host is not None:
            return None
        with suppress(OSError):
            return datetime.fromtimestamp(Path(self.address.removeprefix("unix://")).stat().st_mtime, UTC)
        return None

    def session(self) -> docker.APIClient:
        """Return this process's connections. Those made before a fork would be shared with the parent."""
        with self._lock:
            if self._session is None or self._process != os.getpid():
                self._process = os.getpid()
                # The version given here is not used; without one the constructor would contact the engine.
                self._session = docker.APIClient(self.address, version="1.41", timeout=int(ANSWER_SECONDS))
                if self.host is None:
                    self._session.mount("http+docker://", UnixAdapter(self.address.removeprefix("unix://"), POOL))
                else:
                    self._session.mount("http://", TcpAdapter(POOL))
                # Neither a proxy nor ~/.netrc has any business between us and the engine.
                self._session.trust_env = False
            return self._session

    def began(self) -> datetime | None:
        """Return when the engine started, ``None`` where it was told to have no network by which that can be told."""
        try:
            return began(self.ask(dict, "/networks/bridge"))
        except EngineRefusal as refused:
            if refused.status == 404:
                return None
            raise

    def close(self) -> None:
        """Give back the connections."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = None

    def _send(self, method: str, path: str, timeout: float, **rest: Any) -> Response:
        # No lock is held while the engine is asked for its version: behind one that hangs, callers would queue up.
        if self._api is None:
            self.version(timeout)
        try:
            return self._request(method, f"/v{self._api}{path}", timeout, **rest)
        except EngineRefusal as refused:
            if "client version" not in refused.said:
                raise
        # The engine was replaced by another version that does not speak as we did until now.
        self.version(timeout)
        return self._request(method, f"/v{self._api}{path}", timeout, **rest)

    def _request(self, method: str, path: str, timeout: float, **rest: Any) -> Response:
        session = self.session()
        with all_within(timeout):
            response = session.request(
                method, f"{session.base_url}{path}", timeout=(CONNECT_SECONDS, timeout), allow_redirects=False, **rest
            )
        if response.status_code >= 300:
            raise refusal(response, self.address)
        return response


def _until(deadline: float, response: Response) -> Iterator[bytes]:
    chunks = response.iter_content(CHUNK)
    while True:
        with all_within(deadline - time.monotonic()):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
