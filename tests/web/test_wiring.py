"""What cannot be served is refused when the application is made, not when somebody calls."""

from pathlib import Path

import falcon
import pytest

from clawdeploy.core.contracts import Route
from clawdeploy.core.errors import PluginError
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.platform import Platform
from clawdeploy.web.app import create_app
from tests.platforms import memory_platform
from tests.web.people import Site, problem


class Echo:
    """Answers with what it was sent."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"ok": True}

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = req.get_media()


class Misspelt:
    """Has a responder that the framework would never call."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer."""

    def on_pots(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Never be called."""


class Silent:
    """Has no responder at all."""


class Offering:
    """A plugin with routes."""

    def __init__(self, *routes: Route) -> None:
        self._routes = routes

    @hookimpl
    def register_routes(self, platform: Platform) -> tuple[Route, ...]:
        return self._routes


class Uncallable:
    """Has something where a responder should be."""

    on_get = "hello"


UNSERVABLE = [
    (Route("/api/x", Misspelt()), "/api/x (Misspelt) has a method on_pots"),
    (Route("/api/x", Silent()), "answers no method"),
    (Route("/api/x", None), "answers no method"),
    (Route("/api/x", Uncallable()), "on_get, which would never be called"),
    (Route("api/x", Echo()), "cannot be served there"),
    (Route("/api/{instance id}", Echo()), "cannot be served there"),
    (Route("/api/x", Echo(), "everyone"), "access 'everyone'"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("route", "said"), UNSERVABLE)
def test_a_route_that_cannot_be_served_is_the_failure_of_its_plugin(tmp_path: Path, route: Route, said: str) -> None:
    good, beside = Route("/api/good", Echo(), "public"), Route("/api/beside", Echo(), "public")
    site = Site(tmp_path, plugins={"odd": Offering(beside, route), "good": Offering(good)})
    errors = {report.name: report.error for report in site.platform.host.report()}
    assert said in errors["odd"]
    assert errors["good"] == ""
    assert site.anybody().get("/api/good").status_int == 200
    assert site.anybody().get("/api/beside").status_int == 404, "none of its routes is served"
    site.close()


@pytest.mark.parametrize(("route", "said"), UNSERVABLE)
def test_in_strict_mode_it_stops_the_start(tmp_path: Path, route: Route, said: str) -> None:
    platform = memory_platform(tmp_path, plugins={"odd": Offering(route)}, STRICT_PLUGINS="yes")
    with pytest.raises(PluginError, match="Plugin 'odd'") as refusal:
        create_app(platform)
    assert said in refusal.value.detail
    platform.close()


@pytest.mark.parametrize("address", ["/dashboard", "/api/instances/{other}", "/api/one/{b}"])
def test_an_address_that_is_taken_stops_the_start_naming_both(tmp_path: Path, address: str) -> None:
    """Which of the two a caller means, nobody could know. What a field is called makes no difference."""
    plugins: dict[str, object] = {
        "first": Offering(Route("/api/one/{a}", Echo())),
        "second": Offering(Route(address, Echo())),
    }
    platform = memory_platform(tmp_path, plugins=plugins)
    with pytest.raises(PluginError) as refusal:
        create_app(platform)
    owner = "plugin 'first'" if address.startswith("/api/one") else "the core"
    assert refusal.value.detail == f"The address {address} is taken twice: by {owner} and by plugin 'second'."
    platform.close()


def test_the_routes_of_plugins_are_protected_unless_they_say_otherwise(tmp_path: Path) -> None:
    routes = [Route("/api/one", Echo()), Route("/api/two", Echo(), "public"), Route("/api/three", Echo(), "admin")]
    site = Site(tmp_path, plugins={"echo": Offering(*routes)}, SYNC_SECRET="s")
    assert [site.anybody().get(f"/api/{name}").status_int for name in ("one", "two", "three")] == [401, 200, 401]
    assert site.program().get("/api/one").json == {"ok": True}
    assert site.anybody().get("/api/three", x_sync_secret="s").json == {"ok": True}
    site.close()


def test_plugins_read_bodies_as_strictly_as_we_do(tmp_path: Path) -> None:
    site = Site(tmp_path, plugins={"echo": Offering(Route("/api/echo", Echo()))})
    ann = site.program()
    assert ann.post("/api/echo", {"a": [1, "é"]}).json == {"a": [1, "é"]}
    problem(ann.call("POST", "/api/echo", b'{"a": NaN}', content_type="application/json"), 400, "malformed_json")
    problem(ann.call("POST", "/api/echo", b"a=1", content_type="application/x-www-form-urlencoded"),
            415, "unsupported_media_type")  # fmt: skip
    problem(ann.call("POST", "/api/echo", b"{}"), 415, "unsupported_media_type")
    problem(ann.call("POST", "/api/echo", b" " * 70_000, content_type="application/json"), 413, "body_too_large")
    site.close()
