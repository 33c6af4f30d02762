"""``scripts/build-standin``, for real: what it builds has to live in a container as strict as a bot's."""

import grp
import pwd
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.checkouts import copy_checkout, folder_for_everyone

pytestmark = [pytest.mark.system, pytest.mark.engine]

IMAGE = "clawdeploy-standin:local"
STRICT = ["--init", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=256m", "--pids-limit=128"]
KEPT = [f"--cap-add={name}" for name in ("CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID")]


def said(*command: str) -> str:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def script() -> Iterator[Path]:
    """Give the script in a checkout that every user may enter."""
    with folder_for_everyone() as folder:
        yield copy_checkout(folder) / "scripts/build-standin"


@pytest.fixture(scope="module")
def built(script: Path) -> str:
    """Build the image, as a user who may use Docker and nothing else; gives what the script said."""
    done = subprocess.run(
        [script, "--force"],
        user=pwd.getpwnam("nobody").pw_uid,
        extra_groups=[grp.getgrnam("docker").gr_gid],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(params=[[], ["--read-only", "--tmpfs=/run", "--tmpfs=/var/cache/nginx"]], ids=["writable", "read-only"])
def address(built: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Start a container of the image, as strict as a bot's; gives its id and its address."""
    started = ["docker", "run", "--detach", "--publish=127.0.0.1::80", *STRICT, *KEPT, *request.param, IMAGE]
    container = said(*started).strip()
    try:
        yield container, said("docker", "port", container, "80").strip()
    finally:
        said("docker", "rm", "--force", container)


def test_it_serves_its_page_and_logs_each_request(address: tuple[str, str]) -> None:
    container, at = address
    # The port answers before nginx listens on it, so a first connection may be closed without an answer.
    page = said("curl", "-sS", "--retry", "20", "--retry-all-errors", "--retry-delay", "1", f"http://{at}/")
    assert "Your bot's place is ready: this is the stand-in" in page
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{at}/nothing-here", timeout=10)
    log = said("docker", "logs", container)
    assert '"GET / HTTP/1.1" 200' in log
    assert '"GET /nothing-here HTTP/1.1" 404' in log


def test_it_ends_well_when_it_is_asked_to(address: tuple[str, str]) -> None:
    container, at = address
    said("curl", "-sS", "--retry", "20", "--retry-all-errors", "--retry-delay", "1", f"http://{at}/")
    said("docker", "stop", "--time=10", container)
    assert said("docker", "inspect", "--format={{.State.ExitCode}}", container) == "0\n"


def test_the_image_says_what_it_was_made_from(built: str) -> None:
    label = '{{index .Config.Labels "org.opencontainers.image.description"}}'
    assert said("docker", "image", "inspect", "--format", label, IMAGE).startswith("Made from nginx")
    assert f"Built the stand-in image {IMAGE} from nginx" in built


def test_a_second_run_builds_nothing(script: Path, built: str) -> None:
    before = said("docker", "image", "inspect", "--format={{.Id}}", IMAGE)
    assert said(str(script)) == f"The stand-in image {IMAGE} is there already.\n"
    assert said("docker", "image", "inspect", "--format={{.Id}}", IMAGE) == before


def test_an_unknown_option_gets_one_sentence(script: Path) -> None:
    done = subprocess.run([script, "--frobnicate"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr == "--frobnicate is not an option of this script; --help shows those it has.\n"
