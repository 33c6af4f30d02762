"""Print which of the images named as arguments the Docker Engine has.

Ends with 1, and prints nothing, when no engine answers within seconds.
"""

import sys

import requests
from docker import APIClient
from docker.errors import DockerException, ImageNotFound
from docker.utils import kwargs_from_env


def main() -> int:
    """Ask the engine that the environment points to."""
    try:
        client = APIClient(timeout=5, **kwargs_from_env())
        client.ping()
        for name in sys.argv[1:]:
            if has_image(client, name):
                sys.stdout.write(f"{name}\n")
    except (DockerException, requests.exceptions.RequestException):
        return 1
    return 0


def has_image(client: APIClient, name: str) -> bool:
    """Say whether the engine knows an image by that name, in any of the ways to write it."""
    try:
        client.inspect_image(name)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
