"""Serving: the settings that gunicorn runs with, from the first bound socket to the last answered request."""

import errno
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from clawdeploy.core.config import Config
from clawdeploy.core.errors import ConfigurationError
from clawdeploy.core.logs import configure_logging
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import HOST, LOG_FORMAT, METRICS_SECRET, PORT, PUBLIC_ORIGIN, WAIT_SECONDS, WORKERS
from clawdeploy.web.app import create_app
from clawdeploy.web.middleware import security_headers
from clawdeploy.web.parent import Parent
from clawdeploy.web.shared_counts import count_together, shared_folder
from clawdeploy.web.worker import PatientWorker

THREADS = 32
GRACE_SECONDS = 25
"""How long requests that are under way when the server ends are waited for at least."""
ANSWERED_WITHIN = 5
"""Seconds that a request takes at most besides its wait for the outcome of a change."""
CONNECTIONS = 1000
BACKLOG = 1024
FREE_WITHIN = 3.0
"""Seconds that an address is waited for. Workers whose parent was killed notice it within one, and leave theirs."""
ASKS_AGAIN = 0.1


def serve(config: Config, open_platform: Callable[[], Platform], announce: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then leave by ``SystemExit``: 0 when all is well, else 1 with the reason logged.

    ``open_platform`` is called once in each worker process, after the fork, so that no connection or thread is
    shared. What it raises ends the server, unless a worker was ready before: then it is tried again. ``announce`` is
    called once, in this process, when the first worker is ready; it must leave nothing open either, because a worker
    that ends is replaced by a fork of this process. Raises ``ConfigurationError`` when the address cannot be listened
    on.
    """
    configure_logging(config[LOG_FORMAT])
    listener = listen(config[HOST], config[PORT])
    with ExitStack() as ending:
        shared = ending.enter_context(shared_folder()) if config[METRICS_SECRET] else None
        _Server(config, listener, open_platform, announce, shared).run()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an IP address; raises ``ConfigurationError`` with a sentence that helps.

    One that is in use is waited for a moment: it may be that of a server that was killed.
    """
    deadline = time.monotonic() + FREE_WITHIN
    while True:
        try:
            return _listening(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise ConfigurationError(_why_not(error, host, port)) from None
        time.sleep(ASKS_AGAIN)


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another program. Stop that one, or set {PORT.name} to another port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"This user may not listen on port {port}. Set {PORT.name} to a port from 1024 up."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine. Set {HOST.name} to one that is, such as 127.0.0.1."
    return f"The server cannot listen on port {port} of {host}: {error.strerror}. Set {HOST.name} and {PORT.name}."


class _Server(BaseApplication):
    """gunicorn, with our settings and nothing read from its own files, variables or arguments."""

    def __init__(
        self,
        config: Config,
        listener: socket.socket,
        open_platform: Callable[[], Platform],
        announce: Callable[[], None],
        shared: Path | None,
    ) -> None:
        self._config = config
        self._shared = shared
        self._open_platform = open_platform
        self._platform: Platform | None = None
        # gunicorn takes the descriptor over; it stays open although this object forgets it.
        self._descriptor = listener.detach()
        self._announce = announce
        self.security_headers = security_headers(config[PUBLIC_ORIGIN])
        super().__init__()

    def load_config(self) -> None:
        """Set everything that is not gunicorn's default."""
        settings: dict[str, Any] = {
            "bind": f"fd://{self._descriptor}",
            "workers": self._config[WORKERS],
            # Its threads deal with requests that are there; worker.py, connections.py and waiting.py say what slow
            # clients get, and how many of these threads they can keep at most.
            "worker_class": PatientWorker,
            "threads": THREADS,
            # Connections of one process at a time, most of which may be silent. Further ones wait in the backlog.
            "worker_connections": CONNECTIONS,
            "graceful_timeout": max(GRACE_SECONDS, self._config[WAIT_SECONDS] + ANSWERED_WITHIN),
            # Longer than a page waits between two looks while something is changing; a kept connection costs no thread.
            "keepalive": 15,
            # The kernel would wait for the client by itself, in a thread that nobody counts.
            "sendfile": False,
            # Sizes beyond which nothing is read any more: of the line with the address, and of the headers.
            # The most that there is: a sign-in may bring a signed answer in the address, or several tokens in cookies.
            "limit_request_line": 8190,
            "limit_request_fields": 60,
            "limit_request_field_size": 16380,
            # Nothing that a client says about who it is or where it came from is believed.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            "control_socket_disable": True,
            "logger_class": _QuietLogger,
            "proc_name": "clawdeploy",
            "worker_exit": self._worker_ends,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application, in a worker; whatever it raises is why the worker cannot start."""
        self._platform = self._open_platform()
        if self._shared:
            count_together(self._shared)
        app = create_app(self._platform, self._shared)
        self._platform.start_background()
        return app

    def run(self) -> None:
        """Serve until told to stop."""
        try:
            Parent(self, self._announce).run()
        except SystemExit as end:
            # gunicorn has many exit codes, the command line has three.
            raise SystemExit(1 if end.code else 0) from None

    def _worker_ends(self, arbiter: Any, worker: Any) -> None:
        if self._platform is not None:
            self._platform.close()


class _QuietLogger(Logger):
    """gunicorn's log, sent where our own goes; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        """Leave the configuration of logging as it is, and let our handlers have the entries."""
        self.error_log.propagate = True

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Log nothing."""

    def reopen_files(self) -> None:
        """There are no files."""
