"""What one run of the loop remembers besides the row."""

from collections.abc import Callable
from dataclasses import dataclass, field

from clawdeploy.core.claim_keeper import Claim
from clawdeploy.core.contracts import Observation
from clawdeploy.core.steps import Action

FIRST_PAUSE = 0.005
LONGEST_PAUSE = 1.0


@dataclass
class Attempt:
    """One run of the loop.

    ``acts``: what it does since the claim was last found to hold. ``has_turn``: it is one of the creations at the
    engine. ``made``: the container, which this run has made. ``held``: the engine was asked to stop it. ``seen``: how
    it was last. ``gives_way`` says whether others wait for their turn, which this run leaves to them while it merely
    watches.
    """

    claim: Claim
    gives_way: Callable[[], bool] = bool
    acts: Action | None = None
    steps: int = 0
    pause: float = FIRST_PAUSE
    pulled: bool = False
    has_turn: bool = False
    made: bool = False
    held: bool = False
    seen: Observation | None = None
    ports_taken: list[int] = field(default_factory=list)

    def next_pause(self) -> float:
        """Return the seconds to wait before looking again; that is no step, so that a slow start may take its time."""
        seconds = self.pause
        self.pause = min(seconds * 1.5, LONGEST_PAUSE)
        self.steps -= 1
        return seconds
