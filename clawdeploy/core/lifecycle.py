"""The loop: observe, take the next step, until the instance has settled. Only this acts upon containers of bots.

All enter it with a claim, from any state, because it believes only the row and what the runtime observes.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from clawdeploy.core.attempt import Attempt
from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.claim_keeper import Claim
from clawdeploy.core.claims import Claims
from clawdeploy.core.contracts import ContainerState, Observation, Operation, Runtime, Status, Wish
from clawdeploy.core.deployments import Deployments
from clawdeploy.core.errors import (
    ContainerUnusable,
    EngineError,
    ImageMissing,
    ImageUnavailable,
    PortTaken,
    RuntimeFailure,
)
from clawdeploy.core.late_changes import MAKING, LateChanges
from clawdeploy.core.line import Line
from clawdeploy.core.observing import Observer, guarded
from clawdeploy.core.reasons import explain
from clawdeploy.core.recording import Recorder
from clawdeploy.core.spans import CLOCKS_DIFFER
from clawdeploy.core.steps import Action, next_step
from clawdeploy.core.store import InstanceStore

logger = logging.getLogger(__name__)

MOST_STEPS = 60
"""More steps than any way to a settled state takes; beyond it the engine contradicts itself."""
MOST_PORTS = 500


class Lifecycle:
    """Carries out what owners wish, one claimed instance at a time."""

    def __init__(
        self,
        store: InstanceStore,
        claims: Claims,
        runtime: Runtime,
        deployments: Deployments,
        ports: tuple[int, int],
        recorder: Recorder,
        pace: Pace = USUAL,
    ) -> None:
        self._store = store
        self._claims = claims
        self._runtime = runtime
        self._deployments = deployments
        self._ports = ports
        self._pace = pace
        self._line = Line(store, claims, pace)
        self._closing = threading.Event()
        self._late_changes = LateChanges(claims, self.carry_out, self._closing, pace)
        self.observer = Observer(runtime, deployments, store.clock, store.overlooked)
        self.recorder = recorder

    def begin(self, claim: Claim) -> "Future[None]":
        """Carry out in the background what was claimed; returns the outcome as a future."""
        return self._pace.beside(lambda: self.carry_out(claim))

    def carry_out(self, claim: Claim, gives_way: Callable[[], bool] = bool) -> None:
        """Work on the claimed instance until it has settled; one that has yet to answer ``gives_way`` to others.

        A failure is recorded in the row, with its reason. Raises an ``EngineError`` as well when a start, stop or
        delete cannot be done now: it stays under way and every sync tries again, because nobody can know whether the
        engine did it and lost the answer. What gave way, or a ``DatabaseUnavailable``, is left to whoever looks next.
        """
        attempt = Attempt(claim, gives_way)
        with self._claims.kept(claim), self._late_changes.made_good(attempt):
            self._run(attempt)

    def close(self) -> None:
        """Let every loop end at its next pause; what is unfinished is resumed by whoever comes next."""
        self._closing.set()

    def _run(self, attempt: Attempt) -> None:
        try:
            while self._advance(attempt):
                attempt.steps += 1
                if self._closing.is_set():
                    self._claims.release(attempt.claim)
                    return
        except EngineError as error:
            self.recorder.give_up(attempt.claim, error, attempt.seen)

    def _advance(self, attempt: Attempt) -> bool:
        """Take one step; says whether there is more to do."""
        if attempt.steps > MOST_STEPS:
            raise RuntimeFailure("Docker says one thing and does another; its own log may say why.")
        row = self._claims.row(attempt.claim)
        attempt.acts = None
        if row.operation is None:
            # Somebody else has finished it just before this claim, and what it is owed since then is begun by a sync.
            self._claims.release(attempt.claim)
            return False
        attempt.seen = seen = self.observer.look(row.id)
        situation = self.observer.situation(row, seen, fresh=attempt.made, held=attempt.held)
        step = next_step(situation)
        if step.action in (Action.SETTLE, Action.KEEP):
            self.recorder.settle(attempt.claim, row, step, situation)
            return False
        if step.action is Action.BACK_OFF:
            self.recorder.back_off(attempt.claim, row, step, situation)
            return True
        if step.action is Action.RESTART:
            self._claims.save(attempt.claim, operation=Operation.RESTART, started=False)
            return True
        if step.action is Action.FORGET:
            guarded(self._runtime.discard, row.id)
            self.recorder.forget(attempt.claim, row)
            return False
        if step.action is Action.WAIT:
            self.recorder.remember(attempt.claim, row, situation)
            return self._wait(attempt, row)
        if row.operation == Operation.CREATE and step.action in MAKING and not attempt.has_turn:
            attempt.has_turn = self._line.wait(attempt.claim, self._closing)
        else:
            self._act(step.action, attempt, row, seen)
        return True

    def _act(self, action: Action, attempt: Attempt, row: Any, seen: Observation) -> None:
        container = seen.container_id or ""
        if action is Action.CREATE:
            self._create(attempt, row)
        elif action is Action.START:
            self._start(attempt, row, container, seen)
        elif action is Action.STOP:
            if row.retry_at is None:
                self._phase(attempt.claim, row, "stopping", started=False)
            attempt.acts = action
            guarded(self._runtime.stop, container, self._deployments.stop_timeout(row.blueprint))
            attempt.held = True
        else:
            self._remove(attempt, row, container)

    def _create(self, attempt: Attempt, row: Any) -> None:
        if row.host_port is None:
            self._claims.move_port(attempt.claim, self._ports, ())
            return
        if row.secrets_unread:
            self._claims.save(attempt.claim, secrets_unread=False, started=False)
        spec = self._deployments.spec(row)
        identity = self._deployments.made_from(spec)
        self._phase(attempt.claim, row, "creating_container", status=Status.CREATING, made_from=identity)
        attempt.acts = Action.CREATE
        try:
            container = guarded(self._runtime.create, row.id, row.host_port, spec)
        except ImageMissing as missing:
            if attempt.pulled:
                raise ImageUnavailable(f"{missing.detail}, although it was downloaded.") from missing
            attempt.has_turn = False
            self._phase(attempt.claim, row, "pulling_image")
            # Whoever takes over meanwhile has no change of ours to be undone.
            attempt.acts = None
            guarded(self._runtime.pull, spec.images[0])
            attempt.pulled = True
            return
        except PortTaken as error:
            self._try_another_port(attempt, row, error)
            return
        attempt.made = True
        self._phase(attempt.claim, row, "starting", container_id=container)

    def _start(self, attempt: Attempt, row: Any, container: str, seen: Observation) -> None:
        # Before the secrets are read: one that is changed from now on, or since the row was read, is still to be read.
        read = {"secrets_unread": False, "started": False} if row.secrets_unread else {}
        self._phase(attempt.claim, row, "starting", status=Status.CREATING, **read)
        spec = self._deployments.spec(row)
        if read and self._deployments.made_from(spec) != row.made_from:
            # Another one was changed since this container was found to be what is asked for.
            self._claims.save(attempt.claim, secrets_unread=True)
            return
        attempt.acts = Action.START
        try:
            guarded(self._runtime.start, container, row.id, spec)
        except ContainerUnusable as error:
            logger.warning("Instance %s: its container is made anew: %s", row.id, error.for_log)
            self._remove(attempt, row, container)
            return
        except (PortTaken, RuntimeFailure) as error:
            # A container that never ran is worth nothing and holds the name (the engine leaves it behind).
            if self.observer.look(row.id).state is not ContainerState.CREATED:
                raise
            guarded(self._runtime.remove, container)
            self._claims.save(attempt.claim, container_id=None)
            if not isinstance(error, PortTaken):
                raise
            self._try_another_port(attempt, row, error)
            return
        attempt.has_turn, now = False, self._store.clock()
        # An engine forgets how often it restarted a container when that is started, and not when it is resumed.
        counted = seen.restart_count if seen.state is ContainerState.PAUSED else 0
        self._phase(attempt.claim, row, "waiting_until_ready", started=True, operation_since=now, restarts_seen=counted)
        attempt.acts = None

    def _remove(self, attempt: Attempt, row: Any, container: str) -> None:
        """Remove a container, for good or for another one: should that fail, nobody has removed it by hand."""
        if row.wish == Wish.DELETE:
            self._phase(attempt.claim, row, "removing")
        else:
            self._phase(attempt.claim, row, "creating_container", status=Status.CREATING, container_id=None)
        attempt.acts = Action.REMOVE
        guarded(self._runtime.remove, container)

    def _try_another_port(self, attempt: Attempt, row: Any, error: PortTaken) -> None:
        """Step over a port that another program holds; every port of the range may be tried, within bounds."""
        attempt.ports_taken.append(row.host_port)
        if len(attempt.ports_taken) > MOST_PORTS:
            raise error
        self._claims.move_port(attempt.claim, self._ports, attempt.ports_taken)
        attempt.steps = 0

    def _wait(self, attempt: Attempt, row: Any) -> bool:
        """Pause before looking again; says whether to look, which is left to others when this gives way to them."""
        now, since = self._store.clock(), row.operation_since
        if since is not None and now - since > timedelta(hours=1):
            raise RuntimeFailure("Docker has been busy with this container for more than an hour.")
        if since is not None and since > now + CLOCKS_DIFFER:
            # The clock was put back. The bot has its whole time, and not until that moment comes once more.
            self._claims.save(attempt.claim, operation_since=now)
        if row.wish == Wish.RUN and row.reason != "waiting_until_ready":
            self._phase(attempt.claim, row, "waiting_until_ready", status=Status.CREATING)
        if row.reason == "waiting_until_ready" and attempt.gives_way():
            self._claims.release(attempt.claim)
            return False
        self._pace.pause(self._closing, attempt.next_pause())
        return True

    def _phase(self, claim: Claim, row: Any, reason: str, **fields: Any) -> None:
        """Say what is going on, before every change of a container. What the row says already is not written again.

        Either way the claim was found to hold: by the write, or by the read of the row a moment ago.
        """
        # What the engine has refused is said until it is done, and not over and over again in turn with this.
        refused = claim.resumed and row.reason == RuntimeFailure.code and reason in ("stopping", "removing")
        fields |= {} if refused else {"reason": reason, "detail": explain(reason)}
        if any(getattr(row, name) != value for name, value in fields.items()):
            self._claims.save(claim, **fields)
