"""What has happened to an instance, as its owner can read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Activity:
    """One thing that happened to an instance.

    ``actor`` is a user id, ``"engine"`` when the engine told of it, ``"sync"`` when the server did it or noticed it by
    itself, or ``"cli"``. ``kind`` says what ``what`` is. ``"asked"``: the operation that the actor asked for.
    ``"changed"``: the JSON names of the fields that the actor changed, separated by commas; never a value. ``"state"``:
    the public status from then on, with its ``reason`` code and the sentence ``detail``; ``evidence`` is what was seen
    of the container then, as JSON values.
    """

    at: datetime
    actor: str
    kind: str
    what: str
    reason: str = ""
    detail: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)
