"""What is counted is said at the end, whatever becomes of the test that counted it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest
pytestmark = pytest.mark.prove

@pytest.mark.parametrize("times", [2, 3])
def test_well(faults, times):
    faults.injected(times)

def test_badly(faults):
    faults.injected()
    faults.broken(["I1: an orphan", "I2: a ghost"])
    assert False

def test_not_at_all(faults):
    pass
"""


def run(folder: Path, tests: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (folder / "test_some.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = prove: long\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.faults.counting", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, f"--rootdir={folder}", *arguments, str(folder)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("how", [(), pytest.param(("-n2",), marks=pytest.mark.prove)])
def test_a_run_ends_with_the_sums(tmp_path: Path, how: tuple[str, ...]) -> None:
    done = run(tmp_path, TESTS, "-m", "prove", *how)
    assert done.stdout.splitlines()[-2:] == ["Faults injected: 6", "Invariants broken: 2"], done.stdout
    assert done.returncode == 1
    assert "I1: an orphan\nI2: a ghost" in done.stdout
    assert "No fault was injected" in done.stdout


def test_a_run_in_which_nothing_is_broken_succeeds(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS, "-m", "prove", "-k", "well")
    assert (done.stdout.splitlines()[-2:], done.returncode) == (["Faults injected: 5", "Invariants broken: 0"], 0)


def test_an_invariant_that_is_found_broken_fails_a_test_that_asserts_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS.replace("assert False", ""), "-m", "prove", "-k", "badly")
    assert (done.stdout.splitlines()[-2:], done.returncode) == (["Faults injected: 1", "Invariants broken: 2"], 1)


def test_any_other_run_ends_as_usual(tmp_path: Path) -> None:
    assert "injected:" not in run(tmp_path, TESTS, "-k", "well").stdout
