"""Looking at containers: what a runtime says, put together with what the row says."""

import logging
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from clawdeploy.core.contracts import ContainerState, Observation, Operation, Runtime, Status, Wish
from clawdeploy.core.crashes import LONGEST_PAUSE, is_loop, recent_crashes, uncounted
from clawdeploy.core.deployments import Deployments
from clawdeploy.core.errors import EngineError, RuntimeFailure, RuntimeUnavailable
from clawdeploy.core.situation import Recorded, Situation
from clawdeploy.core.spans import CLOCKS_DIFFER
from clawdeploy.core.steps import FAILED_OPERATIONS

logger = logging.getLogger(__name__)

ASKED_TO_RUN = (Operation.CREATE, Operation.START, Operation.RESTART)
BACKED_OFF = ("crash_loop", "out_of_memory")
BY_HAND = ("stopped_outside", "paused_outside")


class Observer:
    """Looks at the containers of instances and changes nothing. ``overlooked``: for minutes no server has looked."""

    def __init__(
        self,
        runtime: Runtime,
        deployments: Deployments,
        clock: Callable[[], datetime],
        overlooked: Callable[[], bool],
    ) -> None:
        self._runtime = runtime
        self._deployments = deployments
        self._clock = clock
        self._overlooked = overlooked

    def look(self, instance_id: str) -> Observation:
        """Observe one container. An engine that cannot even say how it is counts as not answering."""
        try:
            return cast(Observation, guarded(self._runtime.observe, instance_id))
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            raise RuntimeUnavailable(f"Docker cannot say how the container is. {error.detail}") from error

    def observed(
        self, row: Any, *, ready: bool | None = None, before: Observation | None = None, fresh: bool = False
    ) -> tuple[Observation, Situation]:
        """Look at one instance's container now; ``ready`` spares the probe of one that was probed a moment ago.

        ``before`` is what was seen of it then, which may show a crash that the engine has mended since. ``fresh``: the
        container was made just now, and is as it was asked for, whatever the blueprint would say this time; but for a
        secret that was changed since then.
        """
        seen = self.look(row.id)
        return seen, self.situation(row, seen, ready=ready, before=before, fresh=fresh)

    def probe(self, row: Any, seen: Observation) -> bool:
        """Ask an instance's running container whether it is ready, at the port that its owner is told."""
        if seen.host_port != row.host_port:
            # Somebody has made it by hand with another one, or with none.
            return False
        return bool(guarded(self._runtime.probe, seen, self._deployments.probe(row.blueprint)))

    def logs(self, container_id: str, tail: int) -> str:
        """Return the last lines of a container's log; raises ``NoContainer`` or an ``EngineError``."""
        return self._runtime.logs(container_id, tail)

    def situation(
        self,
        row: Any,
        seen: Observation,
        *,
        ready: bool | None = None,
        before: Observation | None = None,
        fresh: bool = False,
        held: bool = False,
    ) -> Situation:
        """Put together all that the next step of an instance depends on."""
        now = self._clock()
        running = seen.state is ContainerState.RUNNING
        begun_anew = seen.started_at is not None and row.status_since < seen.started_at <= now + CLOCKS_DIFFER
        if ready is None or begun_anew:
            ready = running and (row.operation is None or row.wish == Wish.RUN) and self.probe(row, seen)
        overlooked = uncounted(row, seen) > 1 and self._overlooked()
        crashes = recent_crashes(row, seen, now, before, overlooked=overlooked)
        # Whatever else goes on, a secret that was changed may take another file.
        unread = row.secrets_unread and row.operation is not None and row.wish == Wish.RUN
        # One that is brought back is as it was, unless it was to be removed for another one, and is there still.
        asked = row.operation in ASKED_TO_RUN or (row.operation == Operation.RECOVER and row.container_id is None)
        begins = unread or (asked and not row.started)
        to_start = begins and seen.state is not ContainerState.MISSING
        # Where somebody has made it by hand with another port, it is not what was asked for.
        elsewhere = not fresh and seen.host_port != row.host_port
        probe = self._deployments.probe(row.blueprint)
        since = _waits_since(row, seen, now)
        # Of a wait that has yet to begin, the clock was put back. An operation begins its wait anew then.
        unknown = since is not None and since > now + CLOCKS_DIFFER and row.operation is None
        overdue = unknown or (since is not None and now - since > timedelta(seconds=probe.deadline))
        return Situation(
            wish=Wish(row.wish),
            operation=Operation(row.operation) if row.operation else None,
            observation=seen,
            recorded=_recorded(row, begun_anew),
            made=row.container_id is not None,
            started=row.started,
            ready=ready,
            overdue=overdue,
            outdated=to_start
            and (elsewhere or ((row.secrets_unread or not fresh) and self._deployments.outdated(row))),
            looping=is_loop(row, seen, crashes),
            owed=_is_owed(row, seen, now, begun_anew),
            crashes=crashes,
            unread=row.secrets_unread,
            held=held,
        )


def _recorded(row: Any, begun_anew: bool) -> Recorded:
    if row.status == Status.ERROR and row.reason in FAILED_OPERATIONS:
        return Recorded.FAILED if row.retry_at is None else Recorded.TRIED_LATER
    if row.status == Status.ERROR and row.reason in BACKED_OFF and row.retry_at is not None:
        return Recorded.BACKING_OFF
    if row.reason == "stopped_outside" and not begun_anew:
        return Recorded.STOPPED_BY_HAND
    answered = row.status == Status.RUNNING or row.reason == "unhealthy"
    return Recorded.ANSWERED if answered and not begun_anew and row.operation is None else Recorded.OTHER


def _waits_since(row: Any, seen: Observation, now: datetime) -> datetime | None:
    """Return since when a bot has had time to answer; ``None`` when nothing says that it was started.

    The later moment: a container that a dead process started has its whole time, however long the pull before took. But
    one that has yet to come is by a clock that is ahead, such as that of an engine elsewhere, and says nothing.
    """
    known = [at for at in (row.operation_since, seen.started_at) if at]
    past = [at for at in known if at <= now + CLOCKS_DIFFER]
    return max(past, default=row.status_since) if known else None


def _is_owed(row: Any, seen: Observation, now: datetime, begun_anew: bool) -> bool:
    if row.operation is not None:
        return False
    if row.retry_at is not None:
        # Of one that is further away than any pause is, the clock was put back since it was chosen.
        return not now < row.retry_at <= now + LONGEST_PAUSE
    # What an engine ends when it is shut down looks like that, too, and what was paused it starts when it starts.
    not_by_hand = begun_anew or (seen.engine_error and (seen.ended_with_engine or row.reason == "paused_outside"))
    if row.reason in BY_HAND and not not_by_hand:
        return False
    # One that ended after a failure did so because of what had failed: its owner had asked for it to run.
    return seen.ended_with_engine or bool(seen.engine_error) or row.reason in FAILED_OPERATIONS


def guarded(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call a runtime; what it raises against its contract becomes a failure with a reason, not a stuck row."""
    try:
        return call(*arguments)
    except EngineError:
        raise
    except (Exception, SystemExit) as error:
        # Where, but not the message: a runtime sees secrets, and may have put one into its exception.
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("The runtime failed in a way that it should not: %s\n%s", type(error).__name__, where)  # noqa: TRY400 - its message may hold a secret
        raise RuntimeFailure(f"The runtime failed unexpectedly ({type(error).__name__}).") from None
