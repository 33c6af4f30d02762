"""The examples in ``docs/plugin_hooks.md`` and ``docs/writing_plugins.md`` do what the documents say."""

import configparser
import json
import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from webtest import TestApp

from clawdeploy.cli import command_line
from clawdeploy.core.bootstrap import Opener, Platform
from clawdeploy.core.contracts import Credentials, Status
from clawdeploy.core.errors import InvalidCredentials, InvalidInput, NotSignedIn
from clawdeploy.core.events import StatusChanged
from clawdeploy.core.plugins import PluginHost
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from clawdeploy.web.app import create_app
from tests.docs.facts import gather
from tests.docs.markdown import code, documents, section
from tests.platforms import GOOD, memory_platform

HOOKS = documents()["docs/plugin_hooks.md"]
WRITING = documents()["docs/writing_plugins.md"]


def example(hook: str) -> types.ModuleType:
    """Return the example of a hook as a module."""
    heading = next(block.heading for block in code(HOOKS, "python") if block.heading.startswith(f"`{hook}("))
    (block,) = code(section(HOOKS, heading), "python")
    module = types.ModuleType(f"example_of_{hook}")
    sys.modules[module.__name__] = module
    exec(compile(block.text, f"docs/plugin_hooks.md, {hook}", "exec"), vars(module))
    return module


def with_example(folder: Path, module: types.ModuleType, **settings: Any) -> Platform:
    return memory_platform(folder, plugins={"example": module}, STRICT_PLUGINS="yes", **settings)


def register_settings(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert with_example(folder, module).config[module.GREETINGS] == 3
    assert with_example(folder, module, GREETINGS="7").config[module.GREETINGS] == 7


def register_runtimes(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    platform = with_example(folder, module, RUNTIME="rehearsal")
    assert platform.instances.create("me", GOOD).status is Status.RUNNING


def register_blueprints(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    runtime = MemoryRuntime("unknown")
    platform = memory_platform(
        folder, runtime=lambda _: runtime, plugins={"example": module}, STRICT_PLUGINS="yes", BLUEPRINT="parrot"
    )
    made = platform.instances.create("me", {**GOOD, "apiKey": "sk-example"})
    assert (made.status, made.blueprint) == (Status.RUNNING, "parrot")
    assert runtime.file(made.id, "/run/secrets/apiKey") == b"sk-example"
    settings = json.loads(runtime.file(made.id, "/data/settings.json") or b"")
    assert (settings["model"], settings["channel"]) == ("gpt-5.2", "telegram")


def register_channels(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    platform = with_example(folder, module)
    body = {**GOOD, "channel": "irc", "credentials": {"nickservPassword": "secret"}}
    assert platform.instances.create("me", body).secrets_set == {"nickservPassword"}
    with pytest.raises(InvalidInput) as refused:
        platform.instances.create("me", {**body, "credentials": {"nickservPassword": "1234"}})
    assert list(refused.value.errors) == ["nickservPassword"]


def register_auth_providers(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    platform = with_example(folder, module, TEAM_PASSWORD="open-sesame")
    assert platform.authenticate(Credentials({"x-team-password": "open-sesame"}, {})).user_id == "team"
    with pytest.raises(InvalidCredentials):
        platform.authenticate(Credentials({"x-team-password": "guess"}, {}))
    with pytest.raises(NotSignedIn):
        platform.authenticate(Credentials({}, {}))


def register_routes(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    platform = with_example(folder, module)
    token, _ = platform.credentials.issue("api_token", "me", prefix="cd_")
    app = TestApp(create_app(platform))
    assert "version" in app.get("/api/version").json
    app.get("/api/who-am-i", status=401)
    signed_in = app.get("/api/who-am-i", headers={"Authorization": f"Bearer {token.reveal()}"})
    assert signed_in.json == {"userId": "me"}


def register_commands(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    opener = Opener({"CLAWDEPLOY_DATA_DIR": str(folder), "CLAWDEPLOY_RUNTIME": "memory"})
    opener.host.add("example", lambda: module, source="docs")
    commands = command_line(opener)
    assert CliRunner().invoke(commands, ["token", "create", "me"], obj=opener).exit_code == 0
    assert CliRunner().invoke(commands, ["count-tokens", "me"], obj=opener).stdout == "1\n"


def observe(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    platform = with_example(folder, module)
    event = StatusChanged(
        datetime.now(UTC), "sync", "k3v7mq2xw5ynb4ta", "me", Status.RUNNING, Status.ERROR, "crashed", "It ended."
    )
    with caplog.at_level(logging.WARNING):
        platform.publish(event)
    assert "Bot k3v7mq2xw5ynb4ta of me is in trouble: It ended." in caplog.messages


def startup(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    platform = with_example(folder, module)
    with caplog.at_level(logging.WARNING):
        platform.host.startup(platform)
    assert "Bots run on memory and get the ports from 10000 to 20000." in caplog.messages


Trial = Callable[[types.ModuleType, Path, pytest.LogCaptureFixture], None]
TRIALS: tuple[Trial, ...] = (
    register_settings,
    register_runtimes,
    register_blueprints,
    register_channels,
    register_auth_providers,
    register_routes,
    register_commands,
    observe,
    startup,
)


def test_the_example_of_every_hook_is_tried() -> None:
    assert [trial.__name__ for trial in TRIALS] == list(gather().hooks)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_the_example_of_a_hook_works(trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = example(trial.__name__)
    host = PluginHost()
    host.add("example", lambda: module, source="docs", default=True)
    assert trial.__name__ in host.report()[0].hooks
    trial(module, tmp_path, caplog)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Give a folder with the package of the document as pip installs it, and its tests beside it."""
    (setup,) = code(WRITING, "ini")
    module, test = code(section(WRITING, "The package"), "python")
    (suite,) = code(section(WRITING, "A runtime and its contract suite"), "python")
    parser = configparser.ConfigParser()
    parser.read_string(setup.text)
    name, version = parser["metadata"]["name"], parser["metadata"]["version"]
    information = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{parser['options']['py_modules']}.py": module.text,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/entry_points.txt": "\n".join(
            f"[{group}]{entries}" for group, entries in parser["options.entry_points"].items()
        ),
        "tests/test_matrix.py": test.text,
        "tests/test_rehearsal.py": suite.text,
        "clawdeploy_rehearsal.py": code(section(HOOKS, "`register_runtimes(config, installation)`"), "python")[0].text,
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the package is installed."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "CLAWDEPLOY_DATA_DIR": str(folder / "data")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_package_is_a_plugin(package: Path) -> None:
    done = run(package, "-m", "clawdeploy", "plugins", "--json")
    assert done.returncode == 0, done.stderr
    found = {each["name"]: each for each in json.loads(done.stdout)["plugins"]}
    assert found["matrix"] == {
        "name": "matrix",
        "source": "clawdeploy-matrix 0.1.0 (clawdeploy_matrix)",
        "default": False,
        "hooks": ["register_channels"],
        "error": "",
    }


def test_the_request_for_the_new_channel_is_valid(
    package: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(package)
    (body,) = code(WRITING, "json")
    platform = memory_platform(tmp_path_factory.mktemp("data"), STRICT_PLUGINS="yes")
    made = platform.instances.create("me", json.loads(body.text))
    assert made.channel == "matrix"
    assert made.secrets_set == {"homeserver", "accessToken"}
    platform.close()


def test_the_tests_of_the_plugins_pass(package: Path) -> None:
    done = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout
