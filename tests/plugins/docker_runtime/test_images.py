"""Getting images: what people are told when one cannot be had."""

from collections.abc import Mapping

import pytest

from clawdeploy.core.errors import ImageUnavailable, RuntimeUnavailable
from clawdeploy.plugins.docker_runtime.failures import LONGEST_DETAIL
from clawdeploy.plugins.docker_runtime.images import because, events
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.conftest import MakeRuntime

HERE = (200, {"Id": "sha256:0"})
ABSENT = (404, {"message": "No such image: bot:1"})


def pulling(make_runtime: MakeRuntime, image: str, answers: Mapping[str, engines.Answer]) -> list[str]:
    script = engines.Script(dict(answers))
    with engines.scripted(script) as address:
        make_runtime(address=address).pull(image)
    return script.asked


def test_a_pull_ends_with_the_image_on_the_host(make_runtime: MakeRuntime) -> None:
    progress = b'{"status": "Pulling"}\r\n{"status": "Downloading", "progressDetail": {"current": 1}}\r\nodd\n[]\n'
    asked = pulling(make_runtime, "bot:1", {"POST /images/create": (200, progress), "GET /images/bot:1/json": HERE})
    assert asked[1] == "POST /v1.41/images/create?fromImage=bot&tag=1"


@pytest.mark.parametrize(
    ("image", "query"),
    [
        ("bot", "fromImage=bot&tag=latest"),
        ("ghcr.io/openclaw/openclaw:1.2", "fromImage=ghcr.io%2Fopenclaw%2Fopenclaw&tag=1.2"),
        ("registry:5000/bot", "fromImage=registry%3A5000%2Fbot&tag=latest"),
    ],
)
def test_one_version_is_pulled_never_all(make_runtime: MakeRuntime, image: str, query: str) -> None:
    asked = pulling(make_runtime, image, {"POST /images/create": (200, b""), f"GET /images/{image}/json": HERE})
    assert asked[1].endswith(query)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("pull access denied for bot, repository does not exist or may require 'docker login': denied", "may not down"),
        ("manifest for bot:1 not found: manifest unknown: manifest unknown", "There is no such image."),
        ("toomanyrequests: You have reached your pull rate limit.", "try again later"),
        ('Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host', "reached"),
        ('Get "https://r.example/v2/": net/http: request canceled (Client.Timeout exceeded)', "reached"),
        ("write /var/lib/docker/tmp/x: no space left on device", "disk is full"),
        ("something\nquite \x1b[31mnew" + "x" * 1000, "Docker says: something quite"),
    ],
)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_reason_is_told_to_a_person(make_runtime: MakeRuntime, said: str, told: str, status: int) -> None:
    body: object = {"error": said, "errorDetail": {"message": said}} if status == 200 else {"message": said}
    with pytest.raises(ImageUnavailable, match=told) as caught:
        pulling(make_runtime, "bot:1", {"POST /images/create": (status, body)})
    assert "bot:1" in caught.value.detail
    assert len(caught.value.detail) <= LONGEST_DETAIL
    assert caught.value.detail.isprintable()


def test_a_pull_that_succeeded_without_an_image_did_not_succeed(make_runtime: MakeRuntime) -> None:
    with pytest.raises(ImageUnavailable, match="is not on this server"):
        pulling(make_runtime, "bot:1", {"POST /images/create": (200, b""), "GET /images/bot:1/json": ABSENT})


def test_an_engine_that_goes_away_while_it_pulls_is_not_the_images_fault(make_runtime: MakeRuntime) -> None:
    with pytest.raises(RuntimeUnavailable):
        make_runtime(address="unix:///nowhere/engine.sock").pull("bot:1")


@pytest.mark.engine
@pytest.mark.parametrize("image", ["clawdeploy.invalid/bot:1", "127.0.0.1:1/bot", "UPPER/case:1", "a b"])
def test_images_that_cannot_be_had_from_a_real_engine(runtime: DockerRuntime, image: str) -> None:
    assert not runtime.has_image((image,))
    with pytest.raises(ImageUnavailable) as caught:
        runtime.pull(image)
    assert image in caught.value.detail


def test_progress_may_be_cut_anywhere() -> None:
    assert [*events([b'{"a"', b': 1}\n{"b": 2', b"}"])] == [{"a": 1}, {"b": 2}]
    assert [*events([b"x" * 5_000_000, b"\n", b'{"c": 3}\n'])] == [{"c": 3}]


def test_a_sentence_is_bounded() -> None:
    assert len(because("bot:" + "x" * 400, "y" * 4000)) <= LONGEST_DETAIL
