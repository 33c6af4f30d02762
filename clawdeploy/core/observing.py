"""Looking at containers: what a runtime says, put together with what the row says."""

import logging
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from clawdeploy.core.contracts import ContainerState, Observation, Operation, Runtime, Status, Wish
from clawdeploy.core.deployments import Deployments
from clawdeploy.core.errors import EngineError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.steps import FAILED_OPERATIONS, Situation

logger = logging.getLogger(__name__)

BRING_UP = (Operation.START, Operation.RESTART)


class Observer:
    """Looks at the containers of instances and changes nothing."""

    def __init__(self, runtime: Runtime, deployments: Deployments, clock: Callable[[], datetime]) -> None:
        self._runtime = runtime
        self._deployments = deployments
        self._clock = clock

    def look(self, instance_id: str) -> Observation:
        """Observe one container. An engine that cannot even say how it is counts as not answering."""
        try:
            return cast(Observation, guarded(self._runtime.observe, instance_id))
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            raise RuntimeUnavailable(f"Docker cannot say how the container is. {error.detail}") from error

    def observed(self, row: Any, *, trust_running: bool = False) -> tuple[Observation, Situation]:
        """Look at one instance's container now; ``trust_running`` spares the probe of one that passed before."""
        seen = self.look(row.id)
        return seen, self.situation(row, seen, trust_running=trust_running)

    def situation(self, row: Any, seen: Observation, *, trust_running: bool = False) -> Situation:
        """Put together all that the next step of an instance depends on."""
        ready = False
        probe = self._deployments.probe(row.blueprint)
        if seen.state is ContainerState.RUNNING and (row.operation is None or row.wish == Wish.RUN):
            trusted = trust_running and row.status == Status.RUNNING
            ready = trusted or guarded(self._runtime.probe, seen, probe)
        # The later one: a container that a dead process started has its whole time, however long the pull before took.
        since = max((at for at in (row.operation_since, seen.started_at) if at), default=None)
        overdue = since is not None and self._clock() - since > timedelta(seconds=probe.deadline)
        return Situation(
            wish=Wish(row.wish),
            operation=Operation(row.operation) if row.operation else None,
            observation=seen,
            made=row.container_id is not None,
            started=row.started,
            ready=ready,
            overdue=overdue,
            outdated=row.operation in BRING_UP and not row.started and self._deployments.outdated(row),
            failed=row.status == Status.ERROR and row.reason in FAILED_OPERATIONS,
        )


def guarded(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call a runtime; what it raises against its contract becomes a failure with a reason, not a stuck row."""
    try:
        return call(*arguments)
    except EngineError:
        raise
    except Exception as error:
        # Where, but not the message: a runtime sees secrets, and may have put one into its exception.
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("The runtime failed in a way that it should not: %s\n%s", type(error).__name__, where)  # noqa: TRY400
        raise RuntimeFailure(f"The runtime failed unexpectedly ({type(error).__name__}).") from None
