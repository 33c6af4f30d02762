"""Why an instance is not simply running: a sentence for each stable reason code."""

from datetime import timedelta

from clawdeploy.core.contracts import Observation

SENTENCES = {
    "": "",
    "waiting_in_line": "It waits in line until others have been made.",
    "creating_container": "The container is being made.",
    "pulling_image": "The image is being downloaded; the first time this can take some minutes.",
    "starting": "The container is starting.",
    "waiting_until_ready": "The bot is starting and does not answer yet.",
    "stopping": "The bot is being stopped.",
    "removing": "The bot is being deleted.",
    "stopped_outside": "It was stopped on the server, not from here. Start brings it back.",
    "started_outside": "It was started on the server, not from here. Stop ends it.",
    "paused_outside": "It was paused on the server, not from here. Start resumes it.",
    "crashed": "It ended by itself with exit code {exit_code}. The logs may say why.",
    "out_of_memory": "It ran out of memory{limit}{times} and was ended by the system.",
    "crash_loop": "It keeps ending by itself{times}, with exit code {exit_code}. The logs may say why.",
    "container_missing": "Its container was removed from the server. Start makes a new one with the same settings.",
    "unhealthy": "It runs but has stopped answering. The logs may say why; a restart may help.",
    "not_ready": "It runs but does not answer in time. The logs may say why.",
    "image_unavailable": "Its image cannot be downloaded.",
    "name_taken": "Another container on the server holds its name.",
    "port_taken": "Another program on the server uses its port.",
    "no_free_port": "All ports for bots are in use. Delete a bot or widen the port range, then try again.",
    "runtime_failure": "Docker refused the operation.",
    "runtime_unavailable": "Docker does not answer. What was asked for is carried out as soon as it does.",
}


def explain(reason: str, seen: Observation | None = None, crashes: int = 0) -> str:
    """Return the sentence for a reason code, with what was seen of the container filled in.

    ``crashes`` is how often it has ended by itself in the last ten minutes.
    """
    exit_code = "unknown" if seen is None or seen.exit_code is None else seen.exit_code
    limit = f" ({seen.memory_bytes / 2**20:.0f} MB)" if seen and seen.memory_bytes else ""
    times = f" {crashes} times in the last 10 minutes" if crashes > 1 else ""
    return SENTENCES[reason].format(exit_code=exit_code, limit=limit, times=times)


def tried_again(sentence: str, pause: timedelta) -> str:
    """Return a sentence with the promise added that the bot is brought back after a pause."""
    seconds = int(pause.total_seconds())
    said = f"{seconds} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    return f"{sentence} It is started again {said} later; Stop ends that."
