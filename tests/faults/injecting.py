"""Injecting: strike at call n of an operation, let the server come back, see whether anything is broken; then n + 1."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.faults.operations import Operation
from tests.faults.points import Moment
from tests.faults.proxy import Fault
from tests.faults.scene import Scene

BACK_WITHIN = 10.0
"""Seconds from the start of a server, or the end of a worker, in which what a dead one left is finished or undone."""
MENDED_WITHIN = 60.0
"""Seconds in which everything is well again after a single call to the engine went wrong; some hang for half of it."""
NEWS_SECONDS = 2.0
"""How long what the engine tells may take to show, of a bot on which nothing is under way any more."""
MOST_CALLS = 100


@dataclass
class Injection:
    """One fault: which one, at which call, what is broken after it, and how long it took until all was settled."""

    what: str
    call: str
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = "; ".join(self.broken) or f"settled in {self.seconds:.1f} s"
        return f"{self.what}, {self.call}: {said}"


class Injector:
    """Injects faults into one operation. ``at`` is the number of a call, from 1, or what it is like.

    Every method returns ``None`` when nothing was hit: the operation makes no such call, or nothing is committed
    after it.
    """

    def __init__(self, scene: Scene, operation: Operation) -> None:
        self._scene = scene
        self._operation = operation

    def server_dies(self, what: Moment, at: int | str) -> Injection | None:
        """Kill all processes of the server, and start it again."""
        served = self._scene.served
        return self._strike(what, at, lambda _: served.kill(), served.start, BACK_WITHIN)

    def worker_dies(self, what: Moment, at: int | str) -> Injection | None:
        """Kill only the worker that makes the call: those that are left go on with what it did."""
        return self._strike(what, at, lambda pid: os.kill(pid, signal.SIGKILL), _nothing, BACK_WITHIN)

    def engine_fails(self, what: Fault, at: int | str) -> Injection | None:
        """Let the one call go wrong; every other one goes right."""
        return self._strike(what, at, lambda _: None, _nothing, MENDED_WITHIN)

    def calls(self) -> list[str]:
        """Return the calls that the operation makes when nothing goes wrong."""
        self._operation.prepare()
        self._scene.engine.arm(0, Moment.BEFORE, lambda _: None, self._scene.oracle.stored)
        self._operation.ask()
        self._scene.engine.disarm()
        self._operation.finish()
        return list(self._scene.engine.calls)

    def everywhere(self, strike: Callable[[int], Injection | None]) -> Iterator[Injection]:
        """Strike at every call in turn, until the operation makes fewer calls."""
        for number in range(1, MOST_CALLS):
            injection = strike(number)
            if injection is not None:
                yield injection
            if len(self._scene.engine.calls) < number:
                return
        raise AssertionError(f"{self._operation.name} makes more than {MOST_CALLS} calls.")

    def _strike(
        self,
        what: Moment | Fault,
        at: int | str,
        kill: Callable[[int], None],
        come_back: Callable[[], None],
        within: float,
    ) -> Injection | None:
        operation, engine = self._operation, self._scene.engine
        operation.prepare()
        engine.arm(at, what, kill, self._scene.oracle.stored)
        operation.ask()
        calls = list(engine.calls)
        if not engine.disarm():
            operation.finish()
            return None
        operation.struck()
        injection = Injection(f"{operation.name} {what}", f"{at} {calls[at - 1]}" if isinstance(at, int) else at)
        began = time.monotonic()
        come_back()
        self._settle(injection, began, within)
        if injection.broken:
            operation.give_up()
        else:
            operation.finish()
        return injection

    def _settle(self, injection: Injection, began: float, within: float) -> None:
        """Wait until nothing is under way any more, at most ``within`` seconds since ``began``; then look at all."""
        oracle = self._scene.oracle
        oracle.settle(within - (time.monotonic() - began))
        injection.seconds = time.monotonic() - began
        deadline = time.monotonic() + NEWS_SECONDS
        while time.monotonic() < deadline and oracle.check(0.0, trial=False):
            time.sleep(0.05)
        injection.broken = oracle.check(0.0)
        if not injection.broken:
            injection.broken += self._operation.lost()
        # They have been looked through; what is kept grows with each fault, and so would the time to look.
        self._scene.ledger.answers.clear()


def _nothing() -> None:
    """Do nothing."""
