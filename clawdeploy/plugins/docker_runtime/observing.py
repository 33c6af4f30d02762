"""From what an engine says about a container to an ``Observation``. Pure: no engine."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from clawdeploy.core.contracts import ContainerState, Observation
from clawdeploy.plugins.docker_runtime.failures import not_understood, one_line

STATES = {
    **{state.value: state for state in ContainerState},
    # Podman has some words of its own.
    "configured": ContainerState.CREATED,
    "initialized": ContainerState.CREATED,
    "stopping": ContainerState.RUNNING,
    "stopped": ContainerState.EXITED,
}
ALIVE = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)
RESTART_GAP = timedelta(seconds=1)
ENDED = (ContainerState.EXITED, ContainerState.RESTARTING, ContainerState.DEAD)


def from_inspection(said: Mapping[str, Any]) -> Observation:
    """Read the answer to an inspection, in full detail."""
    with not_understood():
        state, status = said["State"], STATES[said["State"]["Status"]]
        return Observation(
            state=status,
            container_id=said["Id"],
            host_port=_bound_port(said["HostConfig"]["PortBindings"] or {}),
            exit_code=state["ExitCode"] if status in ENDED else None,
            out_of_memory=bool(state["OOMKilled"]),
            restart_count=said["RestartCount"],
            started_at=_moment(state["StartedAt"]),
            engine_error=one_line(state.get("Error") or ""),
        )


def from_list(said: Mapping[str, Any]) -> Observation:
    """Read one entry of the list of containers. The engine names the port there only while it is in use."""
    with not_understood():
        ports = [port["PublicPort"] for port in said.get("Ports") or () if port.get("PublicPort")]
        return Observation(STATES[said["State"]], said["Id"], ports[0] if ports else None)


def between_restarts(said: Mapping[str, Any], now: datetime) -> bool:
    """Say whether an inspected container that has ended may be about to be restarted by its engine.

    Docker calls it ``restarting`` then. Podman calls it ``exited``, for some tens of milliseconds again and again, and
    may restart it once more after it has acknowledged a stop.
    """
    with not_understood():
        ended = _moment(said["State"]["FinishedAt"])
        return bool(said["RestartCount"]) and ended is not None and abs(now - ended) < RESTART_GAP


def _bound_port(bindings: Mapping[str, Any]) -> int | None:
    for bound in bindings.values():
        for one in bound or ():
            return int(one["HostPort"])
    return None


def _moment(text: str) -> datetime | None:
    """Read the engine's timestamps, in which the year 1 means never."""
    moment = datetime.fromisoformat(text)
    return None if moment.year <= 1 else moment.astimezone(UTC)
