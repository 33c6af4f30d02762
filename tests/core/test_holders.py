"""A holder is known to be dead when it is, and never while it may be alive."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawdeploy.core.holders import is_dead, new_holder
from clawdeploy.core.testing import eventually

TELL = "from clawdeploy.core.holders import new_holder; print(new_holder(), flush=True); input()"


@pytest.fixture
def other() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def name_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_no_two_names_are_the_same() -> None:
    assert new_holder() != new_holder()


def test_a_process_that_runs_or_is_frozen_is_not_dead(other: "subprocess.Popen[str]") -> None:
    name = name_of(other)
    assert not is_dead(new_holder())
    assert not is_dead(name)
    other.send_signal(signal.SIGSTOP)
    assert not is_dead(name)


def test_a_process_that_was_killed_is_dead_before_and_after_it_was_waited_for(other: "subprocess.Popen[str]") -> None:
    name = name_of(other)
    other.kill()
    assert eventually(lambda: is_dead(name), within=10)
    assert other.returncode is None
    other.wait()
    assert is_dead(name)


def test_a_process_that_is_waited_for_while_it_is_looked_at_is_dead(
    other: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    name = name_of(other)
    other.kill()
    assert eventually(lambda: is_dead(name), within=10)
    kill = os.kill

    def kill_and_wait(pid: int, number: int) -> None:
        kill(pid, number)
        other.wait()

    monkeypatch.setattr(os, "kill", kill_and_wait)
    assert is_dead(name)


def test_another_process_with_the_same_number_is_not_the_one() -> None:
    machine, pid, began, random = new_holder().rsplit(" ", 3)
    assert is_dead(f"{machine} {pid} {int(began) - 1} {random}")
    assert not is_dead(f"{machine} {pid}  {random}"), "when it began is not known"


@pytest.mark.parametrize("name", ["", "4f1c9d0e6a524a1b", "elsewhere pid:[1] 999999999 1 x", " 999999999 1 x"])
def test_nothing_is_known_of_one_elsewhere(name: str) -> None:
    assert not is_dead(name)


def test_a_process_in_another_numbering_is_elsewhere(other: "subprocess.Popen[str]") -> None:
    may = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    there = ["unshare", *may, "--pid", "--fork", "--mount-proc", sys.executable, "-c", TELL]
    with subprocess.Popen(there, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        name = name_of(process)
        process.communicate("\n")
    assert name.split()[-3] == "1", "it counts from one"
    assert not is_dead(name)
    assert name.rsplit(" ", 3)[0] != name_of(other).rsplit(" ", 3)[0]


def test_another_users_process_is_not_dead_because_it_may_not_be_touched() -> None:
    began = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    name = f"{new_holder().rsplit(' ', 3)[0]} 1 {began} x"
    ask = f"import os, sys; sys.path[:0] = {sys.path!r}; from clawdeploy.core.holders import is_dead; "
    become = f"os.setuid({pwd.getpwnam('nobody').pw_uid}); " if os.geteuid() == 0 else ""
    assert (
        subprocess.run([sys.executable, "-c", f"{ask}{become}sys.exit(is_dead({name!r}))"], check=False).returncode == 0
    )
