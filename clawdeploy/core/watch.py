"""When to look: on events of the engine, every few seconds at what is expected, and at everything anyway."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count

from clawdeploy.core.background import Crew
from clawdeploy.core.cleanup import Cleanup
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.errors import ClawDeployError, DatabaseUnavailable, EngineError, RuntimeUnavailable
from clawdeploy.core.lease import Lease
from clawdeploy.core.reconciler import ENGINE_ACTOR, Reconciler
from clawdeploy.core.spans import Spans
from clawdeploy.core.store import InstanceStore

logger = logging.getLogger(__name__)

LOOKS_EVERY = 1.0
"""Seconds between two looks for what is expected: unfinished operations, bots that start, pauses that are over."""
TRIES_AGAIN = 1.0
"""Seconds after which a sync that was not possible is tried again."""
GATHERS = 0.05
"""Seconds in which events that come together are waited for, so that they are one look."""
LISTENS_AGAIN = 1.0
MOST_FOLLOWED = 16
"""How many of those that something happened to are looked at at a time."""


class Watch:
    """Has one process of all keep the instances in sync, by a lease; the others stand ready to take over."""

    def __init__(
        self,
        reconciler: Reconciler,
        store: InstanceStore,
        runtime: Runtime,
        lease: Lease,
        spans: Spans,
        cleanup: Cleanup,
    ) -> None:
        self._reconciler = reconciler
        self._store = store
        self._runtime = runtime
        self._lease = lease
        self._spans = spans
        self._cleanup = cleanup
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._told = threading.Event()
        self._lock = threading.Lock()
        self._happened: set[str] = set()
        self._looking: set[str] = set()
        self._crew = Crew(MOST_FOLLOWED)
        self._anew = False
        self._holds = False
        self._comparing = False
        self._next_sync = 0.0
        self._complaint = ""

    def start(self, interval: float) -> None:
        """Begin, in threads of its own; everything is compared every ``interval`` seconds."""
        threading.Thread(target=self._run, args=(interval,), name="watch", daemon=True).start()
        threading.Thread(target=self._listen, name="engine-events", daemon=True).start()
        threading.Thread(target=self._follow, name="engine-news", daemon=True).start()

    def close(self) -> None:
        """End, and leave it to another process at once."""
        self._closing.set()
        self._wake.set()
        self._told.set()
        self._cleanup.close()
        self._lease.release()

    def _run(self, interval: float) -> None:
        while not self._closing.is_set():
            if not self._succeeds(lambda: self._look(interval)):
                # What was to be looked at now is looked at then.
                self._next_sync = min(self._next_sync, time.monotonic() + TRIES_AGAIN)
            self._wake.wait(min(interval, LOOKS_EVERY))
            self._wake.clear()

    def _succeeds(self, look: Callable[[], object]) -> bool:
        try:
            look()
        except ClawDeployError as error:
            # The database tells of its outages itself, once.
            if not isinstance(error, DatabaseUnavailable) and error.for_log != self._complaint:
                self._complaint = error.for_log
                logger.warning("Sync was not possible: %s", error.for_log)
            return False
        except Exception:
            logger.exception("Sync failed")
        return True

    def _look(self, interval: float) -> None:
        anew, self._anew = self._anew, False
        self._holds = self._lease.hold()
        if not self._holds:
            # Whoever takes over does not know what has happened before, nor just now.
            self._anew = True
            self._spans.begin()
            return
        self._spans.extend()
        self._reconciler.resume()
        if anew or time.monotonic() >= self._next_sync:
            soon = min(interval, TRIES_AGAIN)
            self._next_sync = time.monotonic() + soon
            self._comparing = True
            try:
                self._reconciler.sync()
            finally:
                self._comparing = False
            # A look that had nothing to ask the engine says nothing about it.
            self._complaint = ""
            # What ended just before it was listened to may be missing in an engine's list for a moment still.
            self._next_sync = time.monotonic() + (soon if anew else interval)
            self._cleanup.begin()
            return
        self._reconciler.look(self._store.restless())

    def _follow(self) -> None:
        """Look at what the engine tells of, one by one and whatever else is looked at meanwhile.

        A sync does not do instead. Docker 20.10 tells of an end some tenths of a second before its list has it, and
        bots that hang may each keep a sync waiting for as long as their probe may take.
        """
        for number in count():
            self._told.wait(LOOKS_EVERY)
            self._closing.wait(GATHERS)
            self._told.clear()
            if self._closing.is_set():
                return
            self._succeeds(self._keep_on)
            for instance_id in self._take_happened():
                try:
                    self._crew.do(f"{instance_id} {number}", partial(self._look_at, instance_id))
                except RuntimeUnavailable:
                    # There are too many threads just now, as the system says; it must not be the end of this one.
                    with self._lock:
                        self._looking.discard(instance_id)
                    self._compare_anew()

    def _keep_on(self) -> None:
        """Do what cannot wait for a sync, which with many bots that hang takes longer than a lease lives.

        That is to renew the lease, to carry on with what a dead process left whose claim has lapsed since it began, and
        to extend the span in which what is made is known to be of this server.
        """
        if self._holds and self._lease.hold() and self._comparing:
            self._spans.extend()
            self._reconciler.resume()

    def _look_at(self, instance_id: str) -> None:
        busy: list[str] = []

        def look() -> None:
            # Whoever works on it may have looked just before, and is yet to write down what was so.
            busy.extend(self._store.busy([instance_id]))
            self._reconciler.look([instance_id], ENGINE_ACTOR)

        failed = not self._succeeds(look)
        with self._lock:
            self._looking.discard(instance_id)
            self._happened.update(busy)
        if failed:
            self._compare_anew()

    def _take_happened(self) -> set[str]:
        """Take those that nobody looks at just now; the others are looked at once more afterwards."""
        with self._lock:
            anew = "" in self._happened
            self._happened.discard("")
            if not self._holds:
                self._happened.clear()
            taken = self._happened - self._looking
            self._happened -= taken
            self._looking |= taken
        if anew:
            self._compare_anew()
        return taken

    def _compare_anew(self) -> None:
        self._anew = True
        self._wake.set()

    def _listen(self) -> None:
        """Gather what the engine tells, in every process: who takes over must not begin with a silence."""
        while not self._closing.is_set():
            heard = False
            try:
                for instance_id in self._runtime.events():
                    heard = True
                    with self._lock:
                        self._happened.add(instance_id)
                    self._told.set()
                    if self._closing.is_set():
                        return
                if not heard:
                    return
            except EngineError as error:
                logger.debug("The engine's events cannot be heard: %s", error.for_log)
            except Exception:
                logger.exception("Listening to the engine failed")
            self._closing.wait(LISTENS_AGAIN)
