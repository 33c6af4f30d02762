"""The use cases: what an owner can do with instances. Ownership and validation are here, HTTP is not."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.activity import KEPT
from clawdeploy.core.answers import dump_instance
from clawdeploy.core.bot_logs import BotLogs
from clawdeploy.core.claim_keeper import Claim
from clawdeploy.core.claims import Claims
from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Activity, Instance, Operation, Status, Wish
from clawdeploy.core.errors import (
    DatabaseUnavailable,
    EngineError,
    InstanceNotFound,
    InvalidInput,
)
from clawdeploy.core.events import InstanceChanged, InstanceCreated
from clawdeploy.core.idempotency import Once
from clawdeploy.core.intake import Intake
from clawdeploy.core.lifecycle import Lifecycle
from clawdeploy.core.outcomes import Outcomes
from clawdeploy.core.patience import Patience
from clawdeploy.core.phases import WITH_OTHER_SECRETS
from clawdeploy.core.plugins import PluginHost
from clawdeploy.core.progress import Progress, progress
from clawdeploy.core.settings import BIND_ADDRESS, SYNC_SECONDS, WAIT_SECONDS, in_url, reachable
from clawdeploy.core.store import Found, InstanceStore, Page, nothing

WISHES: Mapping[str | None, Wish] = {"running": Wish.RUN, "stopped": Wish.STOP}
FORM_CALL = "form"
"""The call that the keys of forms belong to, apart from those of the API."""
SYNC_TAKES_AT_MOST = timedelta(seconds=20)


class Instances:
    """Every method takes the owner first and sees only that owner's instances.

    All raise ``DatabaseUnavailable``; those that take an id raise ``InstanceNotFound``. Those that change a container
    wait for the outcome, at most ``wait`` seconds, or as many as the settings say; then the work goes on by itself.
    """

    def __init__(
        self,
        config: Config,
        store: InstanceStore,
        claims: Claims,
        intake: Intake,
        lifecycle: Lifecycle,
        host: PluginHost,
        patience: Patience,
    ) -> None:
        self._config = config
        self._store = store
        self._claims = claims
        self._intake = intake
        self._schemas = intake.schemas
        self._host = host
        self._keys = store.idempotency
        self._outcomes = Outcomes(lifecycle, patience, config[WAIT_SECONDS])
        self._logs = BotLogs(store, lifecycle.observer, patience)

    def list(self, owner: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """Return the owner's instances, newest first; raises ``InvalidInput`` for a cursor that is not ours."""
        return self._store.page(owner, limit, cursor)

    def search(self, owner: str, *, text: str = "", status: str = "", offset: int = 0, limit: int) -> Found:
        """Return the owner's instances whose name holds ``text``, whatever its case, newest first, a page at a time.

        ``status`` keeps those of one public status; an unknown one finds nothing.
        """
        return self._store.search(owner, text, status, offset, limit)

    def get(self, owner: str, instance_id: str) -> Instance:
        """Return one instance."""
        return self._store.owned(owner, instance_id)

    def create(
        self, owner: str, body: Mapping[str, Any], *, wait: float | None = None, once: Once | None = None
    ) -> Instance:
        """Store a new instance, make and start its container, and return what came of it within the wait.

        ``once`` is the right to do so under an idempotency key; what an earlier try has made is not made again.
        Raises ``InvalidInput``, ``TooManyInstances``, ``HostFull`` or, for an owner who was removed, ``NotSignedIn``.
        It is no exception that the container could not be made or the database failed then: the instance is there.
        """
        if once and once.made:
            return self._store.owned(owner, once.made)
        instance, claim = self._intake.take(owner, body, self._keys.noting(once))
        self._host.publish(InstanceCreated(instance.created_at, owner, instance.id, owner))
        try:
            with suppress(EngineError):
                self._outcomes.wait(claim, wait)
            return self._store.owned(owner, instance.id)
        except DatabaseUnavailable:
            return instance  # Told that it failed they would make another one, and to ask again takes long.
        except InstanceNotFound:
            gone = "It was deleted while it was being made."
            return replace(instance, status=Status.DELETED, reason="", detail=gone, operation=None)

    def create_once(self, owner: str, body: Mapping[str, Any], key: str) -> Instance:
        """Create what a form asks for, without waiting for the outcome; sent again with its key, it leads to the same.

        Raises what :meth:`create` does, and ``IdempotencyKeyReused`` when the form was changed in between.
        """
        once = self._keys.begin_patiently(owner, FORM_CALL, key, body)
        try:
            return self.create(owner, body, wait=0, once=once)
        finally:
            self._keys.release(once)

    def check(self, body: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        """Return what is wrong with the body of a create, by field; empty when all may be right. Nothing is made."""
        try:
            self._schemas.new_instance(body)
        except InvalidInput as refused:
            return refused.errors
        return {}

    def patch(self, owner: str, instance_id: str, body: Mapping[str, Any], *, wait: float | None = None) -> Instance:
        """Change fields of an instance, and start or stop it when its status is among them.

        A bot that runs is restarted when a secret is another one now; one that starts begins once more. All of it is
        stored, or nothing. Raises ``InvalidInput``, ``OperationInProgress``, or an ``EngineError`` when a start or stop
        that was asked for is carried out later.
        """
        instance = self._store.owned(owner, instance_id)
        changes = self._schemas.changes(body, instance)
        secrets = self._store.differing(instance_id, changes.secrets)
        fields = tuple(sorted([*changes.columns, *secrets]))

        def change(_: str) -> None:
            nonlocal instance
            if fields:
                instance = self._store.change(owner, instance_id, changes.columns, secrets)

        wish = WISHES.get(changes.wished_status)
        claim = None
        if wish:
            claim = self._claim_wish(instance, wish, change)
        elif secrets:
            claim = self._change_secrets(instance, change)
        else:
            change(instance_id)
        if fields:
            self._host.publish(InstanceChanged(instance.updated_at, owner, instance_id, owner, fields))
        # What was asked for is stored, also while the engine is away or refuses.
        with nullcontext() if wish else suppress(EngineError):
            return self._carry_out(claim, wait) if claim else instance
        return self._store.owned(owner, instance_id)

    def start(self, owner: str, instance_id: str, *, wait: float | None = None, once: Once | None = None) -> Instance:
        """Start the container.

        Raises ``NoContainer``, ``OperationInProgress``, or an ``EngineError`` when it is put off: a later sync does it.
        """
        return self._ask(owner, instance_id, Wish.RUN, Operation.START, wait, once)

    def stop(self, owner: str, instance_id: str, *, wait: float | None = None, once: Once | None = None) -> Instance:
        """Stop the container.

        Raises ``NoContainer``, ``OperationInProgress``, or an ``EngineError`` when it is put off: a later sync does it.
        """
        return self._ask(owner, instance_id, Wish.STOP, Operation.STOP, wait, once)

    def restart(self, owner: str, instance_id: str, *, wait: float | None = None, once: Once | None = None) -> Instance:
        """Stop the container, if it runs, and start it again.

        Raises ``NoContainer``, ``OperationInProgress``, or an ``EngineError`` when it is put off: a later sync does it.
        """
        return self._ask(owner, instance_id, Wish.RUN, Operation.RESTART, wait, once)

    def retry(self, owner: str, instance_id: str, *, wait: float | None = None) -> Instance:
        """Wish the instance to run, whatever became of it: its container is started, or made if there is none.

        Raises ``OperationInProgress``, or an ``EngineError`` when it is put off: a later sync does it.
        """
        return self._carry_out(self._claim_wish(self._store.owned(owner, instance_id), Wish.RUN), wait)

    def delete(self, owner: str, instance_id: str, *, wait: float | None = None) -> None:
        """Delete the instance with its container and data.

        It is hidden from its owner at once. Raises ``OperationInProgress``, or an ``EngineError`` when the engine does
        not let us remove it now: a later sync does, and deleting it again tries at once.
        """
        claim = self._claims.take(owner, instance_id, Wish.DELETE, Operation.DELETE)
        self._outcomes.wait(claim, wait)

    def logs(self, owner: str, instance_id: str, tail: int) -> str:
        """Return the last ``tail`` lines of the container's log, within a few seconds, without the bot's own secrets.

        Raises ``NoContainer`` or an ``EngineError``.
        """
        return self._logs.read(self._store.owned(owner, instance_id), tail)

    def activity(self, owner: str, instance_id: str, limit: int = 50) -> Sequence[Activity]:
        """Return what has happened to an instance, newest first."""
        return self._store.happened(owner, instance_id, limit)

    def progress(self, owner: str, instance_id: str) -> Progress | None:
        """Return how far the instance has come on its way to run; ``None`` when that is not what was asked last."""
        return progress(self._store.happened(owner, instance_id, KEPT), self._store.clock())

    def is_old(self, known_at: datetime) -> bool:
        """Say whether what was known of a bot at a moment is too old to be believed: a sync is missing since then."""
        return self._store.clock() - known_at > timedelta(seconds=2 * self._config[SYNC_SECONDS]) + SYNC_TAKES_AT_MOST

    def dump(self, instance: Instance) -> dict[str, Any]:
        """Return an instance as JSON values."""
        return dump_instance(instance, self.address(instance))

    def address(self, instance: Instance) -> str | None:
        """Return where the bot's own page is reached; ``None`` without a container."""
        if instance.container_id is None or instance.host_port is None:
            return None
        return f"http://{in_url(reachable(self._config[BIND_ADDRESS]))}:{instance.host_port}/"

    def _ask(
        self, owner: str, instance_id: str, wish: Wish, operation: Operation, wait: float | None, once: Once | None
    ) -> Instance:
        if once and once.made:
            return self._store.owned(owner, instance_id)
        asked = (owner, instance_id, wish, operation)
        return self._carry_out(self._claims.take(*asked, with_container=True, note=self._keys.noting(once)), wait)

    def _claim_wish(self, instance: Instance, wish: Wish, note: Callable[[str], None] = nothing) -> Claim:
        to_run = Operation.CREATE if instance.container_id is None else Operation.START
        operation = Operation.STOP if wish is Wish.STOP else to_run
        return self._claims.take(instance.owner, instance.id, wish, operation, note=note)

    def _change_secrets(self, instance: Instance, change: Callable[[str], None]) -> Claim | None:
        """Change secrets and claim the restart of a bot that runs on; what else goes on, or a sync, sees to others."""
        with self._store.database.transaction():
            # First of all, so that the row stays as it is from now on.
            change(instance.id)
            now = self._store.owned(instance.owner, instance.id)
            # Of a stop that has yet to be carried out, the bot may still run, and its owner wishes it not to.
            if now.status is not Status.RUNNING or now.operation is Operation.STOP:
                return None
            asked = (instance.owner, instance.id, Wish.RUN, Operation.RESTART)
            return self._claims.take_now(*asked, nothing, WITH_OTHER_SECRETS)

    def _carry_out(self, claim: Claim, seconds: float | None) -> Instance:
        self._outcomes.wait(claim, seconds)
        return self._store.owned(claim.actor, claim.instance_id)
