"""``scripts/pictures``: it makes what is shipped, so what is shipped can be made again."""

import subprocess
from pathlib import Path

import pytest

from tests.scripts.fresh_machine import CHECKOUT

pytestmark = [pytest.mark.system, pytest.mark.browser]

PICTURES = CHECKOUT / "scripts/pictures"
SHIPPED = CHECKOUT / "clawdeploy/web/static"
BEGIN = {".png": slice(0, 24), ".webp": slice(8, 16), ".ico": slice(0, 10)}
"""Where a kind of file says what it is, and how large its picture is if that does not depend on fonts."""


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([PICTURES, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_all_pictures_that_are_shipped_can_be_made_again(tmp_path: Path) -> None:
    done = run(tmp_path / "pictures")
    assert (done.returncode, done.stderr) == (0, "")
    made = {path.name: path for path in (tmp_path / "pictures").iterdir()}
    assert set(made) == {path.name for path in SHIPPED.iterdir() if path.suffix in BEGIN}
    for name, path in made.items():
        begin = BEGIN[path.suffix]
        assert path.read_bytes()[begin] == (SHIPPED / name).read_bytes()[begin], name


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--all"], "--all is not an option of this script; --help shows those it has.\n"),
        (["a", "b"], "b is one folder too many; --help shows how this script is called.\n"),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode != 0
    assert (done.stdout, done.stderr) == ("", sentence)
