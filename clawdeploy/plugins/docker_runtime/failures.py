"""What can go wrong between us and an engine, translated to our own errors with sentences for people."""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from docker.errors import DockerException

from clawdeploy.core.errors import EngineError, RuntimeFailure, RuntimeUnavailable

LONGEST_DETAIL = 300

PORT_IN_USE = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)
"""Docker's own bookkeeping, the kernel (through Docker or Podman), and Docker Desktop."""
PORT_ALLOCATED = re.compile(r"port is already allocated", re.IGNORECASE)
TASK_LEFT = re.compile(
    r"\btask \S+: already exists|\bid already in use|\bmkdir \S+/io\.containerd\.\S+: file exists", re.IGNORECASE
)
"""Of what one start of a container has left behind, in the way of the next: its process, or what containerd keeps.

``container with given ID already exists`` is not among them: the engine clears that away as it says so (Docker 20.10).
"""

NO_SUCH_IMAGE = re.compile(r"no such image|image not known", re.IGNORECASE)
NAME_IN_USE = re.compile(r"name .* is already in use", re.IGNORECASE)

_FOREIGN_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    DockerException,
    OSError,
    ValueError,
)
LET_REMOVE = "Whoever runs this server has to remove or rename it; then try again."
_NONSENSE = "Docker answered in a way that ClawDeploy does not understand."


class EngineRefusal(RuntimeFailure):
    """The engine answered with an error; ``status`` is its HTTP status and ``said`` its own words."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"Docker says: {said}")
        self.status = status
        self.said = said


def one_line(text: str) -> str:
    """Return the text on one line of bounded length, without control characters."""
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * LONGEST_DETAIL])
    line = " ".join(printable.split())
    return line if len(line) <= LONGEST_DETAIL - 20 else f"{line[: LONGEST_DETAIL - 21]}…"


def refusal(response: requests.Response, address: str) -> EngineRefusal | RuntimeUnavailable:
    """Return the error that an answer with an error status stands for."""
    if response.status_code in (502, 503, 504):
        return RuntimeUnavailable("Docker is not able to answer right now.", one_line(address))
    if response.status_code == 304:
        return EngineRefusal(304, "it is so already")
    try:
        said = response.json()["message"]
    except (ValueError, TypeError, KeyError):
        return RuntimeUnavailable("What answers is not a Docker Engine.", one_line(address))
    return EngineRefusal(response.status_code, one_line(str(said)))


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn errors of the libraries below us into ``RuntimeUnavailable``; ours pass."""
    try:
        yield
    except EngineError:
        raise
    except _FOREIGN_ERRORS as error:
        raise RuntimeUnavailable(_sentence(error), one_line(address)) from error


@contextmanager
def not_understood() -> Iterator[None]:
    """Turn the failure to read an answer that lacks what every engine says into ``RuntimeUnavailable``."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise RuntimeUnavailable(_NONSENSE) from error


def _sentence(error: BaseException) -> str:
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "Docker did not answer in time."
    for cause in _causes(error):
        # Where an answer stops in its middle, requests calls that a broken connection.
        if isinstance(cause, TimeoutError):
            return "Docker did not answer in time."
        if isinstance(cause, FileNotFoundError):
            return "There is no Docker Engine. Is it installed and started?"
        if isinstance(cause, PermissionError):
            return "ClawDeploy's user may not use Docker. Add the user to the group docker and sign in again."
        if isinstance(cause, ConnectionRefusedError):
            return "Nothing answers where Docker should be. Is Docker started?"
    if isinstance(error, requests.ConnectionError | OSError) and not isinstance(error, ValueError):
        return "The connection to Docker failed."
    return _NONSENSE


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
