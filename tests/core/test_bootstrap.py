"""The wiring: from settings and plugins to a working platform, or one sentence that says why not."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from clawdeploy.core.contracts import AuthProvider, Credentials, Identity
from clawdeploy.core.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    InvalidCredentials,
    NotSignedIn,
    PluginError,
    RuntimeUnavailable,
)
from clawdeploy.core.events import StatusChanged
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.opener import Opener
from clawdeploy.core.settings import PORT
from clawdeploy.core.testing import BrokenRuntime
from tests.core.surroundings import OWNER, Surroundings, made
from tests.platforms import memory_platform

NOBODY = Credentials({}, {})


def test_two_platforms_in_one_process_share_nothing(tmp_path: Path) -> None:
    one, two = memory_platform(tmp_path / "one"), memory_platform(tmp_path / "two")
    instance_id = made(one)
    assert two.instances.list(OWNER).instances == []
    assert one.installation != two.installation
    assert one.instances.get(OWNER, instance_id).status == "running"
    one.close()
    two.close()


def test_it_says_which_database_it_is(surroundings: Surroundings) -> None:
    label = surroundings.open().database_label
    assert label.startswith("SQLite /" if surroundings.url.startswith("sqlite") else "PostgreSQL on 127.0.0.1/")
    assert "clawdeploy_tests" not in label


def test_without_an_engine_it_still_opens(surroundings: Surroundings) -> None:
    runtime = BrokenRuntime(surroundings.memory)
    platform = surroundings.open(runtime)
    assert not platform.health()
    with pytest.raises(RuntimeUnavailable):
        platform.engine_info()
    with pytest.raises(RuntimeUnavailable):
        platform.has_image()
    runtime.mend()
    assert surroundings.open(runtime).health()
    assert platform.engine_info().name == "Memory"
    assert platform.has_image()
    surroundings.memory.engine.images = set()
    assert not platform.has_image()


def test_the_memory_runtime_of_the_platform_knows_its_installation(tmp_path: Path) -> None:
    platform = memory_platform(tmp_path)
    assert made(platform)
    platform.close()


class Provider:
    """Knows one caller by a header, and refuses another."""

    def __init__(self, name: str) -> None:
        self.name = name

    def authenticate(self, credentials: Credentials) -> Identity | None:
        said = credentials.headers.get(self.name)
        if said == "bad":
            raise InvalidCredentials
        return Identity(said, self.name, ambient=False) if said else None

    @hookimpl
    def register_auth_providers(self) -> Iterable[AuthProvider]:
        return [self]


def test_providers_are_asked_in_turn_and_a_bad_credential_ends_it(surroundings: Surroundings) -> None:
    platform = surroundings.open(plugins={"one": Provider("one"), "two": Provider("two")})
    assert platform.authenticate(Credentials({"two": "ann"}, {})).user_id == "ann"
    assert platform.authenticate(Credentials({"one": "bob", "two": "ann"}, {})).provider == "one"
    with pytest.raises(InvalidCredentials):
        platform.authenticate(Credentials({"one": "bad", "two": "ann"}, {}))
    with pytest.raises(NotSignedIn):
        platform.authenticate(NOBODY)


def test_routes_of_plugins_are_given(surroundings: Surroundings) -> None:
    offered = {(offer.plugin, offer.route.template) for offer in surroundings.open().routes()}
    assert offered >= {("local_auth", "/sign-out")}


def test_what_is_published_reaches_the_observers(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    made(platform)
    event = surroundings.witness.of(StatusChanged)[0]
    platform.publish(event)
    assert surroundings.witness.events[-1] is event


def test_closing_twice_is_fine(surroundings: Surroundings) -> None:
    platform = surroundings.open()
    platform.start_background()
    platform.close()
    platform.close()


# -- what stops it ---------------------------------------------------------------------------------------------------


def test_a_data_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError) as refused:
        memory_platform(tmp_path / "file" / "data")
    assert "cannot be written (Not a directory)" in refused.value.detail
    assert "CLAWDEPLOY_DATA_DIR" in refused.value.detail


def test_a_data_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    memory_platform(tmp_path / "data").close()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("RUNTIME", "podman", "CLAWDEPLOY_RUNTIME='podman' is not installed. There is: docker, memory."),
        ("BLUEPRINT", "openclaw", "CLAWDEPLOY_BLUEPRINT='openclaw' is not installed. There is: standin."),
    ],
)
def test_a_choice_that_there_is_not_says_what_there_is(tmp_path: Path, setting: str, value: str, said: str) -> None:
    settings: dict[str, Any] = {setting: value}
    with pytest.raises(ConfigurationError) as refused:
        memory_platform(tmp_path, **settings)
    assert refused.value.detail == said


def test_a_start_that_fails_leaves_no_connection_open(surroundings: Surroundings) -> None:
    class Twice(Provider):
        """Offers one name twice."""

        @hookimpl
        def register_auth_providers(self) -> Iterable[AuthProvider]:
            return [self, self]

    surroundings.open().close()
    with pytest.raises(PluginError):
        surroundings.open(plugins={"twice": Twice("twice")})
    left = sorted(path.name for path in surroundings.folder.iterdir() if path.name.endswith(("-wal", "-shm")))
    assert left == []


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        memory_platform(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")


# -- the command line's opener ---------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"CLAWDEPLOY_DATA_DIR": str(tmp_path / "data"), "CLAWDEPLOY_RUNTIME": "memory"}


def test_an_opener_opens_when_it_is_asked_and_once(environment: dict[str, str], tmp_path: Path) -> None:
    opener = Opener(environment)
    assert opener.config()[PORT] == 8080
    assert not (tmp_path / "data").exists()
    platform = opener.platform()
    assert opener.platform() is platform
    assert opener.actor == "cli"
    opener.close()
    opener.close()
    assert opener.platform() is not platform
    opener.close()


def test_an_option_wins_over_the_environment(environment: dict[str, str]) -> None:
    opener = Opener({**environment, "CLAWDEPLOY_PORT": "1"})
    opener.override(PORT, "9000")
    assert opener.config()[PORT] == 9000
    assert environment.get("CLAWDEPLOY_PORT") is None


def test_the_core_needs_neither_web_nor_docker() -> None:
    code = (
        "import sys, clawdeploy.core.bootstrap\n"
        "print([name for name in ('falcon', 'mako', 'docker', 'jwt', 'clawdeploy.web', 'clawdeploy.plugins', 'pytest')"
        " if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said.strip() == "[]"
