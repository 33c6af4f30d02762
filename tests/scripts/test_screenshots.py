"""``scripts/screenshots``: it takes the pictures that it is asked for, in four windows each."""

import struct
import subprocess
from pathlib import Path

import pytest

from tests.scripts.fresh_machine import CHECKOUT

pytestmark = [pytest.mark.system, pytest.mark.browser]

SCREENSHOTS = CHECKOUT / "scripts/screenshots"


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([SCREENSHOTS, *map(str, arguments)], capture_output=True, text=True, check=False)


def width(picture: Path) -> int:
    """Return how wide a PNG is, in pixels."""
    found: int = struct.unpack(">I", picture.read_bytes()[16:20])[0]
    return found


@pytest.mark.prove
def test_a_picture_is_taken_in_four_windows(tmp_path: Path) -> None:
    done = run("--only", "landing", "--only", "dashboard", tmp_path / "shots")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"8 pictures are in {tmp_path / 'shots'}\n"
    taken = {path.stem: path for path in (tmp_path / "shots").iterdir()}
    windows = [f"{size}-{scheme}" for size in (360, 1440) for scheme in ("light", "dark")]
    assert set(taken) == {f"{name}-{window}" for name in ("landing", "dashboard") for window in windows}
    assert all(width(path) == int(name.split("-")[1]) for name, path in taken.items())
    assert taken["landing-360-light"].read_bytes() != taken["landing-360-dark"].read_bytes()


def test_the_names_are_listed_once_each() -> None:
    names = run("--list").stdout.splitlines()
    assert {"landing", "dashboard", "not-found"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only"], "--only needs the name of a picture; --list shows them.\n"),
        (["--only", "zebra"], "zebra is no picture of the table; --list shows those there are.\n"),
        (["--all"], "--all is not an option of this script; --help shows those it has.\n"),
        (["a", "b"], "b is one folder too many; --help shows how this script is called.\n"),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode != 0
    assert (done.stdout, done.stderr) == ("", sentence)
