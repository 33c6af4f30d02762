"""Nobody reaches what is not theirs, by any route that the router knows: none can be forgotten."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import falcon
import pytest

from clawdeploy.core.contracts import Access, Platform, Route
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.web.queries import read_instance_id
from tests.databases import PostgresServer
from tests.web import isolation
from tests.web.people import METRICS_SECRET, SYNC_SECRET, Site

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
    ("GET", "/open/{anything}"),
    *((method, path) for path in LOOKED_AT for method in ("GET", "HEAD")),
}
"""What is for anybody. Whoever makes a route public has to say so here, too."""
ACCESS: dict[str, Access] = {"/api/admin/sync": "admin", "/api/audit": "admin", "/metrics": "monitor"}
DATABASE = logging.getLogger("peewee")


class Notes:
    """A resource of a plugin that does everything right, and answers many methods."""

    def __init__(self, platform: Any = None) -> None:
        self.instances = platform and platform.instances

    def on_get(self, req: Any, resp: falcon.Response, **fields: str) -> None:
        if "instance_id" in fields:
            self.instances.get(req.caller, read_instance_id(fields["instance_id"]))
        resp.media = {"notes": []}

    on_put = on_post = on_patch = on_delete = on_get


class Plugin:
    """A plugin with a route of each kind, and what a test plants beside them."""

    def __init__(self, plant: Callable[[Any], list[Route]] = lambda _: []) -> None:
        self._plant = plant

    @hookimpl
    def register_routes(self, platform: Platform) -> list[Route]:
        return [
            Route("/open/{anything}", Opened(), "public"),
            Route("/notes/{number:int}", Notes()),
            Route("/api/notes", Notes()),
            Route("/api/audit", Notes(), "admin"),
            Route("/api/instances/{instance_id}/notes", Notes(platform)),
            Route("/notes/about/{instance_id}", Notes(platform)),
            *self._plant(platform),
        ]


class Opened:
    """A resource that is for anybody."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, anything: str) -> None:
        resp.media = {"open": "house"}


def built(folder: Path, plant: Callable[[Any], list[Route]] = lambda _: [], **settings: Any) -> Site:
    """Return a site on which changes are not limited, so that no answer tells how many there were before."""
    plugins: dict[str, object] = {"notes": Plugin(plant)}
    return Site(
        folder,
        plugins=plugins,
        **{"SYNC_SECRET": SYNC_SECRET, "METRICS_SECRET": METRICS_SECRET, "RATE_LIMIT": "0", **settings},
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.prove])])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site on each database, with routes of plugins."""
    settings: dict[str, Any] = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        settings["DATABASE_URL"] = server.create_database()
    site = built(tmp_path, **settings)
    yield site
    site.close()
    if settings:
        server.drop_database(settings["DATABASE_URL"])


def test_there_is_no_way_around_the_router(house: Site) -> None:
    assert isolation.open_doors(house) == []


def test_nobody_gets_in_without_a_good_credential(house: Site) -> None:
    assert list(isolation.let_in(house, isolation.served(house), PUBLIC, ACCESS)) == []


def test_no_other_site_changes_anything_with_somebodys_browser(house: Site) -> None:
    assert list(isolation.forged_changes(house, isolation.served(house), PUBLIC, ACCESS)) == []


def test_another_users_instance_does_not_exist(house: Site) -> None:
    assert list(isolation.told_apart(house, isolation.served(house), DATABASE)) == []


def test_an_id_that_cannot_be_one_is_not_looked_for(house: Site) -> None:
    assert list(isolation.odd_ids(house, isolation.served(house), DATABASE)) == []


def test_another_users_credential_does_not_exist(house: Site) -> None:
    """Bob can end none of Ann's, and does not learn from the answer that there is one."""
    house.program("ann")
    (record,) = house.platform.credentials.list("api_token", "ann")
    ann, bob = house.program("ann"), house.browser("bob")
    for accept in ("text/html", "application/json"):
        answers = [
            bob.post(f"/dashboard/account/{kind}/{one}/end", accept=accept, sec_fetch_site="same-origin")
            for kind, one in [
                ("api_token", record.id),
                ("api_token", "0" * 12),
                ("session", record.id),
                ("x", record.id),
                # A slash leads to another address.
                *(("api_token", odd) for odd in isolation.ODD_IDS if "%2f" not in odd.lower()),
            ]
        ]
        assert {answer.status_int for answer in answers} == {404}
        seen = {answer.text.replace(answer.headers["X-Request-Id"], "") for answer in answers}
        assert len(seen) == 1, seen
    assert record.id in {one.id for one in house.platform.credentials.list("api_token", "ann")}
    assert ann.get("/api/instances").status_int == 200


def test_another_users_cursor_and_key_lead_to_nothing_of_theirs(house: Site) -> None:
    ann, bob = house.program("ann"), house.program("bob")
    for number in range(3):
        ann.create(name=f"of ann {number}")
    key = {"idempotency_key": "the-same"}
    of_ann = ann.post("/api/instances", {"name": "a", "model": "gpt-5.2", "channel": "telegram"}, **key).json
    cursor = ann.get("/api/instances?limit=1").json["nextCursor"]
    assert bob.get(f"/api/instances?cursor={cursor}").json == {"instances": []}
    of_bob = bob.post("/api/instances", {"name": "b", "model": "gpt-5.2", "channel": "telegram"}, **key).json
    assert (of_bob["instance"]["userId"], of_bob["instance"]["name"]) == ("bob", "b")
    assert of_bob["instance"]["id"] != of_ann["instance"]["id"]


# -- a check that was forgotten is found ---------------------------------------------------------------------------


class Forgetful(Notes):
    """Resources of which each forgets a check in its own way."""

    def __init__(self, platform: Any, how: str) -> None:
        super().__init__(platform)
        self._store = platform.instances._store
        self._how = how

    def on_get(self, req: Any, resp: falcon.Response, **fields: str) -> None:
        instance_id = read_instance_id(fields.get("instance_id", isolation.NEVER_WAS))
        getattr(self, self._how)(req, resp, instance_id)

    on_put = on_patch = on_delete = on_post = on_get

    def nothing(self, req: Any, resp: falcon.Response, instance_id: str) -> None:
        """Forget whose it is."""
        resp.media = {"name": self.instances.get("ann", instance_id).name}

    def afterwards(self, req: Any, resp: falcon.Response, instance_id: str) -> None:
        """Look for anybody's, and at the owner only then."""
        with self._store.database.reading():
            row = self._store._one(self._store.row.select(), instance_id)
        self.instances.get(req.caller, row.id)

    def forbidden(self, req: Any, resp: falcon.Response, instance_id: str) -> None:
        """Say that it is there, and not theirs."""
        self.instances.get("ann", instance_id)
        raise falcon.HTTPForbidden

    def told(self, req: Any, resp: falcon.Response, instance_id: str) -> None:
        """Tell it in a header of a refusal that is like the other one."""
        self.instances.get("ann", instance_id)
        resp.set_header("X-Owner", "ann")
        self.instances.get(req.caller, instance_id)

    def asked_twice(self, req: Any, resp: falcon.Response, instance_id: str) -> None:
        """Do more work when there is one, each time with the owner."""
        try:
            self.instances.get("ann", instance_id)
            self.instances.list(req.caller)
        finally:
            self.instances.get(req.caller, instance_id)

    def never(self, req: Any, resp: falcon.Response, instance_id: str) -> None:
        """Not look at all."""
        resp.media = {}


FORGOTTEN = ("nothing", "afterwards", "forbidden", "told", "asked_twice", "never")


def planted(site: Site) -> list[isolation.Served]:
    """Return the routes that a test planted."""
    return [route for route in isolation.served(site) if "planted" in route.template]


def test_a_route_that_forgets_the_owner_is_found(tmp_path: Path) -> None:
    templates = {
        f"{place}/{how}/{{instance_id}}": how for place in ("/api/planted", "/dashboard/planted") for how in FORGOTTEN
    }
    site = built(tmp_path, lambda platform: [Route(one, Forgetful(platform, how)) for one, how in templates.items()])
    routes = [route for route in planted(site) if route.method in ("GET", "DELETE")]
    found = list(isolation.told_apart(site, routes, DATABASE))
    for route in routes:
        assert any(one.startswith(f"{route} ") for one in found), route
    assert len(routes) == 2 * len(templates)
    site.close()


def test_a_route_that_everybody_reaches_is_found(tmp_path: Path) -> None:
    site = built(tmp_path, lambda _: [Route("/api/planted", Notes(), "public")])
    found = list(isolation.let_in(site, planted(site), PUBLIC, ACCESS))
    assert any(one == "DELETE /api/planted answers 200 OK to anonymous" for one in found)
    site.close()


def test_a_change_that_another_site_can_make_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = built(tmp_path, lambda _: [Route("/api/planted", Notes())])
    with monkeypatch.context() as broken:
        broken.setattr("clawdeploy.web.middleware.check_origin", lambda *_, **__: None)
        found = list(isolation.forged_changes(site, planted(site), PUBLIC, ACCESS))
    assert "DELETE /api/planted answers 200 OK to another site" in found
    site.close()


def test_a_route_that_was_given_to_the_framework_behind_our_back_is_not_open(tmp_path: Path) -> None:
    site = built(tmp_path)
    site.app.add_route("/api/planted", Notes())
    assert len(planted(site)) >= len(isolation.METHODS)
    assert list(isolation.let_in(site, planted(site), PUBLIC, ACCESS)) == []
    site.app.add_sink(lambda req, resp, **_: None, "/sunk")
    site.app.add_static_route("/all", str(tmp_path))
    assert len(isolation.open_doors(site)) == 2
    site.close()


@pytest.mark.parametrize("kind", ["expired", "revoked"])
def test_a_credential_that_is_over_and_still_good_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    site = built(tmp_path, lambda _: [Route("/api/planted", Notes())])
    credentials = site.platform.credentials
    with monkeypatch.context() as broken:
        if kind == "expired":
            broken.setattr(credentials, "_live", lambda now: credentials._row.select())
        else:
            broken.setattr(credentials, "revoke", lambda *_: True)
        found = list(isolation.let_in(site, planted(site), PUBLIC, ACCESS))
    assert any(
        one.endswith(f"200 OK to an {kind} token" if kind == "expired" else "to a revoked token") for one in found
    )
    assert any(one.endswith("to an expired session" if kind == "expired" else "to a session that was ended")
               for one in found)  # fmt: skip
    site.close()
