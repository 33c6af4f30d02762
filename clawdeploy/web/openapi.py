"""The OpenAPI document, made of what is there: routes, what is said beside responders, schemas, the table of errors."""

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import falcon
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from clawdeploy.core.config import Setting
from clawdeploy.core.contracts import Access, Call, Route, call_of, documented
from clawdeploy.core.fields import said
from clawdeploy.core.idempotency import HEADER, KEPT
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import METRICS_SECRET, SYNC_SECRET
from clawdeploy.web.answers import PROBLEM_TYPE
from clawdeploy.web.body import MOST_BYTES
from clawdeploy.web.errors import PROBLEM
from clawdeploy.web.expected import Expected, expected, phrase, takes_body, takes_key
from clawdeploy.web.middleware import SYNC_SECRET_HEADER
from clawdeploy.web.queries import INSTANCE_ID, ApiResource
from clawdeploy.web.request import Request, is_for_programs
from clawdeploy.web.strict_json import DEEPEST, LARGEST_INTEGER

OPENAPI = "3.1.0"
VERSION = "1"
"""Of the API, not of the program: fields may join, none is renamed, and what the server runs is nobody's business."""
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
"""What the format has a place for."""
FIVE_MINUTES = "public, max-age=300"
ABOUT = f"""Deploys personal OpenClaw bots.

What no schema says: a body is one JSON object of at most {MOST_BYTES} bytes, nested at most {DEEPEST} levels deep,
whose whole numbers are at most {LARGEST_INTEGER}, up or down; `NaN`, a name twice in one object, half a surrogate pair
and a NUL character are refused, and so are query parameters that a call does not know, or that come twice."""
PATH_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "instance_id": {"type": "string", "pattern": f"^{INSTANCE_ID.pattern}$"},
}
PAGE = "text/html"
ERROR = {"$ref": "#/components/schemas/Problem"}
ANYTHING = {**said("Whatever the plugin answers."), "content": {PROBLEM_TYPE: {"schema": ERROR}, "*/*": {}}}
NOTHING = {"type": "object", "additionalProperties": False}
TEXT = {"type": "string"}
HEADERS: Mapping[str, dict[str, Any]] = {
    "X-Request-Id": {"required": True, **said("Names the request in the server's log."), "schema": TEXT},
    "Retry-After": {**said("Seconds after which to try again."), "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"required": True, **said("How to sign in."), "schema": TEXT},
    "Idempotency-Replayed": {**said("That this answer was given before."), "schema": {**TEXT, "enum": ["true"]}},
}
KEY = {
    "name": HEADER,
    "in": "header",
    **said(
        f"Sent again within {KEPT.total_seconds() / 3600:.0f} hours with the same key and body, nothing is done twice."
    ),
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}

SECRETS: Mapping[Access, Setting[str]] = {"admin": SYNC_SECRET, "monitor": METRICS_SECRET}
"""The settings without which calls of some kinds do not exist."""


class OpenApi(ApiResource):
    """``/api/openapi.json``, for anyone: it tells no more than the documents of the product and the landing page do."""

    def __init__(self) -> None:
        self._bytes = b""

    def describe(self, platform: Platform, routes: Iterable[Route]) -> None:
        """Make the document, once, of all routes that it is to tell of."""
        self._bytes = json.dumps(document(platform, routes)).encode()

    @documented(Call("application/json"))
    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Describe every call."""
        resp.content_type = falcon.MEDIA_JSON
        resp.set_header("Cache-Control", FIVE_MINUTES)
        resp.data = self._bytes

    on_head = on_get


def document(platform: Platform, routes: Iterable[Route]) -> dict[str, Any]:
    """Return the OpenAPI document of some routes, as JSON values."""
    # Without their secret those calls do not exist.
    missing = {access for access, setting in SECRETS.items() if not platform.config[setting]}
    made = _Document(platform, [route for route in routes if route.access not in missing])
    for route in made.routes:
        made.add(route)
    return dict(made.spec.to_dict())


class _Document:
    def __init__(self, platform: Platform, routes: list[Route]) -> None:
        self.routes = routes
        self.spec = APISpec("ClawDeploy", VERSION, OPENAPI, [MarshmallowPlugin(_name)], info={"description": ABOUT})
        schemes = platform.security_schemes()
        self._security: Mapping[Access, list[dict[str, list[str]]]] = {
            "public": [],
            "user": [{name: []} for name in schemes],
            "admin": [{"sync_secret": []}],
            "monitor": [{"metrics_secret": []}],
        }
        self._answers: dict[str, str] = {}
        components = self.spec.components
        components.schema("Problem", schema=PROBLEM)
        components.schema("NewInstance", schema=platform.schemas.new)
        components.schema("InstanceChange", schema=platform.schemas.change)
        if platform.config[SYNC_SECRET]:
            components.security_scheme("sync_secret", {"type": "apiKey", "in": "header", "name": SYNC_SECRET_HEADER})
        if platform.config[METRICS_SECRET]:
            components.security_scheme("metrics_secret", {"type": "http", "scheme": "bearer"})
        for name, scheme in schemes.items():
            components.security_scheme(name, dict(scheme))
        for name, header in HEADERS.items():
            components.header(name, header)

    def add(self, route: Route) -> None:
        """Tell of all calls at one address."""
        operations = {method.lower(): self._operation(route, method, call) for method, call in _calls(route)}
        self.spec.path(_path(route), operations=operations, parameters=list(_path_parameters(route)))

    def _operation(self, route: Route, method: str, known: Call | None) -> dict[str, Any]:
        call = known or Call()
        answers = self._problems(route, method, call)
        if known:
            answers[str(call.status)] = self._success(route, method, call)
            for status, sentence in call.pages.items():
                headers = {"X-Request-Id": "X-Request-Id"}
                answers[str(status)] = {**said(sentence), "headers": headers, "content": {PAGE: {}}}
        else:
            # Where a plugin says nothing, it may answer anything to whomever it is called by.
            answers = {status: answers[status] for status in ("303", "401") if status in answers}
            answers["default"] = ANYTHING
        told = inspect.getdoc(getattr(route.resource, f"on_{method.lower()}")) or ""
        summary, _, description = told.partition("\n\n")
        operation: dict[str, Any] = {
            "operationId": _operation_id(route, method),
            "summary": " ".join(summary.split()),
            "security": self._security[route.access],
            "responses": answers,
        }
        parameters: list[dict[str, Any]] = [{"in": "query", "schema": call.query}] if call.query else []
        parameters += [KEY] if takes_key(route, method) else []
        operation |= {"description": description} if description else {}
        operation |= {"parameters": parameters} if parameters else {}
        if takes_body(route, method):
            content = {falcon.MEDIA_JSON: {"schema": call.takes or NOTHING}}
            operation["requestBody"] = {"required": bool(call.takes), "content": content}
        return operation

    def _success(self, route: Route, method: str, call: Call) -> dict[str, Any]:
        headers: dict[str, Any] = {"X-Request-Id": "X-Request-Id"}
        for name, sentence in call.headers.items():
            headers[name] = {"required": True, **said(sentence), "schema": TEXT}
        if takes_key(route, method):
            headers["Idempotency-Replayed"] = "Idempotency-Replayed"
        answer: dict[str, Any] = {**said(phrase(call.status)), "headers": headers}
        if call.gives and method != "HEAD":
            is_json = isinstance(call.gives, Schema)
            answer["content"] = {falcon.MEDIA_JSON: {"schema": call.gives}} if is_json else {call.gives: {}}
        if call.status == 201:
            answer["links"] = dict(self._links(call))
        return answer

    def _links(self, call: Call) -> Iterator[tuple[str, dict[str, Any]]]:
        """Lead from an instance that was made to every call that is about one."""
        if isinstance(call.gives, Schema) and "instance" in call.gives.fields:
            for route in self.routes:
                if isinstance(route.resource, ApiResource) and "{instance_id}" in route.template:
                    for method, _ in _calls(route):
                        name = _operation_id(route, method)
                        yield name, {"operationId": name, "parameters": {"instance_id": "$response.body#/instance/id"}}

    def _problems(self, route: Route, method: str, call: Call) -> dict[str, Any]:
        has_pages = not is_for_programs(route.template)
        answers: dict[str, Any] = {}
        for status, group in groupby(expected(route, method, call), key=lambda each: each.status):
            answers[str(status)] = self._shared(status, _problem(status, list(group), method, has_pages))
        if has_pages and "401" in answers:
            location = {"required": True, **said("The landing page."), "schema": TEXT}
            answers["303"] = {**said("To a browser in place of 401."), "headers": {"Location": location}}
        return answers

    def _shared(self, status: int, answer: dict[str, Any]) -> str:
        """Return the name of an answer that many calls have in common."""
        content = json.dumps(answer)
        if content not in self._answers:
            number = sum(name.startswith(f"{status}-") for name in self._answers.values()) + 1
            self._answers[content] = f"{status}-{number}"
            self.spec.components.response(self._answers[content], answer)
        return self._answers[content]


def _problem(status: int, errors: list[Expected], method: str, has_pages: bool) -> dict[str, Any]:
    meanings = "\n".join(f"- `{error.code}`: {error.meaning.removesuffix('.')}." for error in errors)
    headers: dict[str, Any] = {"X-Request-Id": "X-Request-Id"}
    if all(error.retry_after for error in errors):
        headers["Retry-After"] = {**HEADERS["Retry-After"], "required": True}
    elif any(error.retry_after for error in errors):
        headers["Retry-After"] = "Retry-After"
    if status == 401:
        headers["WWW-Authenticate"] = "WWW-Authenticate"
    answer = {**said(f"{phrase(status)}\n\n{meanings}"), "headers": headers}
    if method != "HEAD":
        narrowed = {"status": {"const": status}, "code": {"enum": [error.code for error in errors]}}
        schema = {**ERROR, "properties": narrowed}
        answer["content"] = {PROBLEM_TYPE: {"schema": schema}} | ({PAGE: {}} if has_pages else {})
    return answer


def _name(schema: Schema | type[Schema]) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Answer")


def _path(route: Route) -> str:
    """Return the address without the framework's converters."""
    return re.sub(r"{(\w+)[^}]*}", r"{\1}", route.template)


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)", route.template):
        yield {"name": name, "in": "path", "required": True, "schema": dict(PATH_FIELDS.get(name, TEXT))}


def _calls(route: Route) -> Iterator[tuple[str, Call | None]]:
    for method in METHODS:
        responder = getattr(route.resource, f"on_{method.lower()}", None)
        if responder is not None:
            yield method, call_of(responder)


def _operation_id(route: Route, method: str) -> str:
    return "_".join([method.lower(), *re.findall(r"\w+", _path(route))])
