"""What may stand in an address: query parameters and ids."""

import re
from collections.abc import Mapping
from typing import ClassVar

import falcon

from clawdeploy.core.errors import InstanceNotFound, InvalidInput
from clawdeploy.web.request import Request

Parameters = Mapping[str, tuple[str, ...]]

INSTANCE_ID = re.compile(r"[a-z0-9]{16}")


class ApiResource:
    """Base of our own API resources: a query parameter that they do not name is refused, not ignored.

    ``parameters`` names those that each method takes.
    """

    parameters: ClassVar[Parameters] = {}


class QueryCheck:
    """Middleware that refuses query parameters which the resource does not take, or which come twice."""

    def process_resource(
        self,
        req: Request,
        resp: falcon.Response,
        resource: object,
        params: Mapping[str, object],
    ) -> None:
        """Raise ``InvalidInput`` by the name of the first parameter that is wrong."""
        if not isinstance(resource, ApiResource):
            return
        known = resource.parameters.get(req.method, ())
        for name, value in req.params.items():
            if name not in known:
                takes = f"It takes {' and '.join(known)}." if known else "It takes none."
                raise InvalidInput({name[:100]: [f"This call has no such query parameter. {takes}"]})
            if isinstance(value, list):
                raise InvalidInput({name: ["Give this query parameter once."]})


def read_number(req: Request, name: str, low: int, high: int) -> int | None:
    """Return a whole number from the query, ``None`` when it is not there; raises ``InvalidInput``."""
    text = req.params.get(name)
    if text is None:
        return None
    if not (isinstance(text, str) and re.fullmatch("[0-9]{1,9}", text) and low <= int(text) <= high):
        raise InvalidInput({name: [f"It must be a whole number from {low} to {high}."]})
    return int(text)


def read_instance_id(text: str) -> str:
    """Return ``text`` if it has the form of an instance id; raises ``InstanceNotFound``.

    Nothing of another form ever reaches the database: databases fail in different ways on odd texts.
    """
    if not INSTANCE_ID.fullmatch(text):
        raise InstanceNotFound
    return text
