"""``scripts/install-docker.sh``, for real: on fresh machines with an apt repository like Docker's, and on this one."""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scripts import docker_repository
from tests.scripts.checkouts import copy_checkout, folder_for_everyone
from tests.scripts.fresh_machine import ARCHIVE, CHECKOUT, FreshMachine, cache_folder, release_of, system_tree

pytestmark = [pytest.mark.system, pytest.mark.engine, pytest.mark.timeout(300)]

SCRIPT = str(CHECKOUT / "scripts/install-docker.sh")
OFFICIAL = ["containerd.io", "docker-buildx-plugin", "docker-ce", "docker-ce-cli", "docker-compose-plugin"]
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\nPRETTY_NAME="Mint"\n'
FEDORA = 'ID=fedora\nPRETTY_NAME="Fedora Linux 42"\n'

# A power cut: both processes are gone at once, and the file names a process that is another program now.
KILL_ENGINE = """
engine=$(cat /run/docker.pid) containerd=$(cat /run/docker/containerd/containerd.pid)
kill -9 "$engine" "$containerd"
tail --pid="$engine" -f /dev/null
echo 1 >/run/docker.pid
"""


@dataclass(frozen=True)
class Repository:
    """A repository on the machine's loopback address: where its files are and how it is called there."""

    site: Path
    url: str = "http://127.0.0.1:8099"


@pytest.fixture(scope="module")
def repository() -> Iterator[Repository]:
    """Make a signed repository with the official layout for this machine's release and for Ubuntu noble."""
    tree = system_tree()
    packages = cache_folder() / f"{tree.name}-docker-packages"
    if not packages.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as unfinished:
            docker_repository.build_packages(tree / ARCHIVE, Path(unfinished) / "packages")
            (Path(unfinished) / "packages").rename(packages)
    # On the same disk as the packages, which are linked and not copied.
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        site = Path(folder) / "site"
        with docker_repository.signing_key(Path(folder) / "key") as key:
            for distribution, codename in {release_of(tree), ("ubuntu", "noble")}:
                docker_repository.publish(packages, site, distribution, codename, key)
        yield Repository(site)


def state_of_packages(machine: FreshMachine) -> dict[str, str]:
    listed = machine.run("dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n").stdout
    return {name: status for name, _, status in (line.partition(" ") for line in listed.splitlines())}


@pytest.mark.prove
def test_a_fresh_machine_gets_the_engine_of_the_official_repository_once(repository: Repository) -> None:
    distribution, codename = release_of(system_tree())
    with FreshMachine() as machine, machine.serve(repository.site, 8099):
        machine.run("useradd", "--create-home", "ada")
        # What images of containers bring along so that no package starts a service.
        policy = machine.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)

        first = machine.run(SCRIPT, "--mirror", repository.url, "--user", "ada")

        assert first.returncode == 0, first.stdout
        assert (machine.root / "etc/apt/keyrings/docker.asc").read_bytes() == (
            repository.site / distribution / "gpg"
        ).read_bytes()
        source = machine.root / "etc/apt/sources.list.d/docker.sources"
        architecture = machine.run("dpkg", "--print-architecture").stdout.strip()
        assert source.read_text() == (
            f"Types: deb\nURIs: {repository.url}/{distribution}\nSuites: {codename}\nComponents: stable\n"
            f"Architectures: {architecture}\nSigned-By: /etc/apt/keyrings/docker.asc\n"
        )
        packages = state_of_packages(machine)
        assert [name for name in OFFICIAL if packages.get(name) == "installed"] == OFFICIAL
        assert "docker.io" not in packages
        assert "docker" in machine.run("id", "-nG", "ada").stdout.split()
        assert "ada is in the group docker now. That takes effect with a new login" in first.stdout
        assert "A container runs" in first.stdout
        assert machine.run("docker", "info").returncode == 0
        # The proof leaves nothing behind.
        assert machine.run("docker", "images", "-aq").stdout == ""
        assert machine.run("docker", "ps", "-aq").stdout == ""

        log = machine.root / "var/log/dpkg.log"
        before = (log.read_text(), source.stat().st_mtime_ns)
        second = machine.run(SCRIPT, "--mirror", repository.url, "--user", "ada")
        assert second.returncode == 0, second.stdout
        assert "A Docker Engine answers already; it is left as it is." in second.stdout
        assert second.stdout.endswith("Nothing had to be changed.\n")
        assert (log.read_text(), source.stat().st_mtime_ns) == before

        machine.run("bash", "-c", KILL_ENGINE)
        third = machine.run(SCRIPT)
        assert third.returncode == 0, third.stdout
        assert "Docker Engine is installed but does not run." in third.stdout
        assert "its log is /var/log/dockerd.log" in third.stdout
        assert log.read_text() == before[0]


@pytest.mark.prove
def test_a_derivative_of_ubuntu_gets_the_packages_of_its_origin(repository: Repository) -> None:
    with FreshMachine() as machine, machine.serve(repository.site, 8099):
        release = machine.root / "etc/os-release"
        release.unlink()
        release.write_text(FEDORA)
        refused = machine.run(SCRIPT, "--mirror", repository.url)
        assert refused.returncode != 0
        assert refused.stdout.count("\n") == 1
        assert "this is Fedora Linux 42" in refused.stdout

        release.write_text(MINT)
        done = machine.run(SCRIPT, DOCKER_APT_MIRROR=repository.url + "/")

        assert done.returncode == 0, done.stdout
        source = (machine.root / "etc/apt/sources.list.d/docker.sources").read_text()
        assert f"URIs: {repository.url}/ubuntu\nSuites: noble\n" in source
        assert state_of_packages(machine)["docker-ce"] == "installed"
        assert "A container runs" in done.stdout


@pytest.mark.prove
def test_a_key_that_does_not_fit_is_refused_and_apt_stays_usable(repository: Repository, tmp_path: Path) -> None:
    with FreshMachine() as machine, machine.serve(repository.site, 8099):
        with docker_repository.signing_key(tmp_path / "other") as other:
            docker_repository.export_key(other, machine.root / "srv/other.asc")

        refused = machine.run(SCRIPT, "--mirror", repository.url, "--key", "/srv/other.asc")

        assert refused.returncode != 0
        assert "apt does not accept Docker's repository" in refused.stdout
        assert not (machine.root / "etc/apt/sources.list.d/docker.sources").exists()
        assert "docker-ce" not in state_of_packages(machine)


@pytest.mark.prove
def test_without_the_official_repository_it_takes_the_distributions_package() -> None:
    with FreshMachine() as machine:
        # Another program that installs something, as unattended upgrades do on a machine that was just started.
        with (machine.root / "var/lib/dpkg/lock-frontend").open("w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            script = subprocess.Popen(
                machine.inside(SCRIPT), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
            )
            assert script.stdout
            waiting = [script.stdout.readline(), script.stdout.readline()]
        said, _ = script.communicate()

        assert script.returncode == 0, said
        assert "Another program is installing packages right now" in waiting[1]
        distribution, _ = release_of(machine.root)
        assert f"repository at https://download.docker.com/linux/{distribution} cannot be reached" in said
        assert "Taking the distribution's own package docker.io" in said
        assert "A container runs: a container made here, because no registry can be reached." in said
        assert state_of_packages(machine)["docker.io"] == "installed"
        assert not (machine.root / "etc/apt/sources.list.d/docker.sources").exists()


def test_an_engine_that_answers_is_left_as_it_is() -> None:
    before = engine_facts()
    done = subprocess.run([SCRIPT], capture_output=True, text=True, check=True)
    assert "A Docker Engine answers already; it is left as it is." in done.stdout
    assert done.stdout.endswith("Nothing had to be changed.\n")
    assert engine_facts() == before


def engine_facts() -> str:
    """What changes when an engine is started anew or a container is left behind by name of the proof."""
    said = subprocess.run(
        ["docker", "info", "-f", "{{.ID}} {{.ServerVersion}}"], capture_output=True, text=True, check=True
    )
    images = subprocess.run(["docker", "images", "-q", "clawdeploy-proof"], capture_output=True, text=True, check=True)
    return said.stdout + images.stdout


@pytest.mark.prove
def test_without_root_and_sudo_it_says_what_to_do() -> None:
    with folder_for_everyone() as folder, FreshMachine(shared=copy_checkout(folder)) as machine:
        script = str(folder / "scripts/install-docker.sh")
        refused = machine.run("setpriv", "--reuid=nobody", "--clear-groups", script)
        assert refused.returncode != 0
        assert refused.stdout == (
            "Installing Docker needs root and there is no sudo here: run this script as root, with --user nobody.\n"
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--frobnicate"], "--frobnicate is not an option of this script; --help shows those it has.\n"),
        (["--user"], "--user needs a value; --help says which.\n"),
        (
            ["--user", "nobody-of-that-name"],
            "There is no user nobody-of-that-name on this machine; --user names one that exists.\n",
        ),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments: list[str], sentence: str) -> None:
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr == sentence


def test_it_explains_itself() -> None:
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert "--mirror URL" in done.stdout
    assert shutil.which("docker"), "the tests of this file need the engine that ./scripts/test installs"
