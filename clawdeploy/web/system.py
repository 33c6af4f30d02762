"""The REST API of the server itself: is it well, what does it offer, look at everything now."""

from datetime import UTC, datetime

import falcon

from clawdeploy.core.bootstrap import Platform
from clawdeploy.web.queries import ApiResource
from clawdeploy.web.request import Request
from clawdeploy.web.strict_json import read_nothing


class Health(ApiResource):
    """``/api/health``, for anyone."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say that the server runs, and whether the engine answers it."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        docker = "connected" if self._platform.health() else "disconnected"
        resp.media = {"status": "ok", "timestamp": now, "docker": docker}

    on_head = on_get


class Sync(ApiResource):
    """``/api/admin/sync``, for callers with the sync secret."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        """Compare every instance with its container now, and say what changed."""
        read_nothing(req)
        resp.media = {"changes": self._platform.sync_now("sync")}


class Channels(ApiResource):
    """``/api/channels``."""

    def __init__(self, platform: Platform) -> None:
        self._catalog = platform.catalog

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say which chat networks a bot can talk on, and which credentials each needs."""
        resp.media = {"channels": self._catalog.channels()}


class Models(ApiResource):
    """``/api/models``."""

    def __init__(self, platform: Platform) -> None:
        self._catalog = platform.catalog

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say which models a bot can think with."""
        resp.media = {"models": self._catalog.models()}


class Blueprints(ApiResource):
    """``/api/blueprints``."""

    def __init__(self, platform: Platform) -> None:
        self._catalog = platform.catalog

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say what this server can deploy."""
        resp.media = {"blueprints": self._catalog.blueprints()}
