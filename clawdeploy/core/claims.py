"""Claims: of all processes and threads, one at a time works on an instance.

A claim is a token in the instance's row with a time at which it lapses by itself, so that the claim of a
process that died frees itself; one whose process is known to be dead is free at once. While the work goes on a
keeper thread renews it. Every write of the work is made only if the claim still holds, so that a process that was
frozen and lost its claim changes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.claim_keeper import GOOD_FOR, LIFETIME, RENEWED_EVERY, Claim, ClaimKeeper, ClaimLost
from clawdeploy.core.contracts import Operation, Status, Wish
from clawdeploy.core.crashes import failures_in_a_row
from clawdeploy.core.events import Event, StatusChanged
from clawdeploy.core.holders import is_dead, lapsed, new_holder
from clawdeploy.core.phases import NOT_ANSWERING, ONLY_WATCHING, begun, in_progress, require_container
from clawdeploy.core.reasons import Note
from clawdeploy.core.store import InstanceStore, nothing

RECOVERY_PATIENCE = timedelta(seconds=10)
"""How long what a person asks for waits for the sync to get through with its own work on the instance."""

OTHERS_SEEN_EVERY = 0.25
"""The seconds between two looks whether somebody else is done with an instance."""

NOTHING: Mapping[str, Any] = {}


class Claims:
    """Takes and gives back claims on instances; :attr:`kept` and :attr:`close` are their keeper's."""

    def __init__(
        self,
        store: InstanceStore,
        publish: Callable[[Event], None],
        renewed_every: float = RENEWED_EVERY,
        engine_is_silent: Callable[[], bool] = lambda: False,
        pace: Pace = USUAL,
    ) -> None:
        self._store = store
        self._row = store.row
        self._publish = publish
        self._engine_is_silent = engine_is_silent
        self._pace = pace
        self._keeper = ClaimKeeper(store, renewed_every)
        self.kept = self._keeper.kept
        self.close = self._keeper.close

    def take(
        self,
        owner: str,
        instance_id: str,
        wish: Wish,
        operation: Operation,
        *,
        with_container: bool = False,
        note: Callable[[str], None] = nothing,
    ) -> Claim:
        """Write a wish and claim its operation; ``note`` gets the id in the transaction.

        Deleting again what could not be deleted yet is fine.

        Work that changes nothing about the container gives way: a sync that compares, and for another wish the wait
        for a download or for a bot that is starting. So does the stop of a bot that is held back, to a stop or delete.

        Raises ``InstanceNotFound``, ``NoContainer`` (if one is needed) or ``OperationInProgress``.
        """
        instance = self._store.owned(owner, instance_id, deleted=operation is Operation.DELETE)
        if with_container and instance.operation is None:
            require_container(instance)
        deadline = self._store.clock() + RECOVERY_PATIENCE
        while True:
            claim = self.take_now(owner, instance_id, wish, operation, note)
            if claim is not None:
                return claim
            instance = self._store.owned(owner, instance_id)
            recovering = instance.operation is Operation.RECOVER and self._store.clock() < deadline
            silent = self._engine_is_silent()
            if not recovering or silent or self._pace.pause(self._keeper.closing, 0.1):
                raise in_progress(instance, engine_is_silent=silent)

    def take_now(
        self, owner: str, instance_id: str, wish: Wish, operation: Operation, note: Callable[[str], None], why: str = ""
    ) -> Claim | None:
        """Do the same without waiting for anything; ``None`` if not free. ``why`` is a sentence."""
        now = self._store.clock()
        fields = {**begun(operation, now), "wish": wish, "failures": 0, "crashes": []}
        if operation is Operation.DELETE:
            fields.update(status=Status.DELETED, status_since=now)
        other_wish = (self._row.wish != wish) & self._row.reason.in_(ONLY_WATCHING)
        only_compared = self._row.operation.is_null()
        held_back = (self._row.operation == Operation.RECOVER) & self._row.retry_at.is_null(False)
        gives_way = only_compared | other_wish if wish is Wish.RUN else only_compared | other_wish | held_back
        here = (self._row.status != Status.DELETED) | (operation is Operation.DELETE)
        with self._store.database.transaction():
            claim = self._claim(instance_id, owner, here & (self._is_free(instance_id, now) | gives_way), fields)
            if claim is not None:
                self._store.activity.asked(instance_id, now, owner, operation, why)
                note(instance_id)
        return claim

    def resume(self, instance_id: str, actor: str) -> Claim | None:
        """Claim an instance that nobody works on, with its wish and operation as they are; ``None`` if not free."""
        with self._store.database.transaction():
            claim = self._claim(instance_id, actor, self._is_free(instance_id, self._store.clock()))
        return replace(claim, resumed=True) if claim else None

    def reopen(self, claim: Claim, *, gave_secrets: bool) -> Claim | None:
        """Claim an instance once more whose claim was lost, to see to it that it is as it is wished to be.

        Whoever changed its container after that did so by nobody's wish, and it must not be taken for somebody's hand.
        Who works on it is waited for, because they may have looked before that. ``None`` when it has failed and does
        not run, or is still to be carried on with. Where it ``gave_secrets``, these may be older than what others gave.
        """
        if gave_secrets:
            with self._store.database.transaction():
                self._row.update(secrets_unread=True).where(self._row.id == claim.instance_id).execute()
        up = self._row.operation.is_null() & ((self._row.status != Status.ERROR) | self._row.reason.in_(NOT_ANSWERING))
        while True:
            others = self._store.worked_on(claim.instance_id, LIFETIME)
            for wish, operation in ((Wish.RUN, Operation.RECOVER), (Wish.STOP, Operation.STOP)):
                fields = {"operation": operation, "operation_since": self._store.clock(), "started": False}
                again = self._claim(claim.instance_id, claim.actor, up & (self._row.wish == wish), fields)
                if again is not None:
                    return replace(again, resumed=True)
            if not others or self._pace.pause(self._keeper.closing, OTHERS_SEEN_EVERY):
                return None

    def row(self, claim: Claim) -> Any:
        """Return the claimed row as it is now; raises ``ClaimLost``.

        The claim is good for ``GOOD_FOR`` from now on, as it is after every write. If its keeper could not renew it,
        because the database was away, it would else be taken over in the middle of a call to the engine.
        """
        row = self._claimed(claim)
        now = self._store.clock()
        if row.claim_until < now + GOOD_FOR:
            with self._store.database.transaction():
                if not self._row.update(claim_until=now + LIFETIME).where(self._mine(claim)).execute():
                    raise ClaimLost
        return row

    def begin(self, claim: Claim, operation: Operation, why: str) -> None:
        """Begin what a bot is owed that nobody works on; ``why`` is a sentence. Raises ``ClaimLost``."""
        now = self._store.clock()
        # One that runs with an old secret runs until it is stopped, which an engine may refuse.
        shown: Mapping[str, Any] = {} if operation is Operation.RESTART else {"status": Status.CREATING}
        with self._store.database.transaction():
            # First of all: an owner, to whom a comparison gives way, may have had the row deleted.
            if not self._row.update(updated_at=now).where(self._mine(claim)).execute():
                raise ClaimLost
            self._store.activity.asked(claim.instance_id, now, claim.actor, operation, why)
            told = self._write(claim, now, **begun(operation, now), claim=None, claim_until=None, **shown)
        self._tell(told)

    def save(
        self,
        claim: Claim,
        /,
        evidence: Mapping[str, object] = NOTHING,
        mended: Note | None = None,
        given: Callable[[], bool] = lambda: True,
        **fields: Any,
    ) -> bool:
        """Write to the claimed row; a status or reason that changed is noted, and a status told to observers.

        ``evidence`` is what was seen, to be noted with it; ``mended`` tells of a crash after which the engine itself
        started the container again. Says whether it was ``given``, which is asked in the same transaction; else nothing
        is written. Raises ``ClaimLost``.
        """
        with self._store.database.transaction():
            if not given():
                return False
            told = self._write(claim, self._store.clock(), evidence, mended, **fields)
        self._tell(told)
        return True

    def _tell(self, told: StatusChanged | None) -> None:
        if told is not None:
            self._publish(told)

    def _write(
        self, claim: Claim, now: datetime, /, evidence: Any = NOTHING, mended: Note | None = None, **fields: Any
    ) -> StatusChanged | None:
        row = self._claimed(claim)
        fields.setdefault("claim_until", now + LIFETIME)
        changed = "status" in fields and fields["status"] != row.status
        if changed:
            fields.update(status_since=now, unanswered_since=None)
            fields.setdefault("failures", failures_in_a_row(row, now))
        if not self._row.update(**fields, updated_at=now).where(self._mine(claim)).execute():
            raise ClaimLost
        after = Status(fields.get("status", row.status))
        reason, detail = fields.get("reason", row.reason), fields.get("detail", row.detail)
        notes = [mended, Note(reason, detail) if changed or reason != row.reason else None]
        for note in filter(None, notes):
            said = {"reason": note.reason, "detail": note.sentence, "evidence": dict(evidence)}
            self._store.activity.state(row.id, now, claim.actor, after, **said)
        if not changed:
            return None
        return StatusChanged(now, claim.actor, row.id, row.owner, Status(row.status), after, reason, detail)

    def finish(self, claim: Claim, /, **fields: Any) -> None:
        """Write the outcome, end the operation and give the claim back, all in one write; raises ``ClaimLost``."""
        self.save(claim, **fields, operation=None, operation_since=None, started=False, claim=None, claim_until=None)

    def move_port(self, claim: Claim, ports: tuple[int, int], taken: Collection[int]) -> None:
        """Give the claimed instance another host port, after its container was removed; raises ``ClaimLost``."""
        self._store.with_free_port(ports, taken, lambda port: self.save(claim, host_port=port))

    def forget(self, claim: Claim) -> None:
        """Delete the claimed row with its secrets; raises ``ClaimLost``."""
        with self._store.database.transaction():
            if not self._row.delete().where(self._mine(claim)).execute():
                raise ClaimLost

    def release(self, claim: Claim) -> None:
        """Give the claim back and leave everything else as it is."""
        with self._store.database.transaction():
            self._row.update(claim=None, claim_until=None).where(self._mine(claim)).execute()

    def _claimed(self, claim: Claim) -> Any:
        with self._store.database.reading():
            row = self._row.select().where(self._mine(claim)).first()
        if row is None:
            raise ClaimLost
        return row

    def _mine(self, claim: Claim) -> Any:
        return (self._row.id == claim.instance_id) & (self._row.claim == claim.token)

    def _claim(self, instance_id: str, actor: str, condition: Any, fields: Mapping[str, Any] = NOTHING) -> Claim | None:
        token = new_holder()
        until = self._store.clock() + LIFETIME
        with self._store.database.transaction():
            query = self._row.update(**fields, claim=token, claim_until=until)
            taken = query.where(self._row.id == instance_id, condition).execute()
        return Claim(instance_id, token, actor) if taken else None

    def _is_free(self, instance_id: str, now: datetime) -> Any:
        """Return the condition that nobody works on an instance; to be used within a transaction."""
        held = self._row.select(self._row.claim).where(self._row.id == instance_id).scalar()
        free = self._row.claim.is_null() | lapsed(self._row.claim_until, now, LIFETIME)
        return free | (self._row.claim == held) if held and is_dead(held) else free
