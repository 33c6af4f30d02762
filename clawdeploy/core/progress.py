"""How far the making or starting of an instance has come, read from what has happened to it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from clawdeploy.core.contracts import Activity, Operation, Status
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.phases import FIRST_PHASE

IMAGE, CONTAINER, START, READY = "image", "container", "start", "ready"
LABELS = {
    IMAGE: "Get the image",
    CONTAINER: "Make the container",
    START: "Start it",
    READY: "Wait until it answers",
}
PHASES = {
    "waiting_in_line": CONTAINER,
    "pulling_image": IMAGE,
    "creating_container": CONTAINER,
    "starting": START,
    "waiting_until_ready": READY,
}
FAILED_AT = {"image_unavailable": IMAGE, "name_taken": CONTAINER, "no_free_port": CONTAINER, "port_taken": START}
FIRST_STEP = {operation: PHASES[phase] for operation, phase in FIRST_PHASE.items() if phase in PHASES}


@dataclass(frozen=True)
class ProgressStep:
    """One step on the way to a running instance.

    ``state`` is ``"todo"``, ``"running"``, ``"done"`` or ``"failed"``; ``seconds`` is how long it has taken so far, or
    ``None`` when it was not begun or there was nothing to do. ``detail`` says why it failed.
    """

    name: str
    label: str
    state: str
    seconds: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Progress:
    """The steps of the last time somebody asked for the instance to run. ``outcome``: ``"running"`` (it goes on),
    ``"done"`` or ``"failed"``."""

    operation: str
    outcome: str
    steps: tuple[ProgressStep, ...]


def progress(activities: Sequence[Activity], now: datetime) -> Progress | None:
    """Read the progress from what has happened, newest first; ``None`` when what was asked last was not to run."""
    asked_at = next((at for at, one in enumerate(activities) if one.kind == "asked"), None)
    if asked_at is None or activities[asked_at].what not in FIRST_STEP:
        return None
    asked = activities[asked_at]
    # While the engine does not answer it is put off, and has not ended.
    states = [one for one in reversed(activities[:asked_at]) if one.kind == "state"]
    spans: list[tuple[str, datetime]] = [(FIRST_STEP[Operation(asked.what)], asked.at)]
    for one in states:
        if one.reason in PHASES:
            spans.append((PHASES[one.reason], one.at))
        elif one.what != Status.CREATING and one.reason != RuntimeUnavailable.code:
            return _ended(asked.what, spans, one)
    return _going_on(asked.what, spans, now)


def _ended(operation: str, spans: list[tuple[str, datetime]], last: Activity) -> Progress:
    took = _seconds(spans, last.at)
    if last.what == Status.RUNNING:
        return Progress(operation, "done", tuple(_step(name, "done", took) for name in LABELS))
    return _up_to(operation, "failed", FAILED_AT.get(last.reason, spans[-1][0]), took, last.detail)


def _going_on(operation: str, spans: list[tuple[str, datetime]], now: datetime) -> Progress:
    took = _seconds(spans, now)
    looking = {name for name, _ in spans} == {CONTAINER}
    # Whether the image is there turns out when the container is made.
    current = IMAGE if looking else spans[-1][0]
    return _up_to(operation, "running", current, {} if looking else took, "")


def _up_to(operation: str, state: str, current: str, took: dict[str, float], detail: str) -> Progress:
    names = list(LABELS)
    at = names.index(current)
    before = [_step(name, "done", took) for name in names[:at]]
    after = [ProgressStep(name, LABELS[name], "todo") for name in names[at + 1 :]]
    here = ProgressStep(current, LABELS[current], state, took.get(current), detail)
    return Progress(operation, state, (*before, here, *after))


def _step(name: str, state: str, took: dict[str, float]) -> ProgressStep:
    return ProgressStep(name, LABELS[name], state, took.get(name))


def _seconds(spans: list[tuple[str, datetime]], end: datetime) -> dict[str, float]:
    """Add up how long each step took; a step can come more than once, as when the image was missing."""
    took: dict[str, float] = {}
    ends = [at for _, at in spans[1:]] + [end]
    for (name, at), until in zip(spans, ends, strict=True):
        took[name] = took.get(name, 0.0) + max(0.0, (until - at).total_seconds())
    return took
