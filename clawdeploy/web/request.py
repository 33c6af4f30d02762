"""A request, and who is calling."""

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import falcon

from clawdeploy.core.context import begin_request, user
from clawdeploy.core.contracts import Credentials, Identity
from clawdeploy.core.errors import NotSignedIn
from clawdeploy.core.idempotency import Once
from clawdeploy.core.ratelimit import Standing


class Request(falcon.Request):
    """A request with an id from its first moment on, so that even one that no middleware sees is logged with it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.started = time.monotonic()
        self._identity: Identity | None = None
        self.once: Once | None = None
        self.standings: Sequence[Standing] = ()
        self.query: dict[str, Any] = {}
        self.peer = ""
        self.was_too_much = False
        begin_request()
        super().__init__(*arguments, **options)

    @property
    def credentials(self) -> Credentials:
        """What the caller sent to be recognized by; of a cookie that comes several times the first counts."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Credentials(headers, dict(self.cookies), self.peer)

    @property
    def identity(self) -> Identity:
        """Who is calling; known on protected routes only, ``NotSignedIn`` elsewhere."""
        if self._identity is None:
            raise NotSignedIn
        return self._identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        self._identity = identity
        user.set(identity.user_id)

    @property
    def caller(self) -> str:
        """The user id of the caller."""
        return self.identity.user_id

    @property
    def wants_part(self) -> bool:
        """Whether a script of our pages asks for the part of a page that changes, not for the whole page."""
        return self.get_header("HX-Request") == "true" and self.get_header("HX-History-Restore-Request") != "true"

    @property
    def target(self) -> str:
        """Path and query, in ASCII."""
        path = quote(self.path, safe="/:@!$&'()*+,;=~", errors="replace")
        return f"{path}?{self.query_string}" if self.query_string else path

    @property
    def is_api_call(self) -> bool:
        """Whether it is a program that calls, by the address."""
        return is_for_programs(self.path)

    @property
    def is_visit(self) -> bool:
        """Whether a browser is about to show the answer as a page; browsers that are a few years old do not say so."""
        if self.method != "GET" or self.is_api_call or self.wants_part:
            return False
        shown_as = self.get_header("Sec-Fetch-Dest")
        return (
            shown_as in ("document", "iframe") if shown_as else self.accept.startswith(falcon.MEDIA_HTML.split(";")[0])
        )

    @property
    def signed_in(self) -> bool:
        """Whether it is known who is calling."""
        return self._identity is not None


def is_for_programs(path: str) -> bool:
    """Say whether an address, or the template of one, is for programs alone."""
    return path in ("/api", "/metrics") or path.startswith("/api/")
