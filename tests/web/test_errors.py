"""Every kind of error has its row in the one table, and every answer has the one shape."""

import logging
from collections.abc import Iterator
from pathlib import Path

import falcon
import pytest

from clawdeploy.core.contracts import Route
from clawdeploy.core.errors import ClawDeployError, DatabaseUnavailable, InvalidInput, RuntimeUnavailable, WrongKey
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.platform import Platform
from clawdeploy.web.errors import TABLE, problem_of
from tests.web.people import Site, problem


def kinds(base: type[ClawDeployError] = ClawDeployError) -> Iterator[type[ClawDeployError]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


# A plugin may derive kinds of its own; they are answered like what they derive from.
OURS = [kind for kind in kinds() if kind.__module__.startswith(("clawdeploy.core.", "clawdeploy.web."))]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_its_own_row(kind: type[ClawDeployError]) -> None:
    assert kind in TABLE


def test_codes_belong_to_one_kind_each() -> None:
    leaves = [kind for kind in OURS if "code" in vars(kind)]
    assert len({kind.code for kind in leaves}) == len(leaves)


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_only_documented_statuses(kind: type[ClawDeployError]) -> None:
    """A 500 is always a defect, and a 503 always says when to try again."""
    row = TABLE[kind]
    assert row.status in (400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 500, 503)
    assert row.status != 503 or row.retry_after


def test_an_error_of_a_plugin_is_answered_like_its_base() -> None:
    class ClawEngineOnFire(RuntimeUnavailable):
        code = "on_fire"

    answer = problem_of(ClawEngineOnFire("The engine is on fire."))
    assert (answer.status, answer.code, answer.detail) == (503, "on_fire", "The engine is on fire.")
    assert answer.headers == {"Retry-After": "10"}


RAISED: dict[str, Exception] = {
    "unexpected": ValueError("hunter2 is the password"),
    "key": WrongKey("/secret/path/key does not fit"),
    "database": DatabaseUnavailable("could not connect to db.internal:5432"),
    "engine": RuntimeUnavailable("Docker does not answer at /var/run/docker.sock."),
    "input": InvalidInput({"name": ["It is required."], "model": ["It must be a text."]}),
    "teapot": falcon.HTTPError("418 I'm a Teapot", description="Short and stout."),
    "gone": falcon.HTTPGone(),
    "unavailable": falcon.HTTPServiceUnavailable(description="inside information"),
    "limited": falcon.HTTPTooManyRequests(retry_after=7),
    "odd": falcon.HTTPError(499),
}


class Thrower:
    """Raises what its address says, before or in place of an answer."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, what: str) -> None:
        resp.media = {"secret": "half an answer"}
        raise RAISED[what]


class ThrowingRoutes:
    @hookimpl
    def register_routes(self, platform: Platform) -> list[Route]:
        return [Route("/api/throw/{what}", Thrower(), "public"), Route("/throw/{what}", Thrower(), "public")]


@pytest.fixture
def thrower(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, plugins={"throwing": ThrowingRoutes()})
    yield site
    site.close()


EXPECTED: dict[str, tuple[int, str, dict[str, str]]] = {
    "unexpected": (500, "internal_error", {}),
    "key": (500, "internal_error", {}),
    "database": (503, "database_unavailable", {"Retry-After": "5"}),
    "engine": (503, "runtime_unavailable", {"Retry-After": "10"}),
    "input": (400, "invalid_input", {}),
    "teapot": (418, "i_m_a_teapot", {}),
    "gone": (410, "gone", {}),
    "unavailable": (500, "internal_error", {}),
    "limited": (429, "too_many_requests", {"Retry-After": "7"}),
    "odd": (499, "unknown", {}),
}


@pytest.mark.parametrize("what", EXPECTED)
def test_one_shape_for_everything_that_is_raised(thrower: Site, what: str) -> None:
    status, code, headers = EXPECTED[what]
    answer = thrower.anybody().get(f"/api/throw/{what}")
    problem(answer, status, code)
    assert {name: answer.headers.get(name) for name in headers} == headers
    for inside in ("hunter2", "/secret/path", "db.internal", "inside information", "half an answer", "Traceback"):
        assert inside not in answer.text


def test_validation_says_which_fields_and_why(thrower: Site) -> None:
    said = problem(thrower.anybody().get("/api/throw/input"), 400, "invalid_input")
    assert said["errors"] == {"name": ["It is required."], "model": ["It must be a text."]}
    assert said["detail"] == "name: It is required. model: It must be a text."


@pytest.mark.parametrize(
    ("what", "inside"), [("unexpected", "hunter2"), ("key", "/secret/path"), ("database", "db.internal")]
)
def test_what_the_answer_hides_is_in_the_log(
    thrower: Site, what: str, inside: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        thrower.anybody().get(f"/api/throw/{what}")
    assert inside in caplog.text


@pytest.mark.parametrize("what", ["unexpected", "database", "input", "gone"])
def test_a_browser_gets_a_page(thrower: Site, what: str) -> None:
    answer = thrower.anybody().get(f"/throw/{what}?x=%22%3E%3Cscript%3E", accept="text/html")
    assert (answer.status_int, answer.content_type) == (EXPECTED[what][0], "text/html")
    assert answer.headers["X-Request-Id"] in answer.text
    assert "hunter2" not in answer.text
    assert "<script>" not in answer.text
    assert ("Try Again" in answer.text) == (answer.status_int >= 500)


def test_a_program_gets_a_document_on_a_page_too_when_it_asks(thrower: Site) -> None:
    problem(thrower.anybody().get("/throw/gone", accept="application/json"), 410, "gone")


def test_the_api_never_answers_with_a_page(site: Site) -> None:
    problem(site.anybody().get("/api/nothing-here", accept="text/html"), 404, "not_found")


def test_a_method_that_is_not_taken_says_which_are(site: Site) -> None:
    answer = site.program().call("PUT", "/api/instances")
    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "OPTIONS"}


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", ["WEBSOCKET", "BREW", "CONNECT"])
def test_methods_that_nobody_knows_are_refused_in_the_same_shape(site: Site, method: str) -> None:
    answer = site.program().call(method, "/api/instances")
    assert answer.status_int in (400, 405)
    problem(answer, answer.status_int, answer.json["code"])


def test_unknown_addresses_tell_nothing(site: Site) -> None:
    said = problem(site.anybody().get("/api/instances/x/y/z"), 404, "not_found")
    assert set(said) == {"type", "title", "status", "detail", "code", "requestId"}
