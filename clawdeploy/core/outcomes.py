"""Waiting for what comes of claimed work, for those who have asked for it."""

from clawdeploy.core.claim_keeper import Claim
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.lifecycle import Lifecycle
from clawdeploy.core.patience import Patience


class Outcomes:
    """Has work carried out in the background; ``usual`` is how many seconds somebody waits for it who does not say."""

    def __init__(self, lifecycle: Lifecycle, patience: Patience, usual: float) -> None:
        self._lifecycle = lifecycle
        self._patience = patience
        self._usual = usual

    def wait(self, claim: Claim, most: float | None) -> None:
        """Begin the work and wait for the outcome, but not for ever: a slow pull goes on without us.

        Raises what the work does, and ``RuntimeUnavailable`` when the engine turns out not to answer.
        """
        outcome = self._lifecycle.begin(claim)
        try:
            done = self._patience.wait(outcome, self._usual if most is None else most)
        except RuntimeUnavailable as silence:
            raise silence.put_off() from None
        if done:
            outcome.result()
