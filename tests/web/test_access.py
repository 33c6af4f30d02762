"""Who may call what; that no route forgets to ask is in ``test_isolation.py``."""

from pathlib import Path
from typing import Any

import falcon.inspect
import pytest

from clawdeploy.core.contracts import AuthProvider, Credentials, Identity
from clawdeploy.core.hookspecs import hookimpl
from tests.web.people import SYNC_SECRET, Site, problem

LOOKED_AT = (
    "/",
    "/api/health",
    "/api/openapi.json",
    "/robots.txt",
    "/sitemap.xml",
    "/favicon.ico",
    "/apple-touch-icon.png",
)
PUBLIC = {
    ("GET", "/sign-in/{token}"),
    ("POST", "/sign-in/{token}"),
    *((method, path) for path in LOOKED_AT for method in ("GET", "HEAD")),
}
ADMIN = {("POST", "/api/admin/sync"), ("GET", "/metrics")}


def routes(site: Site) -> set[tuple[str, str]]:
    """Return every method and address of our own, and of the default plugins."""
    return {
        (method.method, route.path)
        for route in falcon.inspect.inspect_routes(site.app)
        for method in route.methods
        if not method.internal
    }


def test_the_router_knows_what_the_requirements_ask_for(site: Site) -> None:
    assert routes(site) >= {
        ("GET", "/api/instances"),
        ("POST", "/api/instances"),
        ("GET", "/api/instances/{instance_id}"),
        ("PATCH", "/api/instances/{instance_id}"),
        ("DELETE", "/api/instances/{instance_id}"),
        ("POST", "/api/instances/{instance_id}/start"),
        ("POST", "/api/instances/{instance_id}/stop"),
        ("GET", "/api/instances/{instance_id}/logs"),
        ("GET", "/api/channels"),
        ("GET", "/api/models"),
        ("GET", "/api/blueprints"),
        ("GET", "/dashboard"),
        ("POST", "/sign-out"),
        *PUBLIC,
        *ADMIN,
    }


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic YW5uOmFubg==", "Bearer abc", "\xff\xfe", "Bearer cd_\xe9"]
)
def test_odd_authorization_headers_are_just_not_signed_in(site: Site, header: str) -> None:
    answer = site.anybody().get("/api/instances", authorization=header)
    problem(answer, 401, answer.json["code"])


def test_a_bad_token_is_refused_even_beside_a_good_session(site: Site) -> None:
    answer = site.browser().get("/api/instances", authorization="Bearer cd_" + "x" * 43)
    problem(answer, 401, "invalid_credentials")


class TestAdmin:
    def test_with_the_secret(self, site: Site) -> None:
        """The secret holds a letter beyond ASCII, which travels as UTF-8 bytes that WSGI shows as Latin-1."""
        header = SYNC_SECRET.encode().decode("latin-1")
        assert site.anybody().post("/api/admin/sync", x_sync_secret=header).json == {"changes": []}

    @pytest.mark.parametrize("header", ["", "x", "open-sesame-", "open-sesame-\xe9", "open-sesame-\xc3\xa9 x"])
    def test_with_another_secret(self, site: Site, header: str) -> None:
        answer = site.anybody().post("/api/admin/sync", x_sync_secret=header)
        problem(answer, 401, "invalid_credentials" if header else "not_signed_in")

    def test_a_user_is_no_admin(self, site: Site) -> None:
        problem(site.program().post("/api/admin/sync"), 401, "not_signed_in")

    def test_the_metrics_have_a_secret_of_their_own(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        watched = Site(tmp_path_factory.mktemp("watched"), METRICS_SECRET="\u00e9yes", SYNC_SECRET=SYNC_SECRET)
        anybody = watched.anybody()
        assert anybody.get("/metrics", authorization="Bearer \xc3\xa9yes").status_int == 200
        for header in (None, "Bearer", "Bearer ", "Basic \xc3\xa9yes", "\xc3\xa9yes"):
            problem(anybody.get("/metrics", authorization=header, accept="text/html"), 401, "not_signed_in")
        for header in (
            "Bearer \xe9yes",
            "Bearer yes",
            "Bearer \xc3\xa9yes ",
            "bearer x",
            "Bearer open-sesame-\xc3\xa9",
        ):
            problem(anybody.get("/metrics", authorization=f"Bearer {header}"), 401, "invalid_credentials")
        problem(watched.program().get("/metrics"), 401, "invalid_credentials")
        problem(anybody.get("/metrics", x_sync_secret=SYNC_SECRET.encode().decode("latin-1")), 401, "not_signed_in")
        watched.close()

    @pytest.mark.parametrize("header", [None, "", "None"])
    @pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
    def test_without_a_configured_secret_there_is_no_such_call(
        self, tmp_path_factory: pytest.TempPathFactory, header: str | None, method: str
    ) -> None:
        bare = Site(tmp_path_factory.mktemp("bare"))
        caller = bare.anybody()
        sent: dict[str, Any] = {"x_sync_secret": header, "authorization": header and f"Bearer {header}"}
        nothing = problem(caller.call(method, "/api/admin/nothing", **sent), 404, "not_found")
        for path in ("/api/admin/sync", "/metrics"):
            answer = problem(caller.call(method, path, **sent), 404, "not_found")
            assert {**answer, "requestId": "-"} == {**nothing, "requestId": "-"}
        bare.close()


class Stumbling:
    """An auth provider that fails in a way that is not foreseen, and would put the caller's credentials into it."""

    name = "stumbling"

    def authenticate(self, credentials: Credentials) -> Identity | None:
        raise LookupError(f"nobody is called {credentials.headers} {credentials.cookies}")

    @hookimpl
    def register_auth_providers(self) -> list[AuthProvider]:
        return [self]


def test_a_provider_that_fails_signs_nobody_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, plugins={"stumbling": Stumbling()})
    ann, browser = site.program(), site.browser()
    assert ann.get("/api/instances").status_int == 200, "the other providers are asked all the same"
    assert browser.get("/dashboard").status_int == 200
    stranger = site.anybody()
    stranger.headers["Authorization"] = "Bearer hunter2"
    for path in ("/api/instances", "/api/instances/one"):
        answer = stranger.get(path)
        problem(answer, 503, "sign_in_unavailable")
        assert answer.headers["Retry-After"] == "10"
        assert "WWW-Authenticate" not in answer.headers
    page = stranger.get("/dashboard", accept="text/html")
    assert page.status_int == 503, "a page does not lead to where one signs in"
    problem(site.forger().get("/api/instances"), 401, "invalid_credentials")
    assert stranger.get("/api/health").status_int == 200
    assert "Auth provider stumbling failed: LookupError in " in caplog.text
    assert "hunter2" not in caplog.text
    site.close()
