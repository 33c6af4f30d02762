"""The OpenAPI document tells of every call, of all that calls answer, and of nothing else."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import falcon.inspect
import openapi_spec_validator
import pytest
import webtest
from marshmallow import Schema, fields

from clawdeploy.core.contracts import (
    Access,
    AuthProvider,
    Call,
    Channel,
    CredentialField,
    Credentials,
    Identity,
    Route,
    documented,
)
from clawdeploy.core.errors import NameTaken
from clawdeploy.core.hookspecs import hookimpl
from tests.docs.facts import gather
from tests.docs.markdown import documents
from tests.docs.stage import Stage
from tests.docs.transcript import Exchange, Message, exchanges
from tests.web.conformance import PROBLEM, Conformance
from tests.web.people import SYNC_SECRET, Site, problem

ON_PAGES_ONLY = {"malformed_form", "credential_not_found", "sign_in_by_browser_needed"}
OUTSIDE_OF_CALLS = {"method_not_allowed", "range_not_satisfiable"}
"""Codes of answers to what is no call: a method that an address does not take, a part of a static file."""
SECURITY: Mapping[Access, list[str]] = {
    "public": [],
    "user": ["api_tokens", "local"],
    "admin": ["sync_secret"],
    "monitor": ["metrics_secret"],
}


def document(site: Site) -> dict[str, Any]:
    answer = site.anybody().get("/api/openapi.json")
    assert (answer.status_int, answer.content_type) == (200, "application/json")
    told: dict[str, Any] = answer.json
    return told


def operations(told: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and operation of everything that a document tells of."""
    for path, item in told["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, operation


def problems(told: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[tuple[str, int, bool | None]]:
    """Yield code and status of the errors of an operation, and whether ``Retry-After`` is promised."""
    conformance = Conformance(told)
    for status, part in operation["responses"].items():
        answer = conformance.resolved(part)
        if status.startswith(("4", "5")) and "content" in answer:
            schema = answer["content"][PROBLEM]["schema"]
            retry = conformance.resolved(answer["headers"].get("Retry-After"))
            for code in schema["properties"]["code"]["enum"]:
                yield code, int(status), None if retry is None else bool(retry.get("required"))


def test_it_is_a_valid_document(site: Site) -> None:
    openapi_spec_validator.validate(document(site))


def test_it_is_for_anybody_and_may_be_kept_for_a_while(site: Site) -> None:
    answer = site.anybody().get("/api/openapi.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert site.anybody().call("HEAD", "/api/openapi.json").headers["Content-Length"] == str(len(answer.body))
    assert SYNC_SECRET not in answer.text
    assert str(site.platform.installation) not in answer.text


def test_it_has_every_route_and_method_and_nothing_else(site: Site) -> None:
    """The pages are for people; all that they do can be done by calls."""
    served = {
        (method.method, route.path)
        for route in falcon.inspect.inspect_routes(site.app)
        for method in route.methods
        if not method.internal
    }
    pages = {(method, path) for method, path in served if path.startswith("/dashboard")}
    pages |= {(method, path) for method in ("GET", "HEAD") for path in ("/", "/robots.txt", "/sitemap.xml")}
    pages |= {(method, path) for method in ("GET", "HEAD") for path in ("/favicon.ico", "/apple-touch-icon.png")}
    assert {(method, path) for method, path, _ in operations(document(site))} == served - pages


def test_it_says_who_may(site: Site) -> None:
    told = document(site)
    for method, path, operation in operations(told):
        anybody = site.anybody().send(method, path.replace("{instance_id}", "a" * 16))
        needed = [name for alternative in operation["security"] for name in alternative]
        assert (anybody.status_int == 401 or anybody.headers.get("Location") == "/") == bool(needed), (method, path)
        assert needed in SECURITY.values()
    assert set(told["components"]["securitySchemes"]) == {name for names in SECURITY.values() for name in names}


def test_what_does_not_exist_without_a_secret_is_not_told_of_without_one(tmp_path: Path) -> None:
    site = Site(tmp_path, SYNC_SECRET="", METRICS_SECRET="")
    told = document(site)
    site.close()
    assert "/api/instances" in told["paths"]
    assert not {"/api/admin/sync", "/metrics"} & set(told["paths"])
    assert set(told["components"]["securitySchemes"]) == set(SECURITY["user"])


def test_it_and_the_documents_tell_of_the_same_calls_and_errors(site: Site) -> None:
    told, facts = document(site), gather()
    calls = {f"{method} {path}" for method, path, _ in operations(told)}
    assert calls == {route for route in facts.routes if "/static/" not in route}
    found = {error for _, _, operation in operations(told) if operation for error in problems(told, {**operation})
             if "HEAD" not in operation["operationId"].upper()}  # fmt: skip
    assert {code for code, _, _ in found} == set(facts.codes) - ON_PAGES_ONLY - OUTSIDE_OF_CALLS
    for code, status, retry in found:
        documented_status, seconds = facts.codes[code]
        assert status == documented_status, code
        # A status can have codes with and without; the header is promised when all of them have it.
        assert retry is not None or seconds is None, code
        # How long a limit lasts differs each time, so that the table of codes names no number.
        assert not retry or seconds or code == "rate_limited", code


def test_it_describes_every_call(site: Site) -> None:
    for method, path, operation in operations(document(site)):
        assert re.fullmatch(r"[A-Z].*\.", operation["summary"]), (method, path)


def test_every_call_of_ours_refuses_a_query_that_it_does_not_know(site: Site) -> None:
    ann = site.program()
    made = ann.create()
    for method, path, operation in operations(document(site)):
        if path.startswith("/api/"):
            address = path.replace("{instance_id}", made["id"]) + "?surprise=1"
            answer = ann.send(method, address, x_sync_secret=SYNC_SECRET.encode().decode("latin-1"))
            assert answer.status_int == 400, (method, path)
            assert not any(parameter["name"] == "surprise" for parameter in operation.get("parameters", ()))


@pytest.mark.parametrize("query", ["?limit=1", "?surprise=1"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE"])
def test_a_method_that_is_not_taken_is_refused_whatever_the_query(site: Site, method: str, query: str) -> None:
    answer = site.program().call(method, f"/api/instances{query}")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST, OPTIONS"


# -- answers are as documented -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Conformance, list[tuple[Exchange, Message]]]]:
    """All examples of ``docs/api.md``, which make every call, with their real answers."""
    stage = Stage(tmp_path_factory.mktemp("played"))
    play, answers, heading = stage.play(), [], ""
    for exchange in exchanges(documents()["docs/api.md"]):
        if exchange.heading != heading:
            heading = exchange.heading
            stage.prepare(heading)
        answers.append((exchange, play.send(exchange)))
    told = webtest.TestApp(play.app).get("/api/openapi.json").json
    yield Conformance(told), answers
    stage.close()


Played = tuple[Conformance, list[tuple[Exchange, Message]]]


def complaints(conformance: Conformance, exchange: Exchange, answer: Message) -> list[str]:
    method, address = exchange.request.start.split(" ")
    response = webtest.TestResponse(
        status=answer.start.removeprefix("HTTP/1.1 "),
        headerlist=list(answer.headers.items()),
        body=b"" if answer.json is None else json.dumps(answer.json).encode(),
    )
    return list(conformance.complaints(method, address.partition("?")[0], response))


def test_the_examples_are_as_it_says(played: Played) -> None:
    """What was sent is what a call takes, and what was answered is what it gives; the documents and it agree."""
    conformance, answers = played
    for exchange, answer in answers:
        assert complaints(conformance, exchange, answer) == [], exchange.request.start
        assert (
            complaints(conformance, exchange, exchange.answer) == []
            or "/static/" in exchange.request.start
            or ("X-Request-Id is missing" in complaints(conformance, exchange, exchange.answer))
        )
        method, address = exchange.request.start.split(" ")
        operation = conformance.operation(method, address.partition("?")[0])
        if operation is not None and exchange.request.json is not None:
            taken = operation["requestBody"]["content"]["application/json"]["schema"]
            wrong = list(conformance.errors(taken, exchange.request.json))
            assert bool(wrong) == (answer.start == "HTTP/1.1 400 Bad Request"), wrong


FREE = {"config", "errors"}
"""Members in which callers, or the names of their fields, may be anything."""


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object inside of a value whose members are ours."""
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            if name not in FREE:
                yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


def changed(answer: Message, change: Callable[[dict[str, Any]], Iterable[object]]) -> Iterator[Message]:
    """Yield copies of an answer in which one object was changed in one way."""
    for at, found in enumerate(objects(answer.json)):
        for way in change(found):
            copy = deepcopy(answer)
            (the_copy,) = [each for number, each in enumerate(objects(copy.json)) if number == at]
            if isinstance(way, str):
                del the_copy[way]
            else:
                the_copy["surprise"] = way
            yield copy


OPTIONAL = {"nextCursor", "errors", *("container", "containerId")}
"""Members that are not in every answer of their kind; the evidence of what happened has only what says something."""


def test_a_member_that_it_does_not_tell_of_or_that_is_missing_is_found(played: Played) -> None:
    conformance, answers = played
    tried = 0
    for exchange, answer in answers:
        if conformance.operation(*exchange.request.start.partition("?")[0].split(" ")) is None:
            continue
        for other in [*changed(answer, lambda _: [1]), *changed(answer, lambda found: set(found) - OPTIONAL)]:
            tried += 1
            assert complaints(conformance, exchange, other) != [], other.json
    assert tried > 200


def test_another_status_media_type_or_header_is_found(played: Played) -> None:
    conformance, answers = played
    for exchange, answer in answers:
        if conformance.operation(*exchange.request.start.partition("?")[0].split(" ")) is None:
            continue
        without = {name: value for name, value in answer.headers.items() if name.lower() != "x-request-id"}
        assert complaints(conformance, exchange, Message(answer.start, without, answer.json)) != []
        assert complaints(conformance, exchange, Message("HTTP/1.1 418 Teapot", answer.headers, answer.json)) != []
        if answer.json is not None:
            other = {**answer.headers, "Content-Type": "text/plain"}
            assert complaints(conformance, exchange, Message(answer.start, other, answer.json)) != []


# -- plugins -------------------------------------------------------------------------------------------------------


class Fax:
    """A channel of a plugin."""

    name, label, help = "fax", "Fax", "It beeps."
    credential_fields: tuple[CredentialField, ...] = (CredentialField("faxNumber", "Number", "On your bill.", "FAX"),)
    bot_config: Mapping[str, object] = {}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        return {}


class Stamps:
    """An auth provider of a plugin."""

    name = "stamps"
    security_scheme: Mapping[str, str] = {"type": "apiKey", "in": "header", "name": "X-Stamp"}

    def authenticate(self, credentials: Credentials) -> Identity | None:
        return None


class Seals(Stamps):
    """One that says nothing about what it takes."""

    name = "seals"

    def __getattribute__(self, name: str) -> Any:
        if name == "security_scheme":
            raise AttributeError(name)
        return super().__getattribute__(name)


class Pages(Schema):
    """What a plugin's call takes in its query."""

    pages = fields.Integer(required=True)


class Sent(Schema):
    """What it gives."""

    sent = fields.Integer(required=True)


class FaxMachine:
    """A resource of a plugin, of which one call is documented."""

    @documented(Call(Sent(), query=Pages(), raises=(NameTaken,)))
    def on_get(self, req: Any, resp: Any, number: str) -> None:
        """Count what was sent.

        From the first day on.
        """
        if req.query["pages"] == 13:
            raise NameTaken
        resp.media = {"sent": req.query["pages"]}

    def on_post(self, req: Any, resp: Any, number: str) -> None:
        resp.media = {"anything": number}


class Faxes:
    """The plugin."""

    @hookimpl
    def register_channels(self) -> list[Channel]:
        return [Fax()]

    @hookimpl
    def register_auth_providers(self) -> list[AuthProvider]:
        return [Stamps(), Seals()]

    @hookimpl
    def register_routes(self) -> list[Route]:
        return [Route("/api/fax/{number:int}", FaxMachine()), Route("/fax/{number}", FaxMachine(), "public")]


@pytest.fixture
def faxing(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, plugins={"faxes": Faxes()})
    yield site
    site.close()


def test_what_plugins_add_is_in_it(faxing: Site) -> None:
    told = document(faxing)
    openapi_spec_validator.validate(told)
    new = told["components"]["schemas"]["NewInstance"]["properties"]
    assert new["channel"]["enum"] == ["telegram", "discord", "whatsapp", "fax"]
    assert set(new["credentials"]["properties"]) == {"botToken", "faxNumber"}
    schemes = told["components"]["securitySchemes"]
    assert (schemes["stamps"], schemes["seals"]) == (Stamps.security_scheme, {"type": "http", "scheme": "bearer"})
    call = told["paths"]["/api/fax/{number}"]["get"]
    assert (call["summary"], call["description"]) == ("Count what was sent.", "From the first day on.")
    assert {"stamps": []} in call["security"]
    assert call["parameters"] == [{"in": "query", "name": "pages", "required": True, "schema": {"type": "integer"}}]
    assert told["components"]["schemas"]["Sent"]["additionalProperties"] is False
    assert ("name_taken", 409, None) in set(problems(told, call))
    anything = told["paths"]["/api/fax/{number}"]["post"]
    assert set(anything["responses"]) == {"401", "default"}
    assert told["paths"]["/fax/{number}"]["get"]["security"] == []


def test_what_a_plugin_says_of_a_call_is_held_against_it(faxing: Site) -> None:
    ann = faxing.program()
    assert ann.get("/api/fax/7?pages=3").json == {"sent": 3}
    for query in ("?pages=x", "", "?pages=3&more=1", "?pages=1&pages=2"):
        problem(ann.get(f"/api/fax/7{query}"), 400, "invalid_input")
    problem(ann.get("/api/fax/7?pages=13"), 409, "name_taken")
    assert ann.post("/api/fax/7?whatever=1").json == {"anything": 7}


def test_a_class_in_place_of_a_schema_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="not their classes"):
        Call(Sent)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not their classes"):
        Call(query=Pages)  # type: ignore[arg-type]
