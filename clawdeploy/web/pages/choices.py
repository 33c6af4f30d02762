"""Which actions make sense for an instance now, and why the others do not."""

from dataclasses import dataclass

from clawdeploy.core.contracts import Instance, Operation, Status
from clawdeploy.core.phases import NOT_ANSWERING, ONLY_WATCHING

UNDER_WAY = {
    Operation.CREATE: "It is being made already.",
    Operation.START: "It is starting already.",
    Operation.RESTART: "It is restarting already.",
    Operation.RECOVER: "It is being started again already.",
    Operation.STOP: "It is being stopped already.",
    Operation.DELETE: "It is being deleted.",
}


@dataclass(frozen=True)
class Choice:
    """An action that a page offers: the last part of its address, its label, and why it makes no sense now, if so."""

    name: str
    label: str
    why_not: str = ""


def choices(instance: Instance) -> list[Choice]:
    """Return what can be done with an instance; deleting it, which always makes sense, is not among them."""
    again = instance.status is Status.ERROR
    run = Choice("retry", "Try again", _why_not_run(instance)) if again else _start(instance)
    return [
        run,
        Choice("stop", "Stop", _why_not_stop(instance)),
        Choice("restart", "Restart", _why_not_restart(instance)),
    ]


def _start(instance: Instance) -> Choice:
    return Choice("start", "Start", _why_not_run(instance))


def _why_not_run(instance: Instance) -> str:
    if instance.operation is not None:
        return UNDER_WAY.get(instance.operation, "Something is going on with it already.")
    if instance.status is Status.RUNNING:
        return "It is running already."
    return "It is starting already." if instance.status in (Status.PENDING, Status.CREATING) else ""


def _why_not_stop(instance: Instance) -> str:
    if instance.container_id is None and instance.retry_at is None:
        return "It has nothing running that could be stopped."
    if instance.operation is Operation.RECOVER:
        return ""
    if instance.operation is not None and instance.reason not in ONLY_WATCHING:
        return UNDER_WAY.get(instance.operation, "Something is going on with it already.")
    return "It is stopped already." if instance.status is Status.STOPPED else ""


def _why_not_restart(instance: Instance) -> str:
    if instance.operation is not None:
        return UNDER_WAY.get(instance.operation, "Something is going on with it already.")
    # What does not answer runs all the same, and to start it would only be to wait for it once more.
    if instance.status is Status.RUNNING or instance.reason in NOT_ANSWERING:
        return ""
    return "It is not running. Start it instead."
