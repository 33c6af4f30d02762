"""``scripts/run``, for real: its first and second run, its refusals, and a machine that has no Docker yet."""

import json
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.checkouts import (
    Run,
    copy_checkout,
    folder_for_everyone,
    path_without,
    read_until_ready,
    system_python,
)
from tests.scripts.fresh_machine import FreshMachine

pytestmark = [pytest.mark.system, pytest.mark.engine, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """Give a checkout in which ``scripts/run`` was run once."""
    with folder_for_everyone() as folder:
        copy_checkout(folder)
        with Run(folder, ["--yes"], environment={"PYTHON": system_python()}).serving() as served:
            assert "Making the Python environment in .venv" in served.said
            assert f"http://127.0.0.1:{served.port}" in served.said
        yield folder


@pytest.fixture
def untouched() -> Iterator[Path]:
    """Give a checkout in which nothing was run yet."""
    with folder_for_everyone() as folder:
        yield copy_checkout(folder)


@pytest.mark.parametrize("ending", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.prove)])
def test_a_second_run_is_ready_within_three_seconds_and_stops_cleanly(checkout: Path, ending: signal.Signals) -> None:
    started = time.monotonic()
    with Run(checkout).serving(ending) as served:
        assert time.monotonic() - started < 3
        assert served.health()["docker"] == "connected"
        assert "Making the Python environment" not in served.said
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", served.port)):
        pass


def test_a_relative_data_folder_is_relative_to_where_it_is_called(checkout: Path, tmp_path: Path) -> None:
    with Run(checkout, folder=tmp_path, environment={"CLAWDEPLOY_DATA_DIR": "mine"}).serving():
        assert (tmp_path / "mine/clawdeploy.db").exists()


def test_a_taken_port_gets_one_sentence(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = Run(checkout, [f"--port={port}"]).to_the_end()
    assert done.returncode != 0
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert f"Port {port}" in done.stderr


@pytest.mark.prove
def test_a_changed_setup_cfg_is_installed_again(checkout: Path) -> None:
    stamp = checkout / ".venv/.installed"
    before = stamp.read_text()
    setup = checkout / "setup.cfg"
    setup.write_text(setup.read_text() + "\n# changed\n")
    with Run(checkout).serving() as served:
        assert "Making the Python environment" in served.said
    assert stamp.read_text() != before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--frobnicate"], "--frobnicate is not an option of this script; --help shows those it has.\n"),
        (["--port"], "--port needs a value; --help says which.\n"),
    ],
)
def test_wrong_arguments_get_one_sentence(untouched: Path, arguments: list[str], sentence: str) -> None:
    done = Run(untouched, arguments).to_the_end()
    assert done.returncode != 0
    assert (done.stdout, done.stderr) == ("", sentence)


def test_without_a_python_that_is_new_enough_it_says_what_to_install(untouched: Path, tmp_path: Path) -> None:
    path = path_without(tmp_path / "bin", "python", "pypy")
    old = tmp_path / "bin/python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = Run(untouched, ["--yes"], environment={"PATH": path}).to_the_end()
    assert done.returncode != 0
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("ClawDeploy needs Python 3.11 or newer and there is none on the PATH: install it,")
    assert "apt-get install python3" in done.stderr


def test_without_pythons_venv_module_it_names_the_package(untouched: Path) -> None:
    python = untouched / "python-without-venv"
    python.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec {system_python()} "$@"\n')
    python.chmod(0o755)
    shutil.chown(untouched, "nobody")
    done = Run(untouched, ["--yes"], user="nobody", environment={"PYTHON": str(python)}).to_the_end()
    assert done.returncode != 0
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "apt-get install python3." in done.stderr
    assert done.stderr.endswith("-venv\n")


def test_a_checkout_that_cannot_be_written_gets_one_sentence(untouched: Path) -> None:
    done = Run(untouched, user="nobody").to_the_end()
    assert done.returncode != 0
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert f"nobody may not write into {untouched}" in done.stderr


def test_a_data_folder_that_cannot_be_written_gets_one_sentence(checkout: Path) -> None:
    environment = {"CLAWDEPLOY_DATA_DIR": "/root/not-for-nobody", "CLAWDEPLOY_RUNTIME": "memory"}
    done = Run(checkout, user="nobody", environment=environment).to_the_end()
    assert done.returncode != 0
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "/root/not-for-nobody" in done.stderr


def test_without_root_and_docker_it_says_what_to_run_and_goes_on(checkout: Path) -> None:
    with folder_for_everyone() as folder:
        (folder / "data").mkdir()
        shutil.chown(folder / "data", "nobody")
        environment = {
            "PATH": path_without(folder / "bin", "docker", "sudo"),
            "CLAWDEPLOY_DATA_DIR": str(folder / "data"),
        }
        with Run(checkout, user="nobody", environment=environment).serving() as served:
            assert served.health()["docker"] == "disconnected"
            assert "there is no sudo here: have root run" in served.errors
            assert f"{checkout}/scripts/install-docker.sh --user nobody" in served.errors


def test_without_a_terminal_and_without_yes_it_installs_nothing(checkout: Path) -> None:
    with folder_for_everyone() as folder:
        (folder / "data").mkdir()
        shutil.chown(folder / "data", "nobody")
        path = path_without(folder / "bin", "docker", "sudo")
        sudo = folder / "bin/sudo"
        sudo.write_text(f"#!/bin/sh\necho called >{folder}/data/sudo\n")
        sudo.chmod(0o755)
        environment = {"PATH": path, "CLAWDEPLOY_DATA_DIR": str(folder / "data")}
        with Run(checkout, user="nobody", environment=environment).serving() as served:
            assert served.health()["docker"] == "disconnected"
            assert f"{checkout}/scripts/install-docker.sh installs and starts one" in served.errors
        assert not (folder / "data/sudo").exists()


def test_an_engine_elsewhere_that_does_not_answer_is_left_to_its_owner(checkout: Path) -> None:
    with Run(checkout, ["--yes"], environment={"DOCKER_HOST": "unix:///nowhere.sock"}).serving() as served:
        assert served.health()["docker"] == "disconnected"
        assert "No Docker Engine answers at DOCKER_HOST=unix:///nowhere.sock" in served.errors


@pytest.mark.prove
def test_a_machine_without_docker_gets_from_one_command_to_a_running_bot(checkout: Path) -> None:
    with FreshMachine(shared=checkout) as machine:
        assert machine.run("apt-get", "install", "-y", "--no-install-recommends", "python3").returncode == 0
        with machine.start(str(checkout / "scripts/run"), "--yes", CLAWDEPLOY_DATA_DIR="/srv/data") as output:
            said = read_until_ready(output)
            assert "Taking the distribution's own package docker.io instead" in said
            assert "Built the stand-in image clawdeploy-standin:local" in said
            assert "ClawDeploy is ready at http://127.0.0.1:8080" in said

            made = machine.run("bash", "-c", MAKE_A_BOT, str(checkout / ".venv/bin/clawdeploy"))
            assert made.returncode == 0, made.stdout
            instance = json.loads(made.stdout)["instance"]
            assert instance["status"] == "running", instance
            port = machine.run("docker", "port", f"clawdeploy-{instance['id']}", "80").stdout.strip()
            assert "Your bot's place is ready" in machine.run("curl", "-sS", f"http://{port}/").stdout


@pytest.mark.prove
def test_a_user_with_sudo_can_use_docker_at_once(checkout: Path) -> None:
    with FreshMachine(shared=checkout) as machine:
        assert machine.run("apt-get", "install", "-y", "--no-install-recommends", "python3", "sudo").returncode == 0
        machine.run("useradd", "--create-home", "ada")
        (machine.root / "etc/sudoers.d/ada").write_text("ada ALL=(ALL) NOPASSWD: ALL\n")
        as_ada = ["setpriv", "--reuid=ada", "--regid=ada", "--init-groups"]
        command = [*as_ada, str(checkout / "scripts/run"), "--yes"]
        with machine.start(*command, CLAWDEPLOY_DATA_DIR="/home/ada/data", USER="ada") as output:
            said = read_until_ready(output)
            assert "ada is in the group docker now." in said
            assert "Until you log in again, you may use Docker because its socket belongs to you now." in said
            health = machine.run("curl", "-sS", "http://127.0.0.1:8080/api/health").stdout
            assert json.loads(health)["docker"] == "connected"


MAKE_A_BOT = """
token=$(CLAWDEPLOY_DATA_DIR=/srv/data "$0" token create me 2>/dev/null)
curl -sS -H "Authorization: Bearer $token" -H 'Content-Type: application/json' http://127.0.0.1:8080/api/instances \
    -d '{"name": "test", "model": "gpt-5.2", "channel": "telegram"}'
"""
