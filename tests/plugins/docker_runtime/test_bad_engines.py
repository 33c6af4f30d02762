"""No engine, a hung one, one that talks nonsense: always our own error, soon, with a sentence."""

import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Limits, Observation, Probe
from clawdeploy.core.errors import RuntimeFailure, RuntimeUnavailable
from clawdeploy.plugins.docker_runtime.engine import LOOK_SECONDS, Engine
from clawdeploy.plugins.docker_runtime.failures import LONGEST_DETAIL, EngineRefusal, one_line, translated
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.conftest import MakeRuntime

SPEC = ContainerSpec(images=("bot:1",), container_port=80, limits=Limits(2**20, 0.5, 10))
ID = "a" * 64
CALLS: dict[str, Callable[[DockerRuntime], object]] = {
    "create": lambda runtime: runtime.create("one", 10000, SPEC),
    "pull": lambda runtime: runtime.pull("bot:1"),
    "start": lambda runtime: runtime.start(ID, "one", SPEC),
    "stop": lambda runtime: runtime.stop(ID, 1),
    "remove": lambda runtime: runtime.remove(ID),
    "discard": lambda runtime: runtime.discard("one"),
    "observe": lambda runtime: runtime.observe("one"),
    "observe_all": lambda runtime: runtime.observe_all(),
    "logs": lambda runtime: runtime.logs(ID, 10),
    "ping": lambda runtime: runtime.ping(),
    "has_image": lambda runtime: runtime.has_image(("bot:1",)),
}
NOT_AN_ANSWER: tuple[object, ...] = (None, "text", 5, b"", b"not JSON")
NOT_A_CONTAINER = (*NOT_AN_ANSWER, [], {}, {"Config": 5}, {"Config": {"Labels": None}, "State": {}})
NONSENSE: dict[str, tuple[object, ...]] = {
    "create": (*NOT_AN_ANSWER, [], {}, {"id": "in lower case"}),
    "pull": NOT_AN_ANSWER,
    "start": NOT_A_CONTAINER[:-1],
    "stop": NOT_A_CONTAINER[:-1],
    "remove": NOT_A_CONTAINER[:-1],
    "logs": NOT_A_CONTAINER[:-1],
    "discard": (*NOT_AN_ANSWER, [], {}, {"Volumes": [{}]}),
    "observe": NOT_A_CONTAINER,
    "observe_all": (*NOT_AN_ANSWER, {}, [5], [{}], [{"Labels": 5}]),
    "has_image": (*NOT_AN_ANSWER, []),
}


def unavailable(call: Callable[[DockerRuntime], object], runtime: DockerRuntime) -> str:
    """Make a call that must fail as it should, and return its sentence."""
    with pytest.raises(RuntimeUnavailable) as caught:
        call(runtime)
    detail = caught.value.detail
    assert len(detail) <= LONGEST_DETAIL
    assert detail.isprintable()
    assert runtime._engine.address not in detail, "an owner has no use for the place of a socket"
    return detail


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_without_a_socket_every_call_says_so(
    make_runtime: MakeRuntime, call: Callable[[DockerRuntime], object]
) -> None:
    assert "Is it installed and started?" in unavailable(call, make_runtime(address="unix:///nowhere/engine.sock"))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff garbage \r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"ApiVersion": "newest"}',
        b"HTTP/1.1 301 Moved\r\nLocation: http://example.org/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n[]",
        b'HTTP/1.1 503 Later\r\nContent-Length: 16\r\n\r\n{"message": "x"}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_nonsense_is_never_believed(
    make_runtime: MakeRuntime, call: Callable[[DockerRuntime], object], answer: bytes
) -> None:
    with engines.saying(answer) as address:
        unavailable(call, make_runtime(address=address))


@pytest.mark.parametrize(("call", "said"), [(call, said) for call, answers in NONSENSE.items() for said in answers])
def test_an_engine_that_leaves_out_what_every_engine_says_is_not_understood(
    make_runtime: MakeRuntime, call: str, said: object
) -> None:
    class Always(dict[str, engines.Answer]):
        def __missing__(self, key: str) -> engines.Answer:
            return (200, said)

    script = engines.Script({})
    script.answers = Always(script.answers)
    with engines.scripted(script) as address:
        unavailable(CALLS[call], make_runtime(address=address))


def test_a_hung_engine_is_given_up_soon_by_all_who_ask(make_runtime: MakeRuntime) -> None:
    with engines.silent() as address, ThreadPoolExecutor(8) as threads:
        runtime, begun = make_runtime(address=address), time.monotonic()
        asked = [threads.submit(unavailable, CALLS["ping"], runtime) for _ in range(8)]
        assert all("did not answer in time" in each.result() for each in asked)
        assert time.monotonic() - begun < 6


def test_a_look_at_a_hung_engine_is_given_up_in_time(make_runtime: MakeRuntime) -> None:
    with engines.silent() as address:
        runtime, begun = make_runtime(address=address), time.monotonic()
        unavailable(CALLS["observe"], runtime)
        assert LOOK_SECONDS - 0.5 < time.monotonic() - begun < LOOK_SECONDS + 2


def test_an_answer_that_never_ends_is_given_up() -> None:
    script = engines.Script({"GET /endless": (200, b"x" * 10_000_000)})
    with engines.scripted(script) as address:
        engine = Engine(address)
        with (
            pytest.raises(RuntimeUnavailable, match="did not answer in time"),
            engine.stream("GET", "/endless", total=0) as chunks,
        ):
            list(chunks)
        engine.close()


@pytest.mark.parametrize("over", ["unix", "tcp"])
@pytest.mark.parametrize("whole", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
def test_an_answer_that_comes_byte_by_byte_is_given_up(whole: bytes, over: str) -> None:
    """Each piece comes in time, of the head of the answer or of its body, and the whole would take for ever."""
    with engines.dripping(whole, over) as address:
        engine = Engine(address)
        calls: list[Callable[[], object]] = [
            lambda: engine.version(timeout=0.5),
            lambda: engine.call("GET", "/endless", timeout=0.5),
        ]
        for call in calls:
            begun = time.monotonic()
            with pytest.raises(RuntimeUnavailable, match="did not answer in time"):
                call()
            assert time.monotonic() - begun < 1.5
        engine._api = "1.41"
        begun = time.monotonic()
        with (
            pytest.raises(RuntimeUnavailable, match="did not answer in time"),
            engine.stream("GET", "/endless", timeout=0.5, total=0.5) as chunks,
        ):
            list(chunks)
        assert time.monotonic() - begun < 1.5
        engine.close()


def test_nobody_listens(make_runtime: MakeRuntime) -> None:
    with engines.socket_path() as path:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        assert "Is Docker started?" in unavailable(CALLS["ping"], make_runtime(address=f"unix://{path}"))
    assert "Is Docker started?" in unavailable(CALLS["ping"], make_runtime(address="tcp://127.0.0.1:1"))


def test_a_user_without_the_right_is_told_what_to_do() -> None:
    error = requests.ConnectionError("Connection aborted")
    error.__context__ = PermissionError(13, "Permission denied")
    with pytest.raises(RuntimeUnavailable, match="group docker") as caught, translated("unix:///run/docker.sock"):
        raise error
    assert "/run" not in caught.value.detail
    assert caught.value.for_log.endswith("sign in again. (Docker at unix:///run/docker.sock)")


def test_making_a_runtime_contacts_nobody(make_runtime: MakeRuntime) -> None:
    with engines.socket_path() as path, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        make_runtime(address=f"unix://{path}")
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_probe_never_raises(make_runtime: MakeRuntime) -> None:
    runtime = make_runtime(address="unix:///nowhere/engine.sock")
    assert not runtime.probe(Observation(ContainerState.RUNNING, ID, 1), Probe())
    assert not runtime.probe(Observation(ContainerState.RUNNING, ID, None), Probe())


@pytest.mark.engine
def test_an_engine_may_come_go_and_come_back(make_runtime: MakeRuntime) -> None:
    with engines.socket_path() as path:
        runtime = make_runtime(address=f"unix://{path}")
        unavailable(CALLS["observe"], runtime)
        for _ in range(2):
            with engines.relay(lambda _: False, path):
                assert runtime.observe("nobody").state is ContainerState.MISSING
            unavailable(CALLS["observe"], runtime)


@pytest.mark.engine
def test_connections_are_not_shared_with_a_forked_process(runtime: DockerRuntime) -> None:
    runtime.ping()
    parents = runtime._engine.session()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if runtime._engine.session() is not parents and runtime.ping().name else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert runtime._engine.session() is parents


@pytest.mark.parametrize(
    ("lowest", "highest", "spoken"), [("1.12", "1.41", "1.41"), ("1.24", "1.40", "1.40"), ("1.44", "1.52", "1.44")]
)
def test_it_speaks_what_the_engine_understands(
    make_runtime: MakeRuntime, lowest: str, highest: str, spoken: str
) -> None:
    script = engines.Script({"GET /containers/json": (200, [])})
    script.answers["GET /version"] = (200, {**engines.VERSION, "ApiVersion": highest, "MinAPIVersion": lowest})
    with engines.scripted(script) as address:
        assert make_runtime(address=address).observe_all() == {}
    assert script.asked[1].startswith(f"GET /v{spoken}/containers/json")


def test_an_engine_that_was_upgraded_is_asked_again_what_it_speaks(make_runtime: MakeRuntime) -> None:
    script = engines.Script({"GET /containers/json": (200, [])})
    with engines.scripted(script) as address:
        runtime = make_runtime(address=address)
        runtime.observe_all()
        too_old = "client version 1.41 is too old. Minimum supported API version is 1.44"
        script.answers["GET /version"] = (200, {**engines.VERSION, "ApiVersion": "1.52", "MinAPIVersion": "1.44"})
        script.answers["GET /containers/json"] = (400, {"message": too_old})
        with pytest.raises(RuntimeFailure):
            runtime.observe_all()
        script.answers["GET /containers/json"] = (200, [])
        assert runtime.observe_all() == {}
    assert script.asked[-1].startswith("GET /v1.44/")


def test_names_of_engines_are_for_people(make_runtime: MakeRuntime) -> None:
    podman = {**engines.VERSION, "Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}
    for said, name in ((engines.VERSION, "Docker 20.10.24"), (podman, "Podman 4.3.1")):
        with engines.scripted(engines.Script({"GET /version": (200, said)})) as address:
            assert make_runtime(address=address).ping().name == name


def test_what_an_engine_says_is_made_fit_to_show() -> None:
    assert one_line("a\nb\x1b[31mc\0\td\u202e") == "a b [31mc d"
    assert len(one_line("x" * 10_000)) < LONGEST_DETAIL
    assert len(EngineRefusal(500, one_line("x " * 10_000)).detail) <= LONGEST_DETAIL


def test_a_refusal_for_a_reason_of_its_own_is_a_failure(make_runtime: MakeRuntime) -> None:
    script = engines.Script({"GET /containers/json": (500, {"message": "layer\ndoes not exist"})})
    with engines.scripted(script) as address, pytest.raises(RuntimeFailure) as caught:
        make_runtime(address=address).observe_all()
    assert caught.value.detail == "Docker says: layer does not exist"


def test_a_folder_is_no_socket(make_runtime: MakeRuntime, tmp_path: Path) -> None:
    assert unavailable(CALLS["ping"], make_runtime(address=f"unix://{tmp_path}"))


@pytest.mark.engine
def test_many_threads_share_a_runtime_and_leave_no_connection_open(runtime: DockerRuntime) -> None:
    def sockets() -> int:
        return sum(
            os.path.realpath(entry).partition(":")[0].endswith("socket") for entry in Path("/proc/self/fd").iterdir()
        )

    before = sockets()
    with ThreadPoolExecutor(16) as threads:
        assert all(seen == {} for seen in threads.map(lambda _: runtime.observe_all(), range(200)))
        assert before < sockets() <= before + 16
    runtime.close()
    assert sockets() == before
