"""What the engine tells by itself: that something happened to a container."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.plugins.docker_runtime.engine import Engine
from clawdeploy.plugins.docker_runtime.failures import not_understood
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL

SILENCE_SECONDS = 60.0
"""After so long without an event one listens anew: an engine that is gone without a word looks silent, too."""

LONGEST_LINE = 1_000_000
TOLD = ("create", "start", "restart", "die", "oom", "stop", "kill", "pause", "unpause", "rename", "destroy")
HEALTH = ("health_status", "health_status: healthy", "health_status: unhealthy")
"""Docker matches the beginning, Podman the whole word."""


def instance_ids(engine: Engine, installation: str) -> Iterator[str]:
    """Yield the ids of instances as things happen to their containers; begins with an empty string.

    Ends after a minute of silence, and when the engine ends. Raises ``RuntimeUnavailable``.
    """
    filters = {
        "type": ["container"],
        "event": [*TOLD, *HEALTH],
        "label": [f"{INSTALLATION_LABEL}={installation}"],
    }
    params = {"filters": json.dumps(filters)}
    heard_at: float | None = None
    try:
        with engine.stream("GET", "/events", params=params, timeout=SILENCE_SECONDS, total=float("inf")) as chunks:
            heard_at = time.monotonic()
            yield ""
            for line in lines(chunks):
                heard_at = time.monotonic()
                with not_understood():
                    attributes: dict[str, Any] = json.loads(line)["Actor"]["Attributes"]
                    instance_id = attributes.get(INSTANCE_LABEL)
                # Somebody may have given a container of their own one of our labels.
                if instance_id:
                    yield str(instance_id)
    except RuntimeUnavailable:
        # One that has not even begun to tell in all that time is no silent engine but one that hangs.
        if heard_at is None or time.monotonic() - heard_at < SILENCE_SECONDS:
            raise


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Put pieces of a stream together to lines; raises ``RuntimeUnavailable`` when one does not end."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)
        if len(rest) > LONGEST_LINE:
            raise RuntimeUnavailable("Docker tells of something without an end.")
