"""The web application: which resource answers where, behind which middleware."""

from typing import Any

import falcon
from falcon.constants import HTTP_METHODS, WEBDAV_METHODS
from falcon.media import Handlers

from clawdeploy.core.bootstrap import Platform
from clawdeploy.core.contracts import Access, Route
from clawdeploy.core.errors import PluginError
from clawdeploy.web.answers import ErrorAnswers
from clawdeploy.web.instances import InstanceList, InstanceLogs, InstanceStart, InstanceStop, OneInstance
from clawdeploy.web.middleware import Guard, RequestLog, SecurityHeaders, StaticCaching
from clawdeploy.web.pages import Dashboard, Landing
from clawdeploy.web.queries import QueryCheck
from clawdeploy.web.request import Request
from clawdeploy.web.strict_json import StrictJson
from clawdeploy.web.system import Blueprints, Channels, Health, Models, Sync
from clawdeploy.web.templating import STATIC, Templates

App = falcon.App[Request, falcon.Response]

RESPONDERS = frozenset(f"on_{method.lower()}" for method in (*HTTP_METHODS, *WEBDAV_METHODS))


def create_app(platform: Platform) -> App:
    """Return the WSGI application that serves ``platform``.

    Raises ``PluginError`` when a plugin's route cannot be served as it is.
    """
    templates = Templates()
    routes = [*core_routes(platform, templates), *platform.routes()]
    access: dict[str, Access] = {route.template: route.access for route in routes}
    middleware: list[Any] = [StaticCaching(), SecurityHeaders(), RequestLog(), Guard(platform, access), QueryCheck()]
    app: App = falcon.App(middleware=middleware, request_type=Request)
    app.req_options.media_handlers = Handlers({falcon.MEDIA_JSON: StrictJson()})
    app.resp_options.media_handlers = Handlers({falcon.MEDIA_JSON: StrictJson()})
    app.resp_options.xml_error_serialization = False
    ErrorAnswers(templates).install(app)
    app.add_static_route("/static", STATIC)
    for route in routes:
        _add(app, route, [other.template for other in routes])
    return app


def core_routes(platform: Platform, templates: Templates) -> list[Route]:
    """Return our own resources; those that say nothing about access need a signed-in user."""
    return [
        Route("/", Landing(platform, templates), "public"),
        Route("/dashboard", Dashboard(platform, templates)),
        Route("/api/health", Health(platform), "public"),
        Route("/api/admin/sync", Sync(platform), "admin"),
        Route("/api/channels", Channels(platform)),
        Route("/api/models", Models(platform)),
        Route("/api/blueprints", Blueprints(platform)),
        Route("/api/instances", InstanceList(platform)),
        Route("/api/instances/{instance_id}", OneInstance(platform)),
        Route("/api/instances/{instance_id}/start", InstanceStart(platform)),
        Route("/api/instances/{instance_id}/stop", InstanceStop(platform)),
        Route("/api/instances/{instance_id}/logs", InstanceLogs(platform)),
    ]


def _add(app: App, route: Route, templates: list[str]) -> None:
    """Wire one route, refusing what the framework would accept and then never call."""
    responders = {name for name in dir(route.resource) if name.startswith("on_")}
    name = f"The resource at {route.template} ({type(route.resource).__name__})"
    if not responders:
        raise PluginError(f"{name} answers no method: it has no on_get, on_post, ...")
    for odd in sorted(responders - RESPONDERS):
        raise PluginError(f"{name} has a method {odd}, which would never be called. Did you mean on_get, on_post, ...?")
    if templates.count(route.template) > 1:
        raise PluginError(f"The address {route.template} is taken twice.")
    if route.access not in ("public", "user", "admin"):
        raise PluginError(f"{name} asks for access {route.access!r}; there are public, user and admin.")
    try:
        app.add_route(route.template, route.resource)
    except (ValueError, TypeError) as error:
        raise PluginError(f"{name} cannot be served there: {error}") from error
