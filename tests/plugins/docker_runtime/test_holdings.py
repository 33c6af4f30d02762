"""What there is of an installation is found by its labels, with few requests, and nothing else is."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import pytest

from clawdeploy.core.contracts import MISSING, ContainerSpec, ContainerState, Holding, Secret, SecretFile, Volume
from clawdeploy.core.errors import RuntimeUnavailable
from clawdeploy.core.testing import Stage, eventually
from clawdeploy.plugins.docker_runtime.labels import INSTALLATION_LABEL, INSTANCE_LABEL, MADE_LABEL
from clawdeploy.plugins.docker_runtime.runtime import DockerRuntime
from clawdeploy.plugins.docker_runtime.secret_files import SecretFolder
from tests.plugins.docker_runtime import engines
from tests.plugins.docker_runtime.conftest import MakeRuntime

FILE = SecretFile("/run/secrets/key", Secret("sk-1"))
Make = Callable[..., str]


@pytest.fixture
def furnished(spec: ContainerSpec) -> ContainerSpec:
    return replace(spec, volumes=(Volume("data", "/data"),), secret_files=(FILE,))


@pytest.fixture
def make_by_hand(witness: docker.APIClient, busybox_image: str) -> Iterator[Make]:
    """Make containers past our own code, as a person would."""
    made: list[str] = []

    def make(name: str, labels: dict[str, str]) -> str:
        config = witness.create_host_config(init=True)
        container = witness.create_container(
            busybox_image, ["sleep", "600"], name=name, labels=labels, host_config=config
        )
        made.append(container["Id"])
        witness.start(made[-1])
        return made[-1]

    yield make
    for container_id in made:
        try:
            witness.remove_container(container_id, force=True)
        except docker.errors.NotFound:
            continue


def by_kind(runtime: DockerRuntime) -> dict[str, list[Holding]]:
    found: dict[str, list[Holding]] = {}
    for each in runtime.holdings():
        found.setdefault(each.kind, []).append(each)
    return found


@pytest.mark.engine
def test_all_that_belongs_to_an_instance_is_named(
    stage: Stage, runtime: DockerRuntime, furnished: ContainerSpec
) -> None:
    began = datetime.now(UTC)
    instance_id, container_id = stage.started(furnished)
    found = by_kind(runtime)
    assert {kind: [each.name for each in held] for kind, held in found.items()} == {
        "container": [f"clawdeploy-{instance_id}"],
        "volume": [f"clawdeploy-{instance_id}-data"],
        "secret files": [""],
    }
    assert found["container"][0].container_id == container_id
    for (each,) in found.values():
        assert each.instance_id == instance_id
        assert each.made_at is not None
        assert began <= each.made_at <= datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.engine
def test_what_a_volume_holds_does_not_make_it_younger(
    stage: Stage, runtime: DockerRuntime, furnished: ContainerSpec, witness: docker.APIClient
) -> None:
    """Docker 20.10 tells of the moment when something was last written into it."""
    instance_id, container_id = stage.started(furnished)
    (before,) = by_kind(runtime)["volume"]
    claimed = witness.inspect_volume(before.name)["CreatedAt"]

    def written() -> bool:
        run = witness.exec_create(container_id, ["sh", "-c", "echo x >/data/file-$RANDOM; rm /data/file-*"])["Id"]
        witness.exec_start(run)
        return bool(witness.inspect_volume(before.name)["CreatedAt"] != claimed)

    if witness.version()["Version"].startswith("20.10"):
        assert eventually(written, 10), "this engine needs no label any more"
    assert by_kind(runtime)["volume"] == [before]
    assert before.instance_id == instance_id


@pytest.mark.engine
def test_what_does_not_carry_both_labels_of_ours_is_not_found(
    runtime: DockerRuntime, make_by_hand: Make, witness: docker.APIClient
) -> None:
    ours = runtime._installation
    wrong: dict[str, dict[str, str]] = {
        "unlabelled": {},
        "theirs": {INSTALLATION_LABEL: "theirs", INSTANCE_LABEL: "theirs"},
        "half": {INSTANCE_LABEL: "half"},
        "nameless": {INSTALLATION_LABEL: ours},
        "odd": {INSTALLATION_LABEL: ours, INSTANCE_LABEL: "../odd"},
    }
    for name, labels in wrong.items():
        make_by_hand(f"clawdeploy-{ours[:12]}-{name}", labels)
        witness.create_volume(f"clawdeploy-{ours[:12]}-{name}", labels=labels)
    try:
        assert runtime.holdings() == []
    finally:
        for name in wrong:
            witness.remove_volume(f"clawdeploy-{ours[:12]}-{name}")


@pytest.mark.engine
def test_a_volume_of_ours_without_a_date_of_ours_has_the_engines(
    runtime: DockerRuntime, witness: docker.APIClient
) -> None:
    labels = {INSTALLATION_LABEL: runtime._installation, INSTANCE_LABEL: "lost"}
    name = f"clawdeploy-{runtime._installation[:12]}-lost"
    witness.create_volume(name, labels=labels)
    try:
        (held,) = runtime.holdings()
        assert held.made_at is not None
        assert abs(held.made_at - datetime.now(UTC)) < timedelta(minutes=1)
        runtime.discard("lost")
        assert runtime.holdings() == []
    finally:
        witness.prune_volumes({"label": [f"{INSTALLATION_LABEL}={runtime._installation}"]})


@pytest.mark.engine
def test_a_network_of_an_instance_is_one_of_its_things_and_goes_with_them(
    runtime: DockerRuntime, witness: docker.APIClient
) -> None:
    labels = {INSTALLATION_LABEL: runtime._installation, INSTANCE_LABEL: "lost"}
    names = [f"clawdeploy-{runtime._installation[:12]}-{each}" for each in ("lost", "kept")]
    for name, given in zip(names, (labels, {**labels, INSTALLATION_LABEL: "theirs"}), strict=True):
        witness.create_network(name, labels=given)
    try:
        (held,) = runtime.holdings()
        assert (held.instance_id, held.kind, held.name) == ("lost", "network", names[0])
        assert held.made_at is not None
        assert abs(held.made_at - datetime.now(UTC)) < timedelta(minutes=1)
        runtime.discard("lost")
        assert runtime.holdings() == []
        assert [each["Name"] for each in witness.networks(names=[names[1]])] == [names[1]]
    finally:
        witness.remove_network(names[1])


@pytest.mark.engine
def test_of_two_containers_of_an_instance_the_one_with_its_name_is_the_one(
    stage: Stage, runtime: DockerRuntime, spec: ContainerSpec, make_by_hand: Make, witness: docker.APIClient
) -> None:
    instance_id, first = stage.started(spec)
    labels = {INSTALLATION_LABEL: runtime._installation, INSTANCE_LABEL: instance_id}
    second = make_by_hand(f"copy-of-{instance_id}", labels)
    assert {each.container_id for each in runtime.holdings()} == {first, second}
    assert runtime.observe(instance_id).container_id == first
    assert runtime.observe_all()[instance_id].container_id == first
    witness.rename(first, f"renamed-{instance_id}")
    assert runtime.observe(instance_id).container_id == second, "without a name the newest is the one"
    assert runtime.observe_all()[instance_id].container_id == second
    witness.rename(second, f"clawdeploy-{instance_id}")
    witness.rename(first, f"again-{instance_id}")
    assert runtime.observe_all()[instance_id].container_id == second
    assert runtime.observe(instance_id).state is ContainerState.RUNNING
    for container_id in (first, second):
        runtime.stop(container_id, 1)
        runtime.remove(container_id)
    assert runtime.observe(instance_id) == MISSING


def scripted_answers(containers: list[Any], volumes: list[Any]) -> engines.Script:
    answers = {"/containers/json": containers, "/volumes": {"Volumes": volumes}, "/networks": []}
    return engines.Script({f"GET {path}": (200, answer) for path, answer in answers.items()})


def test_it_takes_three_requests_however_many_there_are(make_runtime: MakeRuntime) -> None:
    labels = [{INSTALLATION_LABEL: "home", INSTANCE_LABEL: f"bot-{number}"} for number in range(500)]
    containers = [
        {"Id": "a" * 64, "Names": ["/x"], "State": "running", "Created": 1_790_000_000, "Labels": each}
        for each in labels
    ]
    volumes = [{"Name": "y", "CreatedAt": "2026-01-31T12:00:00+01:00", "Labels": each} for each in labels]
    script = scripted_answers(containers, volumes)
    with engines.scripted(script) as address:
        found = make_runtime("home", address).holdings()
    assert len(found) == 1000
    assert {each.made_at for each in found if each.kind == "volume"} == {datetime(2026, 1, 31, 11, 0, 1, tzinfo=UTC)}
    assert [asked.partition("?")[0] for asked in script.asked] == [
        "GET /version", "GET /v1.41/containers/json", "GET /v1.41/volumes", "GET /v1.41/networks",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "created_at", "made_at"),
    [
        ({}, "2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)),
        ({MADE_LABEL: "2026-01-30T12:00:00+00:00"}, "2026-01-31T12:00:00Z", datetime(2026, 1, 30, 12, tzinfo=UTC)),
        ({MADE_LABEL: "yesterday"}, "2026-01-31T12:00:00Z", None),
        ({}, "", None),
        ({}, None, None),
    ],
)
def test_the_date_of_a_volume_is_the_one_that_is_sure(
    make_runtime: MakeRuntime, labels: dict[str, str], created_at: str | None, made_at: datetime | None
) -> None:
    labels = {INSTALLATION_LABEL: "home", INSTANCE_LABEL: "lost", **labels}
    with engines.scripted(scripted_answers([], [{"Name": "v", "CreatedAt": created_at, "Labels": labels}])) as address:
        assert [each.made_at for each in make_runtime("home", address).holdings()] == [made_at]


def test_an_engine_that_lists_too_much_is_not_believed(make_runtime: MakeRuntime) -> None:
    """Podman lists volumes that have any of several labels."""
    theirs = {INSTALLATION_LABEL: "theirs", INSTANCE_LABEL: "lost"}
    containers = [{"Id": "a", "Names": ["/x"], "Created": 1_790_000_000, "Labels": each} for each in (theirs, None)]
    volumes = [{"Name": "v", "CreatedAt": "", "Labels": each} for each in (theirs, {INSTANCE_LABEL: "lost"}, None)]
    with engines.scripted(scripted_answers(containers, volumes)) as address:
        assert make_runtime("home", address).holdings() == []


OURS = {INSTALLATION_LABEL: "home", INSTANCE_LABEL: "lost"}


@pytest.mark.parametrize(
    "broken",
    [7, {}, {"Labels": "many"}, {"Labels": OURS}, {"Id": "a", "Names": [], "Labels": OURS, "Created": "yesterday"}],
)
def test_an_engine_that_answers_nonsense_is_not_believed(make_runtime: MakeRuntime, broken: Any) -> None:
    with engines.scripted(scripted_answers([broken], [])) as address, pytest.raises(RuntimeUnavailable):
        make_runtime("home", address).holdings()


# -- secret files ----------------------------------------------------------------------------------------------------


def test_secret_files_are_found_wherever_they_were_put(secret_root: Path) -> None:
    first, second = (SecretFolder("home", [secret_root / place]) for place in ("one", "two"))
    secret_root.mkdir(mode=0o700)
    first.write("a", [FILE])
    second.write("a", [FILE])
    second.write("b", [FILE])
    SecretFolder("theirs", [secret_root / "one"]).write("c", [FILE])
    both = SecretFolder("home", [secret_root / "one", secret_root / "two", Path("/nowhere"), Path("/dev/null/x")])
    found = both.written()
    assert found.keys() == {"a", "b"}
    newest = (secret_root / "two" / "home" / "a").stat().st_mtime
    assert found["a"].timestamp() == pytest.approx(newest, abs=0.001)
    both.remove("a")
    assert both.written().keys() == {"b"}


def test_what_else_lies_there_is_no_instances(secret_root: Path, tmp_path: Path) -> None:
    folder = SecretFolder("home", [secret_root])
    folder.write("a", [FILE])
    (secret_root / "home" / "file").touch()
    (secret_root / "home" / "with space").mkdir()
    (secret_root / "home" / "link").symlink_to(tmp_path)
    assert folder.written().keys() == {"a"}


@pytest.mark.parametrize("planted", ["root", "installation"])
def test_a_link_that_somebody_put_in_our_place_leads_nowhere(secret_root: Path, tmp_path: Path, planted: str) -> None:
    """What it leads to is anybody's, and names in it could be taken for instances that are left over."""
    elsewhere = tmp_path / "elsewhere"
    victim = elsewhere / ("home/victim" if planted == "root" else "victim")
    victim.mkdir(parents=True)
    link = secret_root if planted == "root" else secret_root / "home"
    link.parent.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(elsewhere)
    folder = SecretFolder("home", [secret_root])
    try:
        assert folder.written() == {}
        folder.remove("victim")
        assert victim.is_dir()
    finally:
        link.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_another_users_folder_holds_nothing_of_ours(secret_root: Path) -> None:
    folder = SecretFolder("home", [secret_root])
    folder.write("a", [FILE])
    os.chown(secret_root, 65534, 65534)
    assert folder.written() == {}
    folder.remove("a")
    assert (secret_root / "home" / "a").is_dir()
