"""Which image the scripts get for the stand-in: the one that was asked for, or none."""

import subprocess
from pathlib import Path

import pytest

from tests.scripts.fresh_machine import CHECKOUT

USUAL, LOCAL, OWN = "nginx:alpine", "clawdeploy-standin:local", "my-own:9"

SCRIPT = """
set -euo pipefail
HERE=$1 IMAGES=$2
. "$3/scripts/lib/messages.sh"
. "$3/scripts/lib/engine.sh"
. "$3/scripts/lib/standin-image.sh"
prepare_standin_image
"""


def prepare(folder: Path, chosen: str, there: list[str], *, pulls: bool) -> tuple[int, list[str], str]:
    """Return the exit code, what was pulled or built, and what was said to be wrong."""
    did = folder / "did"
    for name, code in (("docker", int(not pulls)), ("build-standin", 0)):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{did}"\nexit {code}\n')
        program.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"} | ({"CLAWDEPLOY_STANDIN_IMAGE": chosen} if chosen else {})
    done = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", folder, "\n".join(there), CHECKOUT],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, did.read_text().splitlines() if did.exists() else [], done.stderr


PULL, BUILD = "docker pull -q {}", "build-standin "


@pytest.mark.parametrize(
    ("chosen", "there", "pulls", "did"),
    [
        ("", [USUAL], False, []),
        ("", [LOCAL], False, []),
        ("", [], True, [PULL.format(USUAL)]),
        ("", [], False, [PULL.format(USUAL), BUILD]),
        (USUAL, [LOCAL], False, []),
        (OWN, [OWN], False, []),
        (OWN, [LOCAL, OWN + "9"], True, [PULL.format(OWN)]),
        (LOCAL, [LOCAL], False, []),
        (LOCAL, [], False, [BUILD]),
    ],
)
def test_the_image_that_was_asked_for_is_there(
    tmp_path: Path, chosen: str, there: list[str], pulls: bool, did: list[str]
) -> None:
    assert prepare(tmp_path, chosen, there, pulls=pulls) == (0, did, "")


def test_an_image_of_ones_own_is_never_replaced(tmp_path: Path) -> None:
    code, did, said = prepare(tmp_path, OWN, [LOCAL], pulls=False)
    assert (code, did) == (1, [PULL.format(OWN)])
    assert f"{OWN}, which CLAWDEPLOY_STANDIN_IMAGE names, cannot be pulled" in said
