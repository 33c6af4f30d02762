"""What has happened to a bot, in sentences for its owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clawdeploy.core.contracts import Activity, Operation, Status
from clawdeploy.core.steps import CRASHED

ASKED = {
    Operation.CREATE: "asked for this bot to be made",
    Operation.START: "asked it to start",
    Operation.STOP: "asked it to stop",
    Operation.RESTART: "asked it to restart",
    Operation.RECOVER: "started it again",
    Operation.DELETE: "asked for it to be deleted",
}
STATES = {Status.RUNNING: "It is running.", Status.STOPPED: "It stopped.", Status.ERROR: "It is in trouble."}
PEOPLE = {"cli": "Somebody on the server's command line", "sync": "The server"}
NOTICED = {
    "engine": "told by Docker",
    "sync": "noticed by the server",
    "cli": "noticed from the server's command line",
}
EVIDENCE = {
    "container": "container: {}",
    "exitCode": "exit code {}",
    "outOfMemory": "ended for lack of memory",
    "restartCount": "restarted by Docker: {}",
    "unhealthy": "its health check fails",
    "endedWithEngine": "ended while Docker started",
    "engineError": "{}",
    "containerId": "id {}",
}
"""What was seen, in words, in the order in which it is read; ``{}`` is the value."""
PLAIN_FIELDS = {"name": "name", "config": "configuration"}
PASSING = (
    "waiting_in_line", "creating_container", "pulling_image", "starting", "waiting_until_ready", "stopping", "removing",
)  # fmt: skip
"""Reasons of states that something always follows; they are of interest while they last."""


@dataclass(frozen=True)
class Happened:
    """One entry of the list: when, what in a sentence, and who noticed it, where nobody on this page did it.

    ``evidence`` is what was seen of the container then, where something is amiss.
    """

    at: datetime
    sentence: str
    who: str
    evidence: str = ""


def told(activity: Activity, owner: str, fields: Mapping[str, str]) -> Happened:
    """Return an entry as a sentence; ``fields`` maps the JSON names of secrets to what people call them."""
    who = "You" if activity.actor == owner else PEOPLE.get(activity.actor, activity.actor)
    if activity.kind == "asked":
        return Happened(activity.at, f"{who} {ASKED[Operation(activity.what)]}. {activity.detail}".strip(), "")
    if activity.kind == "changed":
        return Happened(activity.at, f"{who} changed the {_named(activity.what.split(','), fields)}.", "")
    sentence = activity.detail or STATES.get(Status(activity.what), f"It is {activity.what}.")
    noticed = NOTICED.get(activity.actor, "")
    crashed = activity.reason in CRASHED
    amiss = activity.what == Status.ERROR or crashed or (noticed and activity.what != Status.RUNNING)
    return Happened(activity.at, sentence, noticed, _seen(activity.evidence) if amiss else "")


def lasting(entries: Sequence[Activity]) -> list[Activity]:
    """Return the entries, newest first, without the states that something else has followed since."""
    return [one for number, one in enumerate(entries) if number == 0 or one.reason not in PASSING]


def _seen(evidence: Mapping[str, object]) -> str:
    return ", ".join(words.format(evidence[name]) for name, words in EVIDENCE.items() if name in evidence)


def _named(names: list[str], fields: Mapping[str, str]) -> str:
    return in_words([PLAIN_FIELDS.get(name) or fields.get(name, name) for name in names])


def in_words(labels: Sequence[str]) -> str:
    """Return labels as people list them: ``a, b and c``."""
    return " and ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
