"""The proxy fails as it says, or nothing that is tested with it is proved."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
import requests

from tests.faults.proxy import Fault, FaultProxy

pytestmark = pytest.mark.engine
SOCKET = "/var/run/docker.sock"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultProxy]:
    made = FaultProxy(str(tmp_path / "s"), SOCKET)
    yield made
    made.close()


@pytest.fixture
def ask(proxy: FaultProxy) -> Callable[[], object]:
    def call() -> object:
        with closing(docker.APIClient(f"unix://{proxy.address}", version="1.41", timeout=1)) as client:
            return client.version()["Version"]

    return call


def test_without_a_fault_everything_passes(proxy: FaultProxy, ask: Callable[[], object]) -> None:
    assert ask()
    assert proxy.injected == 0


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_is_felt_and_goes_away(proxy: FaultProxy, ask: Callable[[], object], fault: Fault) -> None:
    proxy.break_(fault)
    began = time.monotonic()
    if fault is Fault.DRIP:
        proxy.break_(fault, b"nothing like this")
        assert ask()
        proxy.break_(fault)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(proxy.address))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            assert client.recv(100) == b"H"
    else:
        with pytest.raises((requests.RequestException, docker.errors.DockerException)):
            ask()
    assert (time.monotonic() - began > 0.9) == (fault is Fault.HANG)
    assert proxy.injected > 0
    proxy.mend()
    assert ask()


def test_an_answer_that_is_dropped_was_asked_for(proxy: FaultProxy, ask: Callable[[], object]) -> None:
    answers: list[bytes] = []
    proxy.answered = answers.append
    proxy.break_(Fault.DROP, b"GET /v1.41/version")
    with pytest.raises(requests.RequestException):
        ask()
    assert answers[0].startswith(b"HTTP/1.1 200")
