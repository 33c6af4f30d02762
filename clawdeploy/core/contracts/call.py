"""What can be known of a call without making it: said beside its responder, read by whoever describes the API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

from clawdeploy.core.errors import ClawDeployError

Responder = TypeVar("Responder", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """What the OpenAPI document says of a responder, besides its docstring.

    ``gives`` is the JSON of a success, or its media type when that is not JSON; empty when it has no body. ``status``
    and ``headers`` (a sentence for each name) are those of a success, too. ``pages`` are other successes that a person
    may get instead: a sentence for each status. ``query`` are the query parameters: what
    it does not know is refused, what it makes of them is ``req.query``. ``takes`` is what the document calls the JSON
    of the request. ``raises`` are the kinds of errors that belong to this call, subclasses included, and ``refuses``
    the statuses of those that the framework raises; what every call of the same kind may be answered with needs no
    saying.
    """

    gives: Schema | str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pages: Mapping[int, str] = field(default_factory=dict)
    query: Schema | None = None
    takes: str = ""
    raises: tuple[type[ClawDeployError], ...] = ()
    refuses: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.gives, Schema | str) or not isinstance(self.query, Schema | None):
            raise TypeError("A Call takes schemas, such as Person(), not their classes.")


def documented(call: Call) -> Callable[[Responder], Responder]:
    """Decorate a responder with what is known of its call."""

    def decorate(responder: Responder) -> Responder:
        responder.call = call  # type: ignore[attr-defined]
        return responder

    return decorate


def call_of(responder: object) -> Call | None:
    """Return what was said of a responder, ``None`` when nothing was."""
    call = getattr(responder, "call", None)
    return call if isinstance(call, Call) else None
