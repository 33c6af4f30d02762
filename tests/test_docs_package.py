"""The plugin that ``docs/writing_plugins.md`` builds is found, works and passes its tests."""

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import code, documents, section
from tests.platforms import memory_platform

HOOKS = documents()["docs/plugin_hooks.md"]
WRITING = documents()["docs/writing_plugins.md"]


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
