"""People and programs who use the server in tests, with real credentials, and the server they use."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import webtest

from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.platform import Platform
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from clawdeploy.web.app import App, create_app
from tests.platforms import GOOD, memory_platform
from tests.web.conformance import Conformance

SYNC_SECRET = "open-sesame-\u00e9"
METRICS_SECRET = "metrics-secret"


UNHURRIED = {"RATE_LIMIT": "1000/second", "SIGN_IN_LIMIT": "1000/second", "VISITOR_LIMIT": "0"}
"""Settings for tests that do in a second what takes people an hour, and are not about that."""


class Site:
    """A platform on the memory runtime, or on one wrapped around it, and the application that serves it.

    The limits of what may be done in a minute are out of the way, unless a test sets them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        plugins: dict[str, object] | None = None,
        clock: Callable[[], datetime] = utc_now,
        **settings: Any,
    ) -> None:
        settings = {**UNHURRIED, **settings}
        self.memory = MemoryRuntime()
        self.settings = settings
        self.platform: Platform = memory_platform(folder, runtime=self.wrap, plugins=plugins, clock=clock, **settings)
        self.app: App = create_app(self.platform)
        self._conformance: Conformance | None = None

    def wrap(self, installation: str) -> Runtime:
        """Return the runtime of the platform; a site that is to fail overrides it."""
        self.memory = MemoryRuntime(installation)
        return self.memory

    def anybody(self) -> "Caller":
        """Return a caller without any credential."""
        return Caller(self, {})

    def program(self, user: str = "ann") -> "Caller":
        """Return a caller with an API token."""
        token, _ = self.platform.credentials.issue("api_token", user, prefix="cd_")
        return Caller(self, {"Authorization": f"Bearer {token.reveal()}"})

    def forger(self) -> "Caller":
        """Return a caller with an API token that was never issued."""
        return Caller(self, {"Authorization": "Bearer cd_" + "x" * 43})

    def browser(self, user: str = "ann") -> "Caller":
        """Return a browser that opened a sign-in link, and keeps sending the cookie that came with it."""
        link, _ = self.platform.credentials.issue("sign_in_link", user, lifetime=timedelta(minutes=15))
        caller = Caller(self, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        answer = caller.call("GET", f"/sign-in/{link.reveal()}", sec_fetch_site="none")
        assert answer.status_int == 303, answer
        caller.test.reset()
        caller.headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        return caller

    def instances(self, user: str = "ann") -> list[dict[str, Any]]:
        """Return what the core says a user has, without asking over HTTP."""
        return [self.platform.instances.dump(one) for one in self.platform.instances.list(user).instances]

    def everything(self) -> object:
        """Return all that a refused request must leave as it is: rows and containers."""
        return [self.instances(user) for user in ("ann", "bob")], dict(self.memory.observe_all())

    def is_documented(self, method: str, path: str, answer: webtest.TestResponse) -> None:
        """Make sure that an answer is one that the OpenAPI document tells of; all calls of tests are looked at."""
        if self._conformance is None:
            # From elsewhere, so that this is no request of the callers.
            reader = webtest.TestApp(self.app, extra_environ={"REMOTE_ADDR": "192.0.2.99"})
            self._conformance = Conformance(reader.get("/api/openapi.json").json)
        complaints = list(self._conformance.complaints(method, path, answer))
        assert not complaints, (method, path, answer.status, complaints)

    def close(self) -> None:
        """Give everything back."""
        self.platform.close()


class Caller:
    """Somebody who calls, with headers that go with every call and a cookie jar."""

    def __init__(self, site: Site, headers: Mapping[str, str]) -> None:
        self.site = site
        self.headers = dict(headers)
        self.test = webtest.TestApp(site.app)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> webtest.TestResponse:
        """Send a request as it is and return the answer, whatever its status.

        Header names are given as ``content_type=...``; ``None`` leaves a header out.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**self.headers, **given}.items() if value is not None}
        request = webtest.TestRequest.blank(path, method=method, headers=sent)
        if body is None:
            request.environ.pop("CONTENT_LENGTH", None)
        else:
            request.body = body
        answer = self.test.do_request(request, status="*")
        self.site.is_documented(method, request.environ["PATH_INFO"], answer)
        return answer

    def get(self, path: str, **headers: str | None) -> webtest.TestResponse:
        """Look at something."""
        return self.call("GET", path, None, **headers)

    def post(self, path: str, fields: object = None, **headers: str | None) -> webtest.TestResponse:
        """Ask for something, with JSON fields or without a body."""
        return self.send("POST", path, fields, **headers)

    def send(self, method: str, path: str, fields: object = None, **headers: str | None) -> webtest.TestResponse:
        """Send JSON fields, or nothing when they are ``None``."""
        if fields is None:
            return self.call(method, path, None, **headers)
        body = webtest.utils.dumps(fields).encode()
        return self.call(method, path, body, **{"content_type": "application/json", **headers})

    def create(self, **fields: Any) -> dict[str, Any]:
        """Create an instance and return it."""
        answer = self.post("/api/instances", {**GOOD, **fields})
        assert answer.status_int == 201, answer
        made: dict[str, Any] = answer.json["instance"]
        return made


def problem(answer: webtest.TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem document of this kind, whole and traceable, and return it."""
    assert (answer.status_int, answer.content_type) == (status, "application/problem+json"), answer
    said: dict[str, Any] = answer.json
    assert {"type", "title", "status", "detail", "code", "requestId"} <= set(said)
    assert (said["status"], said["code"], said["type"]) == (status, code, f"urn:clawdeploy:error:{code}"), said
    assert said["requestId"] == answer.headers["X-Request-Id"]
    assert said["title"]
    assert said["detail"]
    return said
