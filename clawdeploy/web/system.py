"""The REST API of the server itself: is it well, what does it offer, look at everything now."""

import falcon
from marshmallow import fields

from clawdeploy.core.answers import (
    CONNECTED,
    Answer,
    BlueprintAnswer,
    ChannelAnswer,
    ConditionAnswer,
    LanguageModelAnswer,
)
from clawdeploy.core.contracts import Call, documented
from clawdeploy.core.errors import DatabaseUnavailable, EngineError
from clawdeploy.core.fields import said
from clawdeploy.core.platform import Platform
from clawdeploy.web.answers import give
from clawdeploy.web.errors import problem_of
from clawdeploy.web.queries import ApiResource
from clawdeploy.web.request import Request
from clawdeploy.web.strict_json import read_nothing


class HealthAnswer(ConditionAnswer):
    """Whether the server, its database and the engine are well."""

    status = fields.String(metadata={"enum": ["ok"]})


HEALTH = HealthAnswer()


class ChangeAnswer(Answer):
    """What a sync found different."""

    id = fields.String(metadata=said("Whose status it is: an instance."))
    before = fields.String(metadata=said("The status that it had."))
    after = fields.String(metadata=said("The status that it has."))
    reason = fields.String(metadata=said("Why, as a code; empty when all is well."))


class Changes(Answer):
    """What changed."""

    changes = fields.List(fields.Nested(ChangeAnswer))


class ModelList(Answer):
    """The language models to choose from."""

    models = fields.List(fields.Nested(LanguageModelAnswer))


class ChannelList(Answer):
    """The chat networks to choose from."""

    channels = fields.List(fields.Nested(ChannelAnswer))


class BlueprintList(Answer):
    """What can be deployed."""

    blueprints = fields.List(fields.Nested(BlueprintAnswer))


class Health(ApiResource):
    """``/api/health``, for anyone."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @documented(Call(HEALTH, raises=(DatabaseUnavailable,)))
    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say that the server runs, whether engine and database answer it, and how old what it knows of bots is.

        Without the database it can do nothing, and the answer is 503. Its problem document has the other members too.
        """
        # Both are asked at once, and each is waited for at most a second from then on.
        self._platform.database_health.ask()
        docker = self._platform.health()
        database = self._platform.database_health.condition()
        now = self._platform.clock()
        age = None if database.synced_at is None else max(0, int((now - database.synced_at).total_seconds()))
        found = {
            "status": "ok",
            "timestamp": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "docker": CONNECTED[docker],
            "database": CONNECTED[database.connected],
            "sync_age_seconds": age,
        }
        told = HEALTH.dump(found)
        if database.connected:
            resp.media = told
        else:
            give(resp, problem_of(DatabaseUnavailable()), told)

    on_head = on_get


class Sync(ApiResource):
    """``/api/admin/sync``, for callers with the sync secret."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @documented(Call(Changes(), raises=(DatabaseUnavailable, EngineError)))
    def on_post(self, req: Request, resp: falcon.Response) -> None:
        """Compare every instance with its container now, and say what changed."""
        read_nothing(req)
        self._platform.audit.note("admin.sync")
        resp.media = {"changes": self._platform.sync_now("sync")}


class Channels(ApiResource):
    """``/api/channels``."""

    def __init__(self, platform: Platform) -> None:
        self._catalog = platform.catalog

    @documented(Call(ChannelList()))
    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say which chat networks a bot can talk on, and which credentials each needs."""
        resp.media = {"channels": self._catalog.channels()}


class Models(ApiResource):
    """``/api/models``."""

    def __init__(self, platform: Platform) -> None:
        self._catalog = platform.catalog

    @documented(Call(ModelList()))
    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say which models a bot can think with."""
        resp.media = {"models": self._catalog.models()}


class Blueprints(ApiResource):
    """``/api/blueprints``."""

    def __init__(self, platform: Platform) -> None:
        self._catalog = platform.catalog

    @documented(Call(BlueprintList()))
    def on_get(self, req: Request, resp: falcon.Response) -> None:
        """Say what this server can deploy."""
        resp.media = {"blueprints": self._catalog.blueprints()}
