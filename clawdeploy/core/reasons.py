"""Why an instance is not simply running: a sentence for each stable reason code."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from clawdeploy.core.contracts import Observation
from clawdeploy.core.situation import Crash

SENTENCES = {
    "": "",
    "waiting_in_line": "It waits in line until others have been made.",
    "creating_container": "The container is being made.",
    "pulling_image": "The image is being downloaded; the first time this can take some minutes.",
    "starting": "The container is starting.",
    "waiting_until_ready": "The bot is starting and does not answer yet.",
    "stopping": "The bot is being stopped.",
    "removing": "The bot is being deleted.",
    "stopped_outside": "It {how} on the server, not from here{code}. Start brings it back.",
    "started_outside": "It was started on the server, not from here{unread}. Stop ends it.",
    "paused_outside": "It was paused on the server, not from here. Start resumes it.",
    "crashed": "It ended by itself with exit code {exit_code}. The logs may say why.",
    "out_of_memory": "It ran out of memory{limit}{times} and was ended by the system.{in_all}",
    "crash_loop": "It keeps ending by itself{crashes}. The logs may say why.",
    "container_missing": "Its container was removed from the server. Try again makes one with the same settings.",
    "unhealthy": "It runs but has stopped answering. The logs may say why; a restart may help.",
    "not_ready": "It runs but does not answer in time. The logs may say why.",
    "image_unavailable": "Its image could not be downloaded. Try again.",
    "name_taken": "Another container on the server had its name. Have that one removed, then try again.",
    "port_taken": "Its port was in use by another program when it was to be started. Try again.",
    "no_free_port": "All ports for bots were in use. Delete a bot or widen the port range, then try again.",
    "runtime_failure": "Docker refused the operation.",
    "runtime_unavailable": "Docker does not answer. What was asked for is carried out as soon as it does.",
}

ENDED: dict[int | None, str] = {
    None: "was stopped",
    0: "was stopped or ended by itself",
    137: "was stopped or killed",
    143: "was stopped",
}
"""What may have happened to a bot that is not to be started again, by its exit code; nobody can know which."""
SIGNALLED = "was stopped or sent a signal"

LATELY = " in the last 10 minutes"
UNREAD = ", after one of its secrets was changed: Restart gives it the new one"
NOT_STOPPED = " It could not be stopped at once."


def explain(
    reason: str, seen: Observation | None = None, crashes: Sequence[Crash] = (), *, unread: bool = False
) -> str:
    """Return the sentence for a reason code, with what was seen of the container filled in.

    ``crashes`` are the times that it has ended by itself in the last ten minutes, the oldest first. ``unread``: a
    secret was changed since the container was given its secrets.
    """
    exit_code = "unknown" if seen is None or seen.exit_code is None else seen.exit_code
    limit = f" ({seen.memory_bytes / 2**20:.0f} MB)" if seen and seen.memory_bytes else ""
    short = sum(crash.out_of_memory for crash in crashes)
    times = f" {short} times{LATELY}" if short > 1 else ""
    in_all = f" It ended {len(crashes)} times{LATELY} in all." if len(crashes) > max(short, 1) else ""
    how = ENDED.get(seen.exit_code if seen else None, SIGNALLED)
    code = f", and ended with exit code {exit_code}" if how is SIGNALLED else ""
    said = {"how": how, "code": code, "exit_code": exit_code, "limit": limit, "times": times, "in_all": in_all}
    said["unread"] = UNREAD if unread else ""
    return SENTENCES[reason].format(**said, crashes=_told(crashes, limit))


class Note(NamedTuple):
    """What an entry of the activity says besides a status: a reason code and a sentence."""

    reason: str
    sentence: str


def mended(count: int, last: Crash, seen: Observation) -> Note:
    """Return the note of some crashes, of which one was the last, after which the engine started a bot again."""
    limit = f" ({seen.memory_bytes / 2**20:.0f} MB)" if seen.memory_bytes else ""
    if count > 1:
        said = f"It ended by itself {count} times"
    else:
        said = f"It ran out of memory{limit}" if last.out_of_memory else "It ended by itself"
    if last.exit_code is not None and not last.out_of_memory:
        said += f"{', the last time' if count > 1 else ''} with exit code {last.exit_code}"
    # It counts a start before it waits for that, and somebody may have stopped the bot in between.
    again = "was to start it again" if seen.ended_by_hand else "started it again"
    return Note("out_of_memory" if last.out_of_memory else "crashed", f"{said}, and Docker {again}.")


def _told(crashes: Sequence[Crash], limit: str) -> str:
    """Return how often a bot ended and of what, as far as each of the causes is known."""
    short = sum(crash.out_of_memory for crash in crashes)
    codes = [None if crash.out_of_memory else crash.exit_code for crash in crashes]
    parts = [f": {len(crashes)} times{LATELY}"] if len(crashes) > 1 else []
    if short:
        least = "at least " if any(crash.exit_code is None for crash in crashes) else ""
        parts.append(f"{least}{short} of them because it ran out of memory{limit}")
    known = [code for code in codes if code is not None]
    if known:
        when = "before that " if codes[-1] is None else "the last time "
        parts.append(f"{'' if len(set(codes)) == 1 else when}with exit code {known[-1]}")
    return ", ".join(parts) if len(crashes) > 1 else "".join(f", {part}" for part in parts)


def tried_again(sentence: str, pause: timedelta) -> str:
    """Return a sentence with the promise added that the bot is brought back after a pause."""
    seconds = int(pause.total_seconds())
    said = f"{seconds} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    return f"{sentence} It is started again {said} later; Stop ends that."


def not_stopped(sentence: str, why: str) -> str:
    """Return the sentence about a bot that is held back, with the latest reason added why it went on at first."""
    return f"{sentence.partition(NOT_STOPPED)[0]}{NOT_STOPPED} {why}"
