"""Secrets: in memory on the host, in one container, and nowhere else."""

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, ContainerState, Secret, SecretFile
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.core.testing import Stage, eventually, free_port
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder, is_in_memory, possible_roots
from tests.plugins.docker_runtime.conftest import MakeRuntime

VALUE = "sk-test-5d41402abc4b2a76b9719d911017c592"
FILE = SecretFile("/run/secrets/api-key", Secret(VALUE))


@pytest.fixture
def secretive(spec: ContainerSpec) -> ContainerSpec:
    return replace(spec, secret_files=(FILE, SecretFile("/run/secrets/second", Secret("two"))))


@pytest.mark.engine
def test_a_secret_is_in_the_container_and_nowhere_else(
    stage: Stage, secretive: ContainerSpec, witness: docker.APIClient
) -> None:
    _, container_id = stage.ready(secretive)
    for reading, said in (
        ("cat /run/secrets/api-key", VALUE),
        ("cat /run/secrets/second", "two"),
        ("echo x >/run/secrets/api-key", "sh: can't create /run/secrets/api-key: Read-only file system\n"),
    ):
        running = witness.exec_create(container_id, ["sh", "-c", reading])["Id"]
        assert witness.exec_start(running).decode() == said
    assert VALUE not in str(witness.inspect_container(container_id))
    assert VALUE.encode() not in b"".join(witness.export(container_id))
    on_disk = Path(witness.info()["DockerRootDir"]) / "containers" / container_id
    assert not [file for file in on_disk.rglob("*") if file.is_file() and VALUE.encode() in file.read_bytes()]


@pytest.mark.engine
def test_a_secret_that_was_removed_is_gone_after_the_next_start(
    stage: Stage, secretive: ContainerSpec, witness: docker.APIClient
) -> None:
    instance_id, container_id = stage.ready(secretive)
    stage.runtime.stop(container_id, 5)
    stage.runtime.start(container_id, instance_id, replace(secretive, secret_files=(FILE,)))
    for path, said in (("/run/secrets/second", ""), (FILE.path, VALUE)):
        running = witness.exec_create(container_id, ["cat", path])["Id"]
        assert witness.exec_start(running).decode() == said


@pytest.mark.engine
def test_secret_files_are_closed_to_other_users_and_go_with_the_instance(
    stage: Stage, secretive: ContainerSpec, secret_root: Path
) -> None:
    instance_id, container_id = stage.started(secretive)
    files = [file for file in secret_root.rglob("*") if file.is_file()]
    assert len(files) == 2
    folders = [secret_root, *(folder for folder in secret_root.rglob("*") if folder.is_dir())]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3
    assert is_in_memory(secret_root)
    stage.runtime.remove(container_id)
    stage.runtime.discard(instance_id)
    assert not list(secret_root.iterdir()), "the last instance takes the installation's folder along"


@pytest.mark.engine
def test_any_user_of_the_container_can_read_its_secrets(
    stage: Stage, secretive: ContainerSpec, witness: docker.APIClient
) -> None:
    _, container_id = stage.ready(replace(secretive, user="1234:1234"))
    running = witness.exec_create(container_id, ["cat", "/run/secrets/api-key"])["Id"]
    assert witness.exec_start(running).decode() == VALUE


@pytest.mark.engine
def test_without_its_secrets_a_container_does_not_come_up_again_by_itself_but_by_start(
    stage: Stage, secretive: ContainerSpec, secret_root: Path, witness: docker.APIClient
) -> None:
    """As after a reboot of the host, which empties its memory."""
    instance_id, container_id = stage.ready(secretive)
    stage.runtime.stop(container_id, 5)
    shutil.rmtree(secret_root)
    with pytest.raises(docker.errors.APIError):
        witness.start(container_id)
    stage.runtime.start(container_id, instance_id, secretive)
    assert eventually(lambda: stage.probes(instance_id, secretive), within=10)


@pytest.mark.engine
def test_a_crash_restart_keeps_the_secrets(stage: Stage, secretive: ContainerSpec, witness: docker.APIClient) -> None:
    once = "test -e /tmp/crashed && exec httpd -f -p 8080 -h /www; echo >/tmp/crashed; exit 1"
    command = ("/bin/sh", "-c", f"cat /run/secrets/api-key; echo; {once}")
    instance_id, container_id = stage.started(replace(secretive, command=command))
    assert eventually(lambda: stage.probes(instance_id, secretive), within=10)
    assert stage.runtime.observe(instance_id).restart_count == 1
    assert stage.runtime.logs(container_id, 10) == 2 * f"{VALUE}\n"


def test_secrets_need_an_engine_on_this_machine(make_runtime: MakeRuntime, secretive: ContainerSpec) -> None:
    with pytest.raises(RuntimeFailure, match="on this machine"):
        make_runtime(address="tcp://127.0.0.1:1").create("one", free_port(), secretive)


def test_secrets_are_not_written_where_they_would_reach_a_disk(tmp_path: Path) -> None:
    if is_in_memory(tmp_path):
        pytest.fail("This test needs a temporary folder on a disk; set TMPDIR")
    with pytest.raises(RuntimeFailure, match="no folder in this server's memory"):
        SecretFolder("home", [tmp_path / "clawdeploy"]).write("one", [FILE])
    assert not [*tmp_path.iterdir()]


def test_the_next_place_serves_when_the_first_is_not_in_memory(tmp_path: Path, secret_root: Path) -> None:
    folder = SecretFolder("home", [tmp_path / "clawdeploy", Path("/nowhere/clawdeploy"), secret_root])
    written = folder.write("one", [FILE])
    assert written[FILE.path].read_text() == VALUE
    assert written[FILE.path].is_relative_to(secret_root)


def test_a_folder_that_somebody_else_has_prepared_is_refused(secret_root: Path, tmp_path: Path) -> None:
    secret_root.symlink_to(tmp_path)
    with pytest.raises(RuntimeFailure):
        SecretFolder("home", [secret_root]).write("one", [FILE])
    secret_root.unlink()
    secret_root.mkdir()
    os.chown(secret_root, 12345, 12345)
    with pytest.raises(RuntimeFailure):
        SecretFolder("home", [secret_root]).write("one", [FILE])
    assert not [*tmp_path.iterdir()]


def test_what_cannot_be_written_or_removed_is_told(secret_root: Path) -> None:
    secret_root.mkdir()
    folder = SecretFolder("home", [secret_root])
    with pytest.raises(RuntimeFailure, match="too long"):
        folder.write("one", [SecretFile("/" + "x" * 300, Secret(VALUE))])
    (secret_root / "home" / "two").write_text("a file where a folder should be")
    with pytest.raises(RuntimeFailure, match="cannot be written"):
        folder.write("two", [FILE])
    with pytest.raises(RuntimeFailure, match="cannot be removed"):
        folder.remove("two")


def test_a_folder_of_ours_that_is_open_is_closed(secret_root: Path) -> None:
    secret_root.mkdir(mode=0o755)
    SecretFolder("home", [secret_root]).write("one", [FILE])
    assert stat.S_IMODE(secret_root.stat().st_mode) == 0o700


def test_writing_again_replaces(secret_root: Path) -> None:
    folder = SecretFolder("home", [secret_root])
    folder.write("one", [FILE])
    written = folder.write("one", [SecretFile(FILE.path, Secret("new"))])
    assert written[FILE.path].read_text() == "new"
    assert [*written[FILE.path].parent.iterdir()] == [written[FILE.path]]


def test_one_instance_goes_alone(secret_root: Path) -> None:
    folder = SecretFolder("home", [secret_root])
    kept, gone = (folder.write(name, [FILE])[FILE.path] for name in ("kept", "gone"))
    folder.remove("gone")
    folder.remove("gone")
    assert kept.exists()
    assert not gone.exists()


def test_paths_that_look_alike_stay_apart(secret_root: Path) -> None:
    files = [SecretFile(path, Secret(path)) for path in ("/a/b-c", "/a-b/c", "/a/b/c", "/a%2Fb")]
    written = SecretFolder("../home", [secret_root]).write("one", files)
    assert {path: file.read_text() for path, file in written.items()} == {file.path: file.path for file in files}
    assert all(file.resolve().is_relative_to(secret_root) for file in written.values())


def test_no_secrets_no_folder(secret_root: Path) -> None:
    assert SecretFolder("home", [secret_root]).write("one", []) == {}
    assert not secret_root.exists()


def test_places_are_tried_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert [str(root) for root in possible_roots()] == [
        "/run/clawdeploy",
        "/run/user/1000/clawdeploy",
        f"/dev/shm/clawdeploy-{os.geteuid()}",
    ]
    assert is_in_memory(Path("/dev/shm"))
    assert not is_in_memory(Path("/proc"))


@pytest.mark.engine
def test_a_container_without_its_secrets_on_create_is_not_made(
    stage: Stage, make_runtime: MakeRuntime, secretive: ContainerSpec
) -> None:
    instance_id = stage.instance_id()
    with pytest.raises(RuntimeFailure):
        make_runtime(address="tcp://127.0.0.1:1").create(instance_id, free_port(), secretive)
    assert stage.runtime.observe(instance_id).state is ContainerState.MISSING
