"""The REST API of instances. Each responder reads, calls one use case and answers."""

from typing import ClassVar

import falcon

from clawdeploy.core.activity import KEPT
from clawdeploy.core.bootstrap import Platform
from clawdeploy.core.schemas import dump_activity
from clawdeploy.web.queries import ApiResource, Parameters, read_instance_id, read_number
from clawdeploy.web.request import Request
from clawdeploy.web.strict_json import read_nothing, read_object

DEFAULT_TAIL = 100
LONGEST_TAIL = 10_000
LARGEST_PAGE = 100
DEFAULT_ENTRIES = 50


class _Instances(ApiResource):
    def __init__(self, platform: Platform) -> None:
        self._instances = platform.instances


class InstanceList(_Instances):
    """``/api/instances``: the caller's own, and new ones."""

    parameters: ClassVar[Parameters] = {"GET": ("limit", "cursor")}

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """List the caller's instances, newest first."""
        limit = read_number(req, "limit", 1, LARGEST_PAGE)
        page = self._instances.list(req.caller, limit=limit, cursor=req.get_param("cursor"))
        resp.media = {"instances": [self._instances.dump(instance) for instance in page.instances]}
        if page.next_cursor:
            resp.media["nextCursor"] = page.next_cursor

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        """Create an instance and its container."""
        instance = self._instances.create(req.caller, read_object(req), once=req.once)
        resp.status = falcon.HTTP_CREATED
        resp.location = f"/api/instances/{instance.id}"
        resp.media = {"instance": self._instances.dump(instance)}


class OneInstance(_Instances):
    """``/api/instances/{id}``."""

    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show one instance."""
        instance = self._instances.get(req.caller, read_instance_id(instance_id))
        resp.media = {"instance": self._instances.dump(instance)}

    def on_patch(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Change fields of an instance, or wish it to run or to stop."""
        instance = self._instances.patch(req.caller, read_instance_id(instance_id), read_object(req))
        resp.media = {"instance": self._instances.dump(instance)}

    def on_delete(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Remove an instance with its container."""
        read_nothing(req)
        self._instances.delete(req.caller, read_instance_id(instance_id))
        resp.media = {"success": True}


class InstanceStart(_Instances):
    """``/api/instances/{id}/start``."""

    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Start the container."""
        read_nothing(req)
        instance = self._instances.start(req.caller, read_instance_id(instance_id), once=req.once)
        resp.media = {"instance": self._instances.dump(instance)}


class InstanceStop(_Instances):
    """``/api/instances/{id}/stop``."""

    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Stop the container."""
        read_nothing(req)
        instance = self._instances.stop(req.caller, read_instance_id(instance_id), once=req.once)
        resp.media = {"instance": self._instances.dump(instance)}


class InstanceRestart(_Instances):
    """``/api/instances/{id}/restart``."""

    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Stop the container and start it again."""
        read_nothing(req)
        instance = self._instances.restart(req.caller, read_instance_id(instance_id), once=req.once)
        resp.media = {"instance": self._instances.dump(instance)}


class InstanceActivity(_Instances):
    """``/api/instances/{id}/activity``."""

    parameters: ClassVar[Parameters] = {"GET": ("limit",)}

    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show what has happened, newest first."""
        limit = read_number(req, "limit", 1, KEPT) or DEFAULT_ENTRIES
        happened = self._instances.activity(req.caller, read_instance_id(instance_id), limit)
        resp.media = {"activity": [dump_activity(entry) for entry in happened]}


class InstanceLogs(_Instances):
    """``/api/instances/{id}/logs``."""

    parameters: ClassVar[Parameters] = {"GET": ("tail",)}

    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show the last lines that the bot wrote."""
        tail = read_number(req, "tail", 1, LONGEST_TAIL) or DEFAULT_TAIL
        resp.media = {"logs": self._instances.logs(req.caller, read_instance_id(instance_id), tail)}
