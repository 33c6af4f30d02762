"""Writes one line of log for everything that has happened."""

import logging
import re
from dataclasses import fields

from clawdeploy.core.events import Event
from clawdeploy.core.hookspecs import hookimpl

_PLAIN = re.compile(r"[A-Za-z0-9_.:@/+,-]+")
_LONGEST = 300

logger = logging.getLogger("clawdeploy.activity")


@hookimpl
def observe(event: Event) -> None:
    """Log the event: what happened, who did it, and every field of it. Events never hold secrets."""
    logger.info("%s", line(event), extra={"instance": getattr(event, "instance_id", "")})


def line(event: Event) -> str:
    """Return ``status changed actor=sync before=running ...`` for an event of any kind, a plugin's too.

    The time is left to the log itself. Nothing in a value can end the line or steer a terminal.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", type(event).__name__).lower()
    told = [f"{field.name}={_shown(getattr(event, field.name))}" for field in fields(event) if field.name != "at"]
    return " ".join([words, *told])


def _shown(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return text if _PLAIN.fullmatch(text) else repr(text)
