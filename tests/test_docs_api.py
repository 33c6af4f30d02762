"""The examples of ``docs/api.md`` are what the server really answers, to the last member."""

from collections.abc import Iterator

import pytest

from tests.docs.facts import gather
from tests.docs.markdown import documents
from tests.docs.stage import Stage
from tests.docs.transcript import Exchange, Message, Play, differences, exchanges, without_each_member

API = documents()["docs/api.md"]

Played = tuple[Exchange, Message, list[str]]
"""A documented exchange, the real answer, and in what the two differ."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Played]]:
    stage = Stage(tmp_path_factory.mktemp("played"))
    play, heading = stage.play(), ""
    outcome: list[Played] = []
    for exchange in exchanges(API):
        if exchange.heading != heading:
            heading = exchange.heading
            stage.prepare(heading)
        real = play.send(exchange)
        outcome.append((exchange, real, list(play.differences(exchange.answer, real))))
    yield outcome
    stage.close()


def test_the_examples_of_the_api_are_real(played: list[Played]) -> None:
    assert [(exchange.request.start, said) for exchange, _, said in played if said] == []


def test_every_call_has_an_example() -> None:
    shown = {(each.heading, each.request.start.split(" ")[0]) for each in exchanges(API)}
    # The OpenAPI document is too long to be shown; it has tests of its own.
    routes = gather().routes - {"GET /api/openapi.json"}
    calls = {(f"`{route}`", route.split(" ")[0]) for route in routes if not route.startswith("HEAD ")}
    assert calls - shown == set()


def test_a_member_that_is_not_documented_is_found(played: list[Played]) -> None:
    tried = 0
    for exchange, real, _ in played:
        for lacking in without_each_member(exchange.answer.json):
            tried += 1
            assert list(differences(lacking, real.json)) != []
        for lacking in without_each_member(real.json):
            assert list(differences(exchange.answer.json, lacking)) != []
    assert tried > 200


def test_another_status_or_header_is_found(played: list[Played]) -> None:
    play = Play(lambda *_: None, {})
    for exchange, real, _ in played:
        documented = exchange.answer
        assert list(play.differences(Message("HTTP/1.1 200 Fine", {}, documented.json), real)) != []
        assert list(play.differences(Message(documented.start, {"X-None": "x"}, documented.json), real)) != []
