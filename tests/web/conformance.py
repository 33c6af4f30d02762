"""Holding answers against the OpenAPI document: status, media type, headers and body."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import webtest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

HERE = "urn:openapi"
PROBLEM = "application/problem+json"


class Conformance:
    """Compares answers with a document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._registry: Registry[Any] = Registry().with_resource(HERE, DRAFT202012.create_resource(document))
        self._paths = {
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))): item for path, item in document["paths"].items()
        }

    def operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        """Return what is documented of a call at an address without its query, ``None`` when nothing is."""
        # An address without fields is meant before one with fields that it would fit, too.
        exact = self.document["paths"].get(path)
        fitting: Iterator[Mapping[str, Any]] = (item for form, item in self._paths.items() if form.fullmatch(path))
        operation: Mapping[str, Any] | None = (exact or next(fitting, {})).get(method.lower())
        return operation

    def complaints(self, method: str, path: str, response: webtest.TestResponse) -> Iterator[str]:
        """Say in what an answer is another one than the documented ones."""
        status, headers, body = response.status_int, response.headers, response.body
        operation = self.operation(method, path)
        if operation is None:
            if path.startswith("/api/"):
                yield from self._undocumented(method, status, headers, body)
            return
        answer = self.resolved(operation["responses"].get(str(status)) or operation["responses"].get("default"))
        if answer is None:
            yield f"{status} is not documented"
            return
        yield from self._headers(answer, headers)
        if method == "HEAD" or not answer.get("content"):
            if body:
                yield f"{status} has a body"
            return
        media_type = headers.get("Content-Type", "").partition(";")[0]
        content = answer["content"].get(media_type, answer["content"].get("*/*"))
        if content is None:
            yield f"{status} is {media_type}, which is not documented"
        elif "schema" in content:
            yield from self.errors(content["schema"], json.loads(body))

    def resolved(self, part: Any) -> Any:
        """Return a part of the document, looked up if it only refers to another one."""
        while isinstance(part, Mapping) and set(part) == {"$ref"}:
            found: Any = self.document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def errors(self, schema: Any, value: object) -> Iterator[str]:
        """Say what is wrong with a JSON value by a schema of the document."""
        whole = {"$id": HERE + ":part", "allOf": [_absolute(schema)]}
        checker = Draft202012Validator.FORMAT_CHECKER
        validator = Draft202012Validator(whole, registry=self._registry, format_checker=checker)
        for error in validator.iter_errors(value):
            yield f"{error.json_path}: {error.message}"

    def _undocumented(self, method: str, status: int, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
        """An address or a method that is not documented is not there, or answers a question about methods."""
        if status not in (400, 401, 403, 404, 405, 413, 429, 503) and not (method == "OPTIONS" and status == 200):
            yield f"{status} at an address that is not documented"
        if body:
            yield from self.errors({"$ref": "#/components/schemas/Problem"}, json.loads(body))

    def _headers(self, answer: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
        heard = {name.lower(): value for name, value in headers.items()}
        for name, part in answer.get("headers", {}).items():
            header = self.resolved(part)
            value: Any = heard.get(name.lower())
            if value is None:
                if header.get("required"):
                    yield f"{name} is missing"
                continue
            if header["schema"]["type"] == "integer" and value.isdigit():
                value = int(value)
            yield from (f"{name}: {said}" for said in self.errors(header["schema"], value))


def _absolute(schema: Any) -> Any:
    """Return a schema whose references lead to the document from anywhere."""
    if isinstance(schema, Mapping):
        return {name: HERE + inner if name == "$ref" else _absolute(inner) for name, inner in schema.items()}
    return [_absolute(inner) for inner in schema] if isinstance(schema, list) else schema
