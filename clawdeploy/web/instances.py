"""The REST API of instances. Each responder reads, calls one use case and answers."""

import falcon
from marshmallow import Schema, fields

from clawdeploy.core.activity import KEPT
from clawdeploy.core.answers import ActivityAnswer, Answer, InstanceAnswer, dump_activity
from clawdeploy.core.contracts import Call, documented
from clawdeploy.core.errors import (
    EngineError,
    HostFull,
    InstanceNotFound,
    NoContainer,
    OperationInProgress,
    TooManyInstances,
)
from clawdeploy.core.fields import said
from clawdeploy.core.platform import Platform
from clawdeploy.web.queries import ApiResource, read_instance_id, whole_number
from clawdeploy.web.request import Request
from clawdeploy.web.strict_json import read_nothing, read_object

DEFAULT_TAIL = 100
LONGEST_TAIL = 10_000
LARGEST_PAGE = 100
DEFAULT_ENTRIES = 50


class Instances(Answer):
    """A page of instances, newest first."""

    instances = fields.List(fields.Nested(InstanceAnswer))
    next_cursor = fields.String(metadata=said("Give it as `cursor` to get the next page; the last one has none."))
    optional = frozenset({"next_cursor"})


class OneAnswer(Answer):
    """One instance."""

    instance = fields.Nested(InstanceAnswer)


class Logs(Answer):
    """What a bot wrote."""

    logs = fields.String(metadata=said("Lines, of which strangers may have written some: escape them."))


class ActivityList(Answer):
    """What has happened, newest first."""

    activity = fields.List(fields.Nested(ActivityAnswer))


class Success(Answer):
    """That it is done."""

    success = fields.Boolean(metadata={"enum": [True]})


class PageQuery(Schema):
    """Which part of a list."""

    limit = whole_number(1, LARGEST_PAGE, "How many at most; without it all are listed.")
    cursor = fields.String(metadata=said("The `nextCursor` of the page before. No other text is one."))


class LogQuery(Schema):
    """Which part of a log."""

    tail = whole_number(1, LONGEST_TAIL, "How many of the last lines, of which the last mebibyte.", DEFAULT_TAIL)


class ActivityQuery(Schema):
    """Which part of what has happened."""

    limit = whole_number(1, KEPT, "How many at most.", DEFAULT_ENTRIES)


ACTED = Call(OneAnswer(), raises=(InstanceNotFound, NoContainer, OperationInProgress, EngineError))


class _Instances(ApiResource):
    def __init__(self, platform: Platform) -> None:
        self._instances = platform.instances


class InstanceList(_Instances):
    """``/api/instances``: the caller's own, and new ones."""

    @documented(Call(Instances(), query=PageQuery()))
    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """List the caller's instances, newest first."""
        page = self._instances.list(req.caller, **req.query)
        resp.media = {"instances": [self._instances.dump(instance) for instance in page.instances]}
        if page.next_cursor:
            resp.media["nextCursor"] = page.next_cursor

    @documented(
        Call(
            OneAnswer(),
            201,
            {"Location": "The address of the instance."},
            takes="NewInstance",
            raises=(TooManyInstances, HostFull),
        )
    )
    def on_post(self, req: Request, resp: falcon.Response) -> None:
        """Create an instance and its container."""
        instance = self._instances.create(req.caller, read_object(req), once=req.once)
        resp.status = falcon.HTTP_CREATED
        resp.location = f"/api/instances/{instance.id}"
        resp.media = {"instance": self._instances.dump(instance)}


class OneInstance(_Instances):
    """``/api/instances/{id}``."""

    @documented(Call(OneAnswer(), raises=(InstanceNotFound,)))
    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show one instance."""
        instance = self._instances.get(req.caller, read_instance_id(instance_id))
        resp.media = {"instance": self._instances.dump(instance)}

    @documented(
        Call(OneAnswer(), takes="InstanceChange", raises=(InstanceNotFound, OperationInProgress, EngineError)),
    )
    def on_patch(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Change fields of an instance, or wish it to run or to stop."""
        instance = self._instances.patch(req.caller, read_instance_id(instance_id), read_object(req))
        resp.media = {"instance": self._instances.dump(instance)}

    @documented(Call(Success(), raises=(InstanceNotFound, OperationInProgress, EngineError)))
    def on_delete(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Remove an instance with its container."""
        read_nothing(req)
        self._instances.delete(req.caller, read_instance_id(instance_id))
        resp.media = {"success": True}


class InstanceStart(_Instances):
    """``/api/instances/{id}/start``."""

    @documented(ACTED)
    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Start the container."""
        read_nothing(req)
        instance = self._instances.start(req.caller, read_instance_id(instance_id), once=req.once)
        resp.media = {"instance": self._instances.dump(instance)}


class InstanceStop(_Instances):
    """``/api/instances/{id}/stop``."""

    @documented(ACTED)
    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Stop the container."""
        read_nothing(req)
        instance = self._instances.stop(req.caller, read_instance_id(instance_id), once=req.once)
        resp.media = {"instance": self._instances.dump(instance)}


class InstanceRestart(_Instances):
    """``/api/instances/{id}/restart``."""

    @documented(ACTED)
    def on_post(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Stop the container and start it again."""
        read_nothing(req)
        instance = self._instances.restart(req.caller, read_instance_id(instance_id), once=req.once)
        resp.media = {"instance": self._instances.dump(instance)}


class InstanceActivity(_Instances):
    """``/api/instances/{id}/activity``."""

    @documented(Call(ActivityList(), query=ActivityQuery(), raises=(InstanceNotFound,)))
    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show what has happened, newest first."""
        happened = self._instances.activity(req.caller, read_instance_id(instance_id), **req.query)
        resp.media = {"activity": [dump_activity(entry) for entry in happened]}


class InstanceLogs(_Instances):
    """``/api/instances/{id}/logs``."""

    @documented(Call(Logs(), query=LogQuery(), raises=(InstanceNotFound, NoContainer, EngineError)))
    def on_get(self, req: Request, resp: falcon.Response, instance_id: str) -> None:
        """Show the last lines that the bot wrote."""
        resp.media = {"logs": self._instances.logs(req.caller, read_instance_id(instance_id), **req.query)}
