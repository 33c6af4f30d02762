"""What is going on with an instance while an operation is under way, and what has to be there before one."""

from datetime import datetime
from typing import Any

from clawdeploy.core.contracts import Instance, Operation, Status
from clawdeploy.core.errors import NoContainer, OperationInProgress
from clawdeploy.core.reasons import explain
from clawdeploy.core.situation import Recorded, Situation

ONLY_WATCHING = ("waiting_in_line", "pulling_image", "waiting_until_ready")
"""Phases in which the work changes nothing about the container: another wish may take over."""

NOT_ANSWERING = ("not_ready", "unhealthy")
"""Reasons of a bot that has come up, or was up, and does not answer."""

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

ENDED_WITH_ENGINE = "Docker had ended it when Docker itself started."
NOT_STARTED_BY_ENGINE = "Docker could not start it by itself."
WHY_AGAIN = {
    Recorded.BACKING_OFF: "It had ended by itself, and the pause after that is over.",
    Recorded.TRIED_LATER: "It could not be started, and the pause after that is over.",
    Recorded.FAILED: "It had ended in an operation that failed.",
}


def begun(operation: Operation, now: datetime) -> dict[str, Any]:
    """Return the fields of an instance's row whose operation begins now."""
    phase = FIRST_PHASE[operation]
    fields = {"operation": operation, "operation_since": now, "started": False, "retry_at": None}
    return {**fields, "reason": phase, "detail": explain(phase)}


def require_container(instance: Instance) -> None:
    """Raise ``NoContainer`` for an instance that could not be made, with what is known about why.

    One that is to get another container by itself, or was stopped before it had that, is none of them.
    """
    may_be_made = instance.retry_at is not None or instance.status is Status.STOPPED
    if instance.container_id is None and not may_be_made:
        why = f" {instance.detail}" if instance.detail else ""
        again = "" if instance.operation else ' A PATCH with {"status": "running"} tries again.'
        raise NoContainer(f"This bot has no container yet.{why}{again}")


def in_progress(instance: Instance, *, engine_is_silent: bool) -> OperationInProgress:
    """Return the error of somebody who asks for something while something else is going on."""
    later = "Docker does not answer; try again when it does." if engine_is_silent else "Try again in a few seconds."
    return OperationInProgress(f"Something else is going on with this bot: {explain(instance.reason)} {later}")


def why_brought_back(situation: Situation) -> str:
    """Return a sentence that says why the sync starts a bot again."""
    if situation.recorded in WHY_AGAIN:
        return WHY_AGAIN[situation.recorded]
    return NOT_STARTED_BY_ENGINE if situation.observation.engine_error else ENDED_WITH_ENGINE
