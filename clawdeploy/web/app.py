"""The web application: which resource answers where, behind which middleware."""

from pathlib import Path
from typing import Any

import falcon
from falcon.media import Handlers

from clawdeploy.core.contracts import Access, Route
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import METRICS_SECRET, PUBLIC_ORIGIN
from clawdeploy.web.answers import ErrorAnswers
from clawdeploy.web.error_pages import ErrorPages
from clawdeploy.web.idempotency import IdempotencyKeys
from clawdeploy.web.instances import (
    InstanceActivity,
    InstanceList,
    InstanceLogs,
    InstanceRestart,
    InstanceStart,
    InstanceStop,
    OneInstance,
)
from clawdeploy.web.limits import ChangeLimit, SignInFailures
from clawdeploy.web.metrics import Counts, Metrics
from clawdeploy.web.middleware import Guard, PlainAddresses, RequestLog, SecurityHeaders, StaticCaching, StaticReading
from clawdeploy.web.openapi import OpenApi
from clawdeploy.web.pages.account import AccountCredentialEnd, AccountPage, AccountSectionEnd, AccountSectionPage
from clawdeploy.web.pages.actions import Delete, Restart, Retry, Start, Stop
from clawdeploy.web.pages.dashboard import Dashboard
from clawdeploy.web.pages.instance import InstanceCredentials, InstanceLogFile, InstancePage, InstanceRename
from clawdeploy.web.pages.landing import Landing
from clawdeploy.web.pages.new import New, NewCheck
from clawdeploy.web.pages.progress import ProgressPage
from clawdeploy.web.pages.question import Questions
from clawdeploy.web.pages.site_files import Icon, Robots, Sitemap
from clawdeploy.web.queries import QueryCheck
from clawdeploy.web.request import Request, is_for_programs
from clawdeploy.web.routing import served
from clawdeploy.web.strict_json import StrictJson
from clawdeploy.web.system import Blueprints, Channels, Health, Models, Sync
from clawdeploy.web.templating import STATIC, Templates
from clawdeploy.web.visitors import VisitorLimit

App = falcon.App[Request, falcon.Response]

STATIC_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


def create_app(platform: Platform, shared: Path | None = None) -> App:
    """Return the WSGI application that serves ``platform``; ``shared`` is where its process counts with others.

    A route of a plugin that cannot be served is that plugin's failure. Raises ``PluginError`` when this is a default
    plugin or the mode is strict, and when two want one address.
    """
    templates = Templates()
    openapi = OpenApi()
    counts = Counts(shared) if platform.config[METRICS_SECRET] else None
    if counts:
        platform.measurements.listen(counts.note)
    own = core_routes(platform, templates, openapi, counts)
    routes = served(own, platform.routes(), platform.host.blame)
    openapi.describe(platform, [route for route in routes if is_for_programs(route.template) or route not in own])
    access: dict[str, Access] = {route.template: route.access for route in routes}
    middleware: list[Any] = [StaticCaching(), SecurityHeaders(platform.config[PUBLIC_ORIGIN]), RequestLog(platform)]
    middleware += [VisitorLimit(platform, access), PlainAddresses(), StaticReading(), Guard(platform, access)]
    middleware += [ChangeLimit(platform), QueryCheck(), IdempotencyKeys(platform), Questions(templates)]
    app: App = falcon.App(middleware=middleware, request_type=Request)
    app.req_options.media_handlers = Handlers({falcon.MEDIA_JSON: StrictJson()})
    app.resp_options.media_handlers = Handlers({falcon.MEDIA_JSON: StrictJson()})
    app.resp_options.xml_error_serialization = False
    ErrorAnswers(ErrorPages(platform, templates), SignInFailures(platform), platform.sign_in).install(app)
    app.resp_options.static_media_types.update(STATIC_TYPES)
    app.add_static_route("/static", STATIC)
    for route in routes:
        app.add_route(route.template, route.resource)
    return app


def core_routes(platform: Platform, templates: Templates, openapi: OpenApi, counts: Counts | None) -> list[Route]:
    """Return our own resources; those that say nothing about access need a signed-in user."""
    return [
        Route("/", Landing(platform, templates), "public"),
        Route("/robots.txt", Robots(platform.config), "public"),
        Route("/sitemap.xml", Sitemap(platform.config), "public"),
        Route("/favicon.ico", Icon("favicon.ico"), "public"),
        Route("/apple-touch-icon.png", Icon("apple-touch-icon.png"), "public"),
        Route("/dashboard", Dashboard(platform, templates)),
        Route("/dashboard/new", New(platform, templates)),
        Route("/dashboard/new/check", NewCheck(platform, templates)),
        Route("/dashboard/account", AccountPage(platform, templates)),
        Route("/dashboard/account/{kind}", AccountSectionPage(platform, templates)),
        Route("/dashboard/account/{kind}/end-all", AccountSectionEnd(platform, templates)),
        Route("/dashboard/account/{kind}/{credential_id}/end", AccountCredentialEnd(platform, templates)),
        Route("/dashboard/instances/{instance_id}/progress", ProgressPage(platform, templates)),
        Route("/dashboard/instances/{instance_id}", InstancePage(platform, templates)),
        Route("/dashboard/instances/{instance_id}/logs.txt", InstanceLogFile(platform, templates)),
        Route("/dashboard/instances/{instance_id}/rename", InstanceRename(platform, templates)),
        Route("/dashboard/instances/{instance_id}/credentials", InstanceCredentials(platform, templates)),
        Route("/dashboard/instances/{instance_id}/start", Start(platform, templates)),
        Route("/dashboard/instances/{instance_id}/stop", Stop(platform, templates)),
        Route("/dashboard/instances/{instance_id}/restart", Restart(platform, templates)),
        Route("/dashboard/instances/{instance_id}/retry", Retry(platform, templates)),
        Route("/dashboard/instances/{instance_id}/delete", Delete(platform, templates)),
        Route("/metrics", Metrics(platform, counts), "monitor"),
        Route("/api/health", Health(platform), "public"),
        Route("/api/openapi.json", openapi, "public"),
        Route("/api/admin/sync", Sync(platform), "admin"),
        Route("/api/channels", Channels(platform)),
        Route("/api/models", Models(platform)),
        Route("/api/blueprints", Blueprints(platform)),
        Route("/api/instances", InstanceList(platform)),
        Route("/api/instances/{instance_id}", OneInstance(platform)),
        Route("/api/instances/{instance_id}/start", InstanceStart(platform)),
        Route("/api/instances/{instance_id}/stop", InstanceStop(platform)),
        Route("/api/instances/{instance_id}/restart", InstanceRestart(platform)),
        Route("/api/instances/{instance_id}/logs", InstanceLogs(platform)),
        Route("/api/instances/{instance_id}/activity", InstanceActivity(platform)),
    ]
