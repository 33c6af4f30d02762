"""What may stand in an address: query parameters and ids."""

import re
from collections.abc import Mapping
from typing import Any

import falcon
from marshmallow import Schema, ValidationError, fields, missing, validate

from clawdeploy.core.contracts import call_of
from clawdeploy.core.errors import CredentialNotFound, InstanceNotFound, InvalidInput
from clawdeploy.core.fields import said
from clawdeploy.web.request import Request

INSTANCE_ID = re.compile(r"[a-z0-9]{16}")
CREDENTIAL_ID = re.compile(r"[0-9a-f]{12}")
NO_QUERY = Schema()


class ApiResource:
    """Base of our own API resources: a query parameter that their calls do not name is refused, not ignored."""


class QueryCheck:
    """Middleware that reads the query parameters, and refuses those that the call does not take or that come twice."""

    def process_resource(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        params: Mapping[str, object],
    ) -> None:
        """Note what the query says; raises ``InvalidInput`` by the names of the parameters that are wrong."""
        responder = getattr(resource, f"on_{req.method.lower()}", None)
        if responder is None:
            # The resource does not take the method, and that is what is wrong with the request.
            return
        call = call_of(responder)
        query = call.query if call else None
        if query is not None or isinstance(resource, ApiResource):
            req.query = read_query(query or NO_QUERY, req.params)


class WholeNumber(fields.Integer):
    """A whole number of plain digits: Python itself would also read signs, spaces and digits of other scripts."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if not re.fullmatch("[0-9]{1,9}", value):
            raise self.make_error("invalid")
        return super()._deserialize(value, *arguments, **options)


def whole_number(low: int, high: int, description: str, default: Any = missing) -> fields.Field[Any]:
    """Return the field of a query parameter that is a number from ``low`` to ``high``."""
    sentence = f"It must be a whole number from {low} to {high}."
    return WholeNumber(
        validate=validate.Range(low, high, error=sentence),
        error_messages={"invalid": sentence},
        metadata=said(description),
        load_default=default,
    )


def read_query(query: Schema, params: Mapping[str, str | list[str]]) -> dict[str, Any]:
    """Return what a schema makes of the parameters; raises ``InvalidInput``."""
    takes = f"It takes {' and '.join(query.fields)}." if query.fields else "It takes none."
    for name, value in params.items():
        if name not in query.fields:
            raise InvalidInput({name[:100]: [f"This call has no such query parameter. {takes}"]})
        if isinstance(value, list):
            raise InvalidInput({name: ["Give this query parameter once."]})
    try:
        return dict(query.load(params))
    except ValidationError as error:
        raise InvalidInput(error.normalized_messages()) from None


def read_instance_id(text: str) -> str:
    """Return ``text`` if it has the form of an instance id; raises ``InstanceNotFound``.

    Nothing of another form ever reaches the database: databases fail in different ways on odd texts.
    """
    if not INSTANCE_ID.fullmatch(text):
        raise InstanceNotFound
    return text


def read_credential_id(text: str) -> str:
    """Return ``text`` if it has the form of a credential's id; raises ``CredentialNotFound``."""
    if not CREDENTIAL_ID.fullmatch(text):
        raise CredentialNotFound
    return text
