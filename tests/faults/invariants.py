"""The invariants that a state either keeps or breaks: I1 to I7, each as sentences that hold the evidence."""

import http.client
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

from tests.faults.facts import instance_of, published
from tests.faults.ledger import GONE, RUNNING, STOPPED, Ledger
from tests.faults.state import MISSING, PASSING, State

ENDED = ("exited", "created", "paused", "dead", MISSING)
CONTAINER_OF_REASON = {
    "container_missing": (MISSING, "dead"),
    "crashed": ("exited", "restarting"),
    "out_of_memory": ("exited", "restarting"),
    "crash_loop": ("exited", "restarting"),
    "unhealthy": ("running",),
    "not_ready": ("running",),
    **dict.fromkeys(("image_unavailable", "name_taken", "port_taken", "no_free_port"), ENDED),
    **dict.fromkeys(("runtime_failure", "runtime_unavailable"), ENDED),
}
"""What the engine may say of a container when the status is ``error``."""


def orphans(state: State) -> Iterator[str]:
    """I1: everything that is ours belongs to a bot, except for the one network of all of them."""
    live = {instance_id for instance_id, row in state.rows.items() if row["status"] != "deleted"}
    for one in state.containers:
        if instance_of(one) not in live:
            yield f"I1: the container {one['Name']} ({one['State']['Status']}) has no row"
    shared = [what for what, instance_id, _ in state.kept if what.startswith("network ") and not instance_id]
    for what, instance_id, _ in state.kept:
        if instance_id not in live and shared != [what]:
            yield f"I1: the {what} has no row"
    for folder in state.secret_folders:
        if folder.name not in live:
            yield f"I1: the secrets in {folder} have no row"
    for row in state.secrets:
        if row["instance_id"] not in state.rows:
            yield f"I1: the secret {row['field']} of {row['instance_id']} has no instance"


def ghosts(state: State) -> Iterator[str]:
    """I2: what is running has a container that runs."""
    for instance_id, row in state.rows.items():
        states = [one["State"]["Status"] for one in state.of(instance_id)]
        if row["status"] == "running" and states != ["running"]:
            yield f"I2: {instance_id} is running, its containers are {states}"


def wrong_ports(state: State, usual: tuple[int, int]) -> Iterator[str]:
    """I3: ports are unique, in the range, and freed with their bot."""
    low, high = usual
    counts = Counter(row["host_port"] for row in state.rows.values() if row["host_port"] is not None)
    for port, times in counts.items():
        if times > 1 or not low <= port <= high:
            yield f"I3: port {port} is held by {times} rows, and the range is {low}-{high}"
    for one in state.containers:
        row, port = state.rows.get(instance_of(one)), published(one)
        if row is not None and row["host_port"] != port:
            yield f"I3: {row['id']} has port {row['host_port']} and its container {port}"
        if row is None:
            yield f"I3: port {port} is not freed: {one['Name']} holds it"


def lost(state: State, ledger: Ledger) -> Iterator[str]:
    """I4: what was acknowledged is so."""
    for instance_id, outcomes in ledger.outcomes.items():
        shown, engine_says = state.shown.get(instance_id), state.engine_says(instance_id)
        if shown is None:
            if GONE not in outcomes:
                yield f"I4: {instance_id} was acknowledged ({sorted(outcomes)}) and is gone"
            elif engine_says != MISSING or instance_id in state.rows:
                yield f"I4: {instance_id} was deleted; container: {engine_says}, row: {instance_id in state.rows}"
        elif outcomes == {GONE}:
            yield f"I4: {instance_id} was deleted and is {shown['status']}"
        elif RUNNING not in outcomes and (shown["status"] == "running" or engine_says not in ENDED):
            yield f"I4: {instance_id} was stopped, and is {shown['status']}, its container {engine_says}"
        elif STOPPED not in outcomes and (shown["status"] == "stopped" or engine_says in ENDED):
            said = f"{shown['status']} {shown['statusReason']}, its container {engine_says}"
            yield f"I4: {instance_id} was started, and is {said}"


def unexplained(state: State) -> Iterator[str]:
    """I5: every error has a reason."""
    for instance_id, row in state.rows.items():
        if row["status"] == "error" and not (row["reason"] and row["detail"]):
            yield f"I5: {instance_id} is in error for no reason"


def lies(state: State) -> Iterator[str]:
    """I6: what the API shows is what the engine says."""
    for instance_id, shown in state.shown.items():
        engine_says, status, reason = state.engine_says(instance_id), shown["status"], shown["statusReason"]
        right: tuple[str, ...] = ("running",)
        if status == "stopped":
            right = ENDED if shown["containerId"] is None else ENDED[:3]
        elif status == "error":
            right = CONTAINER_OF_REASON.get(reason, ())
        elif status in PASSING:
            # That is told as I5.
            continue
        if engine_says not in right:
            yield f"I6: {instance_id} is shown as {status} {reason}, and the engine says {engine_says}"
        for one in state.of(instance_id):
            if one["Id"] != shown["containerId"]:
                yield f"I6: {instance_id} is shown with container {shown['containerId']}, and has {one['Id']}"
        if status == "running" and not _answers(shown["port"]):
            yield f"I6: {instance_id} is shown as running, and nothing answers at port {shown['port']}"


def doubles(state: State, ledger: Ledger) -> Iterator[str]:
    """I7: one container for each bot, one bot for each key."""
    for instance_id, times in Counter(map(instance_of, state.containers)).items():
        if times > 1:
            yield f"I7: {instance_id} has {times} containers"
    names = Counter(row["name"] for row in state.rows.values())
    for key, name in ledger.names.items():
        if names[name] > 1:
            yield f"I7: the idempotency key {key} made {names[name]} rows called {name}"


def _answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
