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
START_TAKES = timedelta(seconds=30)
"""How long an engine that starts may be busy ending what it finds; each container may take its stop timeout."""
MARGIN = timedelta(seconds=1)
CLOCK_STEP = timedelta(milliseconds=20)
"""The kernel notes the times of files in such steps at most."""
STARTED_AGAIN = ("always", "unless-stopped")
ENDED = (ContainerState.EXITED, ContainerState.RESTARTING, ContainerState.DEAD)


def from_inspection(said: Mapping[str, Any]) -> Observation:
    """Read the answer to an inspection, in full detail."""
    with not_understood():
        state, status = said["State"], STATES[said["State"]["Status"]]
        address, port = _bound(said["HostConfig"]["PortBindings"] or {})
        return Observation(
            state=status,
            container_id=said["Id"],
            host_port=port,
            exit_code=state["ExitCode"] if status in ENDED else None,
            out_of_memory=bool(state["OOMKilled"]),
            restart_count=said["RestartCount"],
            started_at=_moment(state["StartedAt"]),
            engine_error=one_line(state.get("Error") or ""),
            memory_bytes=said["HostConfig"].get("Memory") or None,
            unhealthy=(state.get("Health") or {}).get("Status") == "unhealthy",
            host_address=address,
        )


def from_list(said: Mapping[str, Any]) -> Observation:
    """Read one entry of the list of containers. The engine names the port there only while it is in use."""
    with not_understood():
        ports = [
            (port.get("IP") or "", port["PublicPort"]) for port in said.get("Ports") or () if port.get("PublicPort")
        ]
        address, port = ports[0] if ports else ("", None)
        unhealthy = "(unhealthy)" in (said.get("Status") or "")
        return Observation(STATES[said["State"]], said["Id"], port, unhealthy=unhealthy, host_address=address)


def ended_with_engine(said: Mapping[str, Any], began: datetime, listens: datetime | None) -> bool:
    """Say whether an inspected container ended while its engine started.

    An engine that was killed leaves its containers running, and the next one ends them while it starts, with exit
    code 0 and without restarting them (Docker 20.10; moby issue 36496). One that an operator has stopped ended before:
    before the engine listened, or where that cannot be known, before the longest that a start may take. But what the
    engine could not start and had ended before ended when the engine was shut down: it starts nothing else.
    """
    earliest = began - START_TAKES
    if listens is not None and listens <= began:
        earliest = max(earliest, listens - CLOCK_STEP)
    with not_understood():
        ended = _moment(said["State"]["FinishedAt"])
        failed = bool(said["State"].get("Error"))
        return ended is not None and ended < began + MARGIN and (failed or earliest < ended)


def left_in_network(said: Mapping[str, Any]) -> bool:
    """Say whether an inspected container ended without being taken out of its network.

    An engine does that to whatever ends, but has no networks yet when it starts and ends what it finds (Docker 20.10).
    The trace stays until the container is started, however often the engine itself starts until then.
    """
    with not_understood():
        return any(each.get("EndpointID") for each in (said["NetworkSettings"]["Networks"] or {}).values())


def is_kept_ended(said: Mapping[str, Any]) -> bool:
    """Say whether an inspected container that has ended would be started again, had its engine not been told otherwise.

    Docker starts again whatever ends by itself, with any exit code, until somebody stops the container or sends it a
    signal. So this is by hand, unless the engine has tried and failed, or its start has ended the container.
    """
    with not_understood():
        policy = (said["HostConfig"].get("RestartPolicy") or {}).get("Name")
        return policy in STARTED_AGAIN and not said["State"].get("Error")


def began(network: Mapping[str, Any]) -> datetime | None:
    """Read when an engine started from what it says about its default network, which it makes anew each time."""
    with not_understood():
        return _moment(network["Created"])


def between_restarts(said: Mapping[str, Any], now: datetime) -> bool:
    """Say whether an inspected container that has ended may be about to be restarted by its engine.

    Docker calls it ``restarting`` then. Podman calls it ``exited``, for some tens of milliseconds again and again, and
    may restart it once more after it has acknowledged a stop.
    """
    with not_understood():
        ended = _moment(said["State"]["FinishedAt"])
        return bool(said["RestartCount"]) and ended is not None and abs(now - ended) < RESTART_GAP


def _bound(bindings: Mapping[str, Any]) -> tuple[str, int | None]:
    for bound in bindings.values():
        for one in bound or ():
            return one.get("HostIp") or "", int(one["HostPort"])
    return "", None


def _moment(text: str) -> datetime | None:
    """Read the engine's timestamps, in which the year 1 means never."""
    moment = datetime.fromisoformat(text)
    return None if moment.year <= 1 else moment.astimezone(UTC)
