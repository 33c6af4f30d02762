"""What is going on with an instance while an operation is under way, and what has to be there before one."""

from clawdeploy.core.contracts import Instance, Operation
from clawdeploy.core.errors import NoContainer, OperationInProgress
from clawdeploy.core.reasons import explain

ONLY_WATCHING = ("waiting_in_line", "pulling_image", "waiting_until_ready")
"""Phases in which the work changes nothing about the container: another wish may take over."""

FIRST_PHASE = {
    Operation.CREATE: "creating_container",
    Operation.START: "starting",
    Operation.STOP: "stopping",
    Operation.RESTART: "starting",
    Operation.RECOVER: "starting",
    Operation.DELETE: "removing",
}
"""What is going on from the moment of a claim, so that what was so before it is not taken for it."""

WITH_OTHER_SECRETS = "One of its secrets was changed."
"""Why a bot is restarted that nobody asked to restart."""


def require_container(instance: Instance) -> None:
    """Raise ``NoContainer`` for an instance that never got a container, with what is known about why."""
    if instance.container_id is None:
        why = f" {instance.detail}" if instance.detail else ""
        again = "" if instance.operation else ' A PATCH with {"status": "running"} tries again.'
        raise NoContainer(f"This bot has no container yet.{why}{again}")


def in_progress(instance: Instance, *, engine_is_silent: bool) -> OperationInProgress:
    """Return the error of somebody who asks for something while something else is going on."""
    later = "Docker does not answer; try again when it does." if engine_is_silent else "Try again in a few seconds."
    return OperationInProgress(f"Something else is going on with this bot: {explain(instance.reason)} {later}")
