"""The tests are proved: what is planted is caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.defects import DEFECTS, Defect

ROOT = Path(__file__).parents[2]
PLANTED = ("clawdeploy", "templates", "tests", "scripts", "docs", "setup.cfg", "pyproject.toml", "README.md")
FAILED = 1
"""pytest's exit code when tests have run and some have failed; others say that it could not run them."""

by_name = pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name.replace(" ", "-"))


@by_name
def test_there_is_one_place_to_plant_it(defect: Defect) -> None:
    assert (ROOT / defect.module).read_text().count(defect.sound) == 1


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, to plant defects in."""
    folder = tmp_path_factory.mktemp("planted")
    for name in PLANTED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def run(copy: Path, defect: Defect) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *defect.caught_by]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=500)


@by_name
@pytest.mark.prove
@pytest.mark.engine
@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_what_is_planted_is_caught(defect: Defect, copy: Path) -> None:
    module = copy / defect.module
    sound = module.read_text()
    module.write_text(sound.replace(defect.sound, defect.broken))
    try:
        done = run(copy, defect)
    finally:
        module.write_text(sound)
    assert done.returncode == FAILED, f"nothing noticed it:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
