"""What is not ours is never touched, whatever it is called and whoever hands us its id."""

from collections.abc import Iterator

import docker
import pytest

from clawdeploy.core.contracts import MISSING, ContainerSpec, ContainerState, SeededFile, Volume
from clawdeploy.core.errors import NameTaken, NoContainer, RuntimeFailure
from clawdeploy.core.testing import Stage, free_port
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.conftest import MakeRuntime

pytestmark = pytest.mark.engine

DECOYS: dict[str, dict[str, str]] = {
    "unlabelled": {},
    "another installation's": {INSTALLATION_LABEL: "theirs", INSTANCE_LABEL: "{instance_id}"},
    "half labelled": {INSTANCE_LABEL: "{instance_id}"},
}


@pytest.fixture(params=DECOYS.values(), ids=[*DECOYS])
def decoy(
    request: pytest.FixtureRequest, stage: Stage, witness: docker.APIClient, busybox_image: str
) -> Iterator[tuple[str, str]]:
    """A container with our name that is not ours; gives the instance id in its name, and its own id."""
    instance_id = stage.instance_id()
    labels = {name: value.format(instance_id=instance_id) for name, value in request.param.items()}
    made = witness.create_container(
        busybox_image,
        ["sleep", "600"],
        name=f"clawdeploy-{instance_id}",
        labels=labels,
        host_config=witness.create_host_config(init=True),
    )
    witness.start(made["Id"])
    yield instance_id, made["Id"]
    witness.remove_container(made["Id"], force=True)


def test_a_decoy_is_not_seen(runtime: DockerRuntime, decoy: tuple[str, str]) -> None:
    assert runtime.observe(decoy[0]) == MISSING
    assert runtime.observe_all() == {}


def test_a_decoy_is_left_alone(
    runtime: DockerRuntime, decoy: tuple[str, str], spec: ContainerSpec, witness: docker.APIClient
) -> None:
    instance_id, container_id = decoy
    before = witness.inspect_container(container_id)
    with pytest.raises(NameTaken, match=f"clawdeploy-{instance_id}"):
        runtime.create(instance_id, free_port(), spec)
    with pytest.raises(RuntimeFailure):
        runtime.start(container_id, instance_id, spec)
    with pytest.raises(NoContainer):
        runtime.logs(container_id, 10)
    runtime.stop(container_id, 1)
    runtime.remove(container_id)
    runtime.discard(instance_id)
    assert witness.inspect_container(container_id) == before


def test_a_container_of_another_instance_is_not_started_as_this_one(stage: Stage, spec: ContainerSpec) -> None:
    _, container_id = stage.started(spec)
    with pytest.raises(RuntimeFailure):
        stage.runtime.start(container_id, stage.instance_id(), spec)


def test_a_container_of_ours_that_was_renamed_is_still_ours(
    stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    instance_id, container_id = stage.started(spec)
    witness.rename(container_id, f"renamed-{instance_id}")
    assert stage.runtime.observe(instance_id).container_id == container_id
    assert stage.runtime.observe_all()[instance_id].state is ContainerState.RUNNING
    stage.runtime.stop(container_id, 1)
    stage.runtime.remove(container_id)
    assert stage.runtime.observe(instance_id) == MISSING


def test_a_volume_that_is_not_ours_is_neither_used_nor_removed(
    stage: Stage, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    instance_id = stage.instance_id()
    name = f"clawdeploy-{instance_id}-data"
    witness.create_volume(name)
    with_volume = ContainerSpec(**{**vars(spec), "volumes": (Volume("data", "/data"),)})
    with pytest.raises(NameTaken, match=name):
        stage.runtime.create(instance_id, free_port(), with_volume)
    stage.runtime.discard(instance_id)
    assert witness.inspect_volume(name)["Name"] == name
    witness.remove_volume(name)


def test_volumes_are_labelled_and_go_with_the_instance_only(
    stage: Stage, runtime: DockerRuntime, spec: ContainerSpec, witness: docker.APIClient
) -> None:
    with_volume = ContainerSpec(
        **{**vars(spec), "volumes": (Volume("data", "/data"),), "seeded_files": (SeededFile("/data/x", b"x"),)}
    )
    instance_id, container_id = stage.started(with_volume)
    other, _ = stage.started(with_volume)
    labels = {INSTALLATION_LABEL: runtime._installation, INSTANCE_LABEL: instance_id}
    assert labels.items() <= witness.inspect_volume(f"clawdeploy-{instance_id}-data")["Labels"].items()
    with pytest.raises(RuntimeFailure):
        runtime.discard(instance_id)
    runtime.remove(container_id)
    assert witness.inspect_volume(f"clawdeploy-{instance_id}-data")
    runtime.discard(instance_id)
    with pytest.raises(docker.errors.NotFound):
        witness.inspect_volume(f"clawdeploy-{instance_id}-data")
    assert witness.inspect_volume(f"clawdeploy-{other}-data")


def test_an_engine_that_lists_too_much_is_not_believed(make_runtime: MakeRuntime) -> None:
    """Podman lists volumes that have any of several labels."""
    runtime = make_runtime()
    ours = {INSTALLATION_LABEL: runtime._installation, INSTANCE_LABEL: "one"}
    other = {**ours, INSTANCE_LABEL: "other"}
    volumes = [{"Name": "ours", "Labels": ours}, {"Name": "other", "Labels": other}, {"Name": "x", "Labels": None}]
    containers = [{"Id": "a" * 64, "State": "running", "Labels": {**other, INSTALLATION_LABEL: "theirs"}}]
    script = engines.Script(
        {
            "GET /volumes": (200, {"Volumes": volumes}),
            "GET /networks": (200, []),
            "GET /containers/json": (200, containers),
            "DELETE /volumes/ours": (204, b""),
        }
    )
    with engines.scripted(script) as address:
        there = make_runtime(runtime._installation, address)
        there.discard("one")
        assert there.observe_all() == {}
    assert [asked for asked in script.asked if "DELETE" in asked] == ["DELETE /v1.41/volumes/ours"]


@pytest.mark.parametrize("container_id", ["", ".", "..", "../version", "a b", "clawdeploy-x", "é", "a" * 65, "json"])
def test_what_is_no_id_is_no_container(runtime: DockerRuntime, spec: ContainerSpec, container_id: str) -> None:
    runtime.stop(container_id, 1)
    runtime.remove(container_id)
    with pytest.raises(NoContainer):
        runtime.logs(container_id, 1)
    with pytest.raises(RuntimeFailure):
        runtime.start(container_id, "one", spec)


@pytest.mark.parametrize("instance_id", ["", ".", "..", "a/b", "a b", "é", "x" * 101, "a\n"])
def test_what_is_no_instance_id_is_refused(runtime: DockerRuntime, spec: ContainerSpec, instance_id: str) -> None:
    for call in (
        lambda: runtime.create(instance_id, 10000, spec),
        lambda: runtime.observe(instance_id),
        lambda: runtime.discard(instance_id),
    ):
        with pytest.raises(RuntimeFailure):
            call()
