"""How long things took and how they ended, told to whoever measures.

A measurement never says whose thing it was: each of its texts is one of a list that the product itself has.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from clawdeploy.core.contracts import Operation

logger = logging.getLogger(__name__)

EngineOutcome = Literal["done", "failed", "unavailable", "refused"]


@dataclass(frozen=True)
class Measurement:
    """Base of what is measured."""


@dataclass(frozen=True)
class OperationEnded(Measurement):
    """An operation on an instance has settled; ``reason`` is why not as it was wished, empty when it was.

    ``seconds`` are those since the process that ended it took it up.
    """

    operation: Operation
    reason: str
    seconds: float


@dataclass(frozen=True)
class SyncEnded(Measurement):
    """All instances were compared with the engine, or could not be; ``changes`` is how many had diverged."""

    done: bool
    changes: int
    seconds: float


@dataclass(frozen=True)
class EngineCalled(Measurement):
    """The engine was asked for something; ``call`` is the name of the runtime's method.

    ``outcome``: ``failed`` is an answer of the engine's, ``unavailable`` is that there was none, and ``refused`` that
    the circuit breaker did not let the call through.
    """

    call: str
    outcome: EngineOutcome
    seconds: float


@dataclass(frozen=True)
class LimitReached(Measurement):
    """Somebody was refused because it was too much; ``limit`` says of what."""

    limit: Literal["changes", "sign_ins", "visits"]


class Measurements:
    """Tells every measurement to those who listen."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[Measurement], None], ...] = ()

    def listen(self, listener: Callable[[Measurement], None]) -> None:
        """Have each measurement from now on told to ``listener``, in the thread that made it."""
        self._listeners = (*self._listeners, listener)

    def tell(self, measurement: Measurement) -> None:
        """Tell a measurement. A listener that fails is logged and harms nobody."""
        for listener in self._listeners:
            try:
                listener(measurement)
            except Exception:
                logger.exception("A %s could not be noted", type(measurement).__name__)


def unmeasured(_: Measurement) -> None:
    """Take no notice of a measurement."""
