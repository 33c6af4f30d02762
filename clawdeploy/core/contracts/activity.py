"""What has happened to an instance, as its owner can read it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Activity:
    """One thing that happened to an instance.

    ``actor`` is a user id, ``"sync"`` when the server noticed it by itself, or ``"cli"``. ``kind`` says what ``what``
    is. ``"asked"``: the operation that the actor asked for. ``"changed"``: the JSON names of the fields that the actor
    changed, separated by commas; never a value. ``"state"``: the public status from then on, with its ``reason`` code
    and the sentence ``detail``.
    """

    at: datetime
    actor: str
    kind: str
    what: str
    reason: str = ""
    detail: str = ""
