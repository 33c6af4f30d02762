"""Images on the host, and getting them there."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from docker import auth
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from clawdeploy.core.errors import ImageUnavailable, RuntimeUnavailable
from clawdeploy.plugins.docker_runtime.engine import Engine
from clawdeploy.plugins.docker_runtime.failures import EngineRefusal, one_line

PULL_SECONDS = 600.0
SILENCE_SECONDS = 120.0
"""An engine says something every second while it downloads, but nothing while it waits for a registry."""

LONGEST_LINE = 2**20

_REASONS = (
    (r"toomanyrequests|rate limit", "Its registry limits how much this server may download; try again later."),
    (r"unauthorized|denied|authentication required", "It does not exist, or this server may not download it."),
    (r"not found|manifest unknown|does not exist|name unknown", "There is no such image."),
    (r"no space left", "The server's disk is full."),
    (
        r"no such host|timeout|timed out|connection refused|unreachable|dial tcp|tls|certificate|EOF|reset by peer"
        r"|deadline exceeded|pinging container registry",
        "Its registry cannot be reached from this server.",
    ),
)


def is_here(engine: Engine, image: str) -> bool:
    """Say whether an image is on the host."""
    try:
        engine.ask(dict, f"/images/{quote(image, safe='/:@')}/json")
    except EngineRefusal as refused:
        # Docker answers 400 to what cannot be an image's name, and Podman 500.
        if refused.status in (400, 404) or "normalizing name" in refused.said:
            return False
        raise
    return True


def pull(engine: Engine, image: str) -> None:
    """Download an image, within ten minutes. Raises ``ImageUnavailable`` with a sentence that says why it failed."""
    try:
        _download(engine, image)
    except EngineRefusal as refused:
        raise ImageUnavailable(because(image, refused.said)) from refused
    except RuntimeUnavailable:
        # Either the engine is gone, which the next question shows, or its registry is silent.
        engine.version()
        raise ImageUnavailable(f"Downloading the image {image} took too long.") from None
    if not is_here(engine, image):
        raise ImageUnavailable(f"The image {image} was downloaded, but is not on this server.")


def _download(engine: Engine, image: str) -> None:
    repository, tag = parse_repository_tag(image)
    # Without a tag an engine would download every version there is.
    params = {"fromImage": repository, "tag": tag or "latest"}
    with engine.stream(
        "POST",
        "/images/create",
        params=params,
        headers=_credentials(engine, repository),
        timeout=SILENCE_SECONDS,
        total=PULL_SECONDS,
    ) as chunks:
        for event in events(chunks):
            if "error" in event:
                raise ImageUnavailable(because(image, str(event["error"])))


def _credentials(engine: Engine, repository: str) -> dict[str, str]:
    """Return what this user's Docker configuration holds for the image's registry."""
    try:
        registry, _ = auth.resolve_repository_name(repository)
        header = auth.get_config_header(engine.session(), registry)
    except (DockerException, RuntimeError) as error:
        raise ImageUnavailable(f"The credentials for {repository}'s registry cannot be read.") from error
    return {"X-Registry-Auth": header.decode()} if header else {}


def events(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Read a stream of JSON objects, one a line; anything else in it is passed over."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[-LONGEST_LINE:]
        yield from (event for line in lines if (event := _event(line)))
    if event := _event(rest):
        yield event


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def because(image: str, said: str) -> str:
    """Return the sentence for a failed download."""
    for pattern, reason in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return one_line(f"The image {image} could not be downloaded. {reason}")
    return one_line(f"The image {image} could not be downloaded. Docker says: {said}")
