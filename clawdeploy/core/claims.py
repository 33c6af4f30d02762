"""Claims: of all processes and threads, one at a time works on an instance.

A claim is a token in the instance's row with a time at which it lapses by itself, so that the claim of a
process that died frees itself. While the work goes on a keeper thread renews it. Every write of the work is
made only if the claim still holds, so that a process that was frozen and lost its claim changes nothing.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.contracts import Instance, Operation, Secret, Status, Wish
from clawdeploy.core.errors import NoContainer, OperationInProgress
from clawdeploy.core.events import Event, StatusChanged
from clawdeploy.core.reasons import explain
from clawdeploy.core.store import InstanceStore

LIFETIME = timedelta(seconds=15)
RENEWED_EVERY = 5.0

ONLY_WATCHING = ("pulling_image", "waiting_until_ready")
"""Phases in which the work changes nothing about the container: another wish may take over."""

FIRST_PHASE = {
    Operation.CREATE: "creating_container",
    Operation.START: "starting",
    Operation.STOP: "stopping",
    Operation.DELETE: "removing",
}
"""What is going on from the moment of a claim, so that what was so before it is not taken for it."""

logger = logging.getLogger(__name__)


class ClaimLost(Exception):
    """The claim lapsed or was taken over; whoever held it must stop working."""


@dataclass(frozen=True)
class Before:
    """What an instance's row said before an operation began, to go back to when it cannot be done.

    ``operation`` is the one that was taken over, unfinished; a later sync carries it on then.
    """

    wish: Wish
    status: Status
    reason: str
    detail: str
    operation: Operation | None
    operation_since: datetime | None
    started: bool


@dataclass(frozen=True)
class Claim:
    """The right to work on one instance.

    ``before`` is what to go back to, ``None`` for a new instance; ``resumed``: nobody waits for the outcome.
    """

    instance_id: str
    token: str
    actor: str
    before: Before | None = None
    resumed: bool = False


class Claims:
    """Takes, keeps and gives back claims on instances.

    ``renewed_every`` is in seconds; three times that has to fit into the lifetime of a claim.
    """

    def __init__(
        self, store: InstanceStore, publish: Callable[[Event], None], renewed_every: float = RENEWED_EVERY
    ) -> None:
        self._store = store
        self._renewed_every = renewed_every
        self._row = store.row
        self._publish = publish
        self._kept: set[Claim] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None

    def take(self, owner: str, instance_id: str, wish: Wish, operation: Operation, *, with_container: bool) -> Claim:
        """Write a wish and claim its operation.

        Raises ``InstanceNotFound``, ``NoContainer`` (if one is needed) or ``OperationInProgress``.
        """
        instance = self._store.owned(owner, instance_id)
        if with_container:
            require_container(instance.container_id, instance.detail)
        now = self._store.clock()
        phase = FIRST_PHASE[operation]
        fields: dict[str, Any] = {"wish": wish, "operation": operation, "operation_since": now, "started": False}
        fields.update(reason=phase, detail=explain(phase))
        if operation is Operation.DELETE:
            fields.update(status=Status.DELETED, status_since=now)
        other_wish = (self._row.wish != wish) & self._row.reason.in_(ONLY_WATCHING)
        free = (self._row.status != Status.DELETED) & (self._is_free(now) | other_wish)
        with self._store.database.transaction():
            # First the claim, then a look: nobody else writes the row between the look and our own write.
            claim = self._claim(instance_id, owner, free)
            if claim is not None:
                before = _before(self.row(claim))
                self._row.update(**fields).where(self._row.id == instance_id).execute()
                return replace(claim, before=before)
        raise OperationInProgress(self._what_goes_on(owner, instance_id))

    def insert(
        self, owner: str, fields: Mapping[str, Any], values: Mapping[str, Secret], ports: tuple[int, int]
    ) -> tuple[Instance, Claim]:
        """Store a new instance that is claimed from its first moment, to create its container."""
        token = secrets.token_hex(8)
        until = self._store.clock() + LIFETIME
        claimed = {**fields, "owner": owner, "claim": token, "claim_until": until}
        instance = self._store.insert(claimed, values, ports)
        return instance, Claim(instance.id, token, owner)

    def resume(self, instance_id: str, actor: str) -> Claim | None:
        """Claim an instance that nobody works on, with its wish and operation as they are; ``None`` if not free."""
        claim = self._claim(instance_id, actor, self._is_free(self._store.clock()))
        return replace(claim, resumed=True) if claim else None

    def row(self, claim: Claim) -> Any:
        """Return the claimed row as it is now; raises ``ClaimLost``."""
        with self._store.database.reading():
            row = self._row.select().where(self._row.id == claim.instance_id, self._row.claim == claim.token).first()
        if row is None:
            raise ClaimLost
        return row

    def save(self, claim: Claim, /, **fields: Any) -> None:
        """Write to the claimed row and tell observers when the status changed; raises ``ClaimLost``."""
        with self._store.database.transaction():
            row = self.row(claim)
            now = self._store.clock()
            changed = "status" in fields and fields["status"] != row.status
            if changed:
                fields["status_since"] = now
            mine = (self._row.id == claim.instance_id) & (self._row.claim == claim.token)
            if not self._row.update(**fields, updated_at=now).where(mine).execute():
                raise ClaimLost
        if changed:
            after = Status(fields["status"])
            reason, detail = fields.get("reason", row.reason), fields.get("detail", row.detail)
            self._publish(StatusChanged(now, claim.actor, row.id, row.owner, Status(row.status), after, reason, detail))

    def finish(self, claim: Claim, /, **fields: Any) -> None:
        """Write the outcome, end the operation and give the claim back, all in one write; raises ``ClaimLost``."""
        self.save(claim, **fields, operation=None, operation_since=None, started=False, claim=None, claim_until=None)

    def restore(self, claim: Claim, before: Before) -> None:
        """Put the row back to what it said before, and give the claim back; raises ``ClaimLost``."""
        self.save(claim, **asdict(before), claim=None, claim_until=None)

    def move_port(self, claim: Claim, ports: tuple[int, int], taken: Collection[int]) -> None:
        """Give the claimed instance another host port, after its container was removed; raises ``ClaimLost``."""
        self._store.with_free_port(ports, taken, lambda port: self.save(claim, host_port=port))

    def forget(self, claim: Claim) -> None:
        """Delete the claimed row with its secrets; raises ``ClaimLost``."""
        with self._store.database.transaction():
            mine = (self._row.id == claim.instance_id) & (self._row.claim == claim.token)
            if not self._row.delete().where(mine).execute():
                raise ClaimLost

    def release(self, claim: Claim) -> None:
        """Give the claim back and leave everything else as it is."""
        with self._store.database.transaction():
            mine = (self._row.id == claim.instance_id) & (self._row.claim == claim.token)
            self._row.update(claim=None, claim_until=None).where(mine).execute()

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[None]:
        """Renew the claim for as long as the block runs."""
        with self._lock:
            self._kept.add(claim)
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="claim-keeper", daemon=True)
                self._keeper.start()
        try:
            yield
        finally:
            with self._lock:
                self._kept.discard(claim)

    def close(self) -> None:
        """End the keeper thread; claims that are still held lapse by themselves."""
        self._closing.set()

    def _claim(self, instance_id: str, actor: str, condition: Any) -> Claim | None:
        token = secrets.token_hex(8)
        until = self._store.clock() + LIFETIME
        with self._store.database.transaction():
            query = self._row.update(claim=token, claim_until=until)
            taken = query.where(self._row.id == instance_id, condition).execute()
        return Claim(instance_id, token, actor) if taken else None

    def _is_free(self, now: datetime) -> Any:
        return self._row.claim.is_null() | (self._row.claim_until <= now)

    def _what_goes_on(self, owner: str, instance_id: str) -> str:
        instance = self._store.owned(owner, instance_id)
        what = explain(instance.reason) if instance.operation else "Its state is being compared with Docker's."
        return f"Something else is going on with this bot: {what} Try again in a few seconds."

    def _keep(self) -> None:
        while not self._closing.wait(self._renewed_every):
            with self._lock:
                tokens = [claim.token for claim in self._kept]
            if tokens:
                self._renew(tokens)

    def _renew(self, tokens: list[str]) -> None:
        try:
            with self._store.database.transaction():
                until = self._store.clock() + LIFETIME
                self._row.update(claim_until=until).where(self._row.claim.in_(tokens)).execute()
        except Exception as error:
            # Whatever it was: a keeper that ends would let every claim of this process lapse.
            logger.warning("Claims could not be renewed: %s: %s", type(error).__name__, error)


def _before(row: Any) -> Before:
    operation = Operation(row.operation) if row.operation else None
    return Before(
        Wish(row.wish), Status(row.status), row.reason, row.detail, operation, row.operation_since, row.started
    )


def require_container(container_id: str | None, detail: str) -> None:
    """Raise ``NoContainer`` for an instance that never got a container, with what is known about why."""
    if container_id is None:
        why = f" {detail}" if detail else ""
        raise NoContainer(f'This bot has no container yet.{why} A PATCH with {{"status": "running"}} tries again.')
