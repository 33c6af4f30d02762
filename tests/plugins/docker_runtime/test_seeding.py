"""Seeded files: there before the first start, and never written again."""

import io
import tarfile
from dataclasses import replace

import docker
import pytest

from clawdeploy.core.contracts import ContainerSpec, SeededFile, Volume
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.core.testing import Stage, free_port
from clawdeploy.plugins.docker_runtime.seeding import MARK, archive


def read(witness: docker.APIClient, container_id: str, command: str) -> str:
    running = witness.exec_create(container_id, ["sh", "-c", command])["Id"]
    return str(witness.exec_start(running).decode())


def test_an_archive_names_files_from_its_folder() -> None:
    packed = archive("/data", [SeededFile("/data/a/b.json", b"{}", 0o640, 1000, 100)])
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        (entry,) = tar.getmembers()
        content = tar.extractfile(entry)
        assert content is not None
        assert content.read() == b"{}"
    assert (entry.name, entry.mode, entry.uid, entry.gid) == ("a/b.json", 0o640, 1000, 100)


@pytest.mark.engine
def test_a_seeded_file_has_the_owner_and_mode_it_should_have(
    stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    seeded = (SeededFile("/etc/bot/settings", b"one", 0o640, 1000, 100), SeededFile("/www/seeded", b"two", 0o644))
    _, container_id = stage.ready(replace(spec, seeded_files=seeded))
    said = read(witness, container_id, "stat -c '%a %u %g' /etc/bot/settings /www/seeded; cat /www/seeded")
    assert said == "640 1000 100\n644 0 0\ntwo"
    assert read(witness, container_id, "stat -c '%a %u' /etc /www") == "755 0\n755 0\n"


@pytest.mark.engine
def test_an_interrupted_seeding_is_repeated(stage: Stage, spec: ContainerSpec, witness: docker.APIClient) -> None:
    """A process that dies after the create leaves a container without its files; the next one adopts it."""
    instance_id, port = stage.instance_id(), free_port()
    volumes = (Volume("data", "/data"),)
    made = stage.runtime.create(instance_id, port, replace(spec, volumes=volumes))
    full = replace(spec, volumes=volumes, seeded_files=(SeededFile("/data/a", b"a"), SeededFile("/b", b"b")))
    assert stage.runtime.create(instance_id, port, full) == made
    stage.runtime.start(made, instance_id, full)
    assert read(witness, made, f"cat /data/a /b; ls -A /data; test -e /data/{MARK} && echo marked") == (
        f"ab{MARK}\na\nmarked\n"
    )


@pytest.mark.engine
def test_what_the_bot_changed_stays(stage: Stage, spec: ContainerSpec, witness: docker.APIClient) -> None:
    full = replace(
        spec,
        volumes=(Volume("data", "/data"),),
        seeded_files=(SeededFile("/data/a", b"seeded"), SeededFile("/b", b"seeded")),
    )
    instance_id, container_id = stage.ready(full)
    read(witness, container_id, "echo -n changed >/data/a; echo -n changed >/b")
    stage.runtime.stop(container_id, 5)
    assert stage.runtime.create(instance_id, free_port(), full) == container_id
    stage.runtime.start(container_id, instance_id, full)
    assert read(witness, container_id, "cat /data/a /b") == "changedchanged"
    stage.runtime.remove(container_id)
    again = stage.runtime.create(instance_id, free_port(), full)
    stage.runtime.start(again, instance_id, full)
    assert read(witness, again, "cat /data/a /b") == "changedseeded"


@pytest.mark.engine
def test_a_read_only_system_takes_seeded_files_in_volumes_only(stage: Stage, spec: ContainerSpec) -> None:
    closed = replace(spec, read_only=True, volumes=(Volume("data", "/data"),))
    inside = replace(closed, seeded_files=(SeededFile("/data/deep/er/a", b"a"),))
    assert stage.ready(inside)
    outside = replace(closed, seeded_files=(SeededFile("/etc/a", b"a"),))
    with pytest.raises(RuntimeFailure):
        stage.runtime.create(stage.instance_id(), free_port(), outside)
