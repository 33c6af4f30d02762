"""What has happened to a bot, in sentences for its owner."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from clawdeploy.core.contracts import Activity, Operation, Status

ASKED = {
    Operation.CREATE: "Asked for this bot to be made",
    Operation.START: "Asked it to start",
    Operation.STOP: "Asked it to stop",
    Operation.RESTART: "Asked it to restart",
    Operation.DELETE: "Asked for it to be deleted",
}
STATES = {Status.RUNNING: "It is running.", Status.STOPPED: "It stopped.", Status.ERROR: "It is in trouble."}
ACTORS = {"sync": "Noticed by the server", "cli": "On the server's command line"}
PLAIN_FIELDS = {"name": "name", "config": "configuration"}


@dataclass(frozen=True)
class Happened:
    """One entry of the list: when, what in a sentence, and who did it (empty for what followed by itself)."""

    at: datetime
    sentence: str
    who: str


def told(activity: Activity, owner: str, fields: Mapping[str, str]) -> Happened:
    """Return an entry as a sentence; ``fields`` maps the JSON names of secrets to what people call them."""
    who = "You" if activity.actor == owner else ACTORS.get(activity.actor, activity.actor)
    if activity.kind == "asked":
        return Happened(activity.at, f"{ASKED[Operation(activity.what)]}.", who)
    if activity.kind == "changed":
        return Happened(activity.at, f"Changed the {_named(activity.what.split(','), fields)}.", who)
    followed = activity.actor == owner
    sentence = activity.detail or STATES.get(Status(activity.what), f"It is {activity.what}.")
    return Happened(activity.at, sentence, "" if followed else who)


def _named(names: list[str], fields: Mapping[str, str]) -> str:
    labels = [PLAIN_FIELDS.get(name) or fields.get(name, name) for name in names]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
