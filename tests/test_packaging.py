"""What is installed is what is in the tree: packages, templates, static files, migrations, and what they depend on."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import clawdeploy
from tests.imports import imports

ROOT = Path(__file__).resolve().parents[1]
TREES = {"clawdeploy": ROOT / "clawdeploy", "clawdeploy.templates": ROOT / "templates"}
COMES_WITH = {"requests": "docker", "urllib3": "docker"}
"""Libraries that we may import because another one hands us their objects and cannot be without them."""
FOR_TESTS = {"pytest": "clawdeploy.core.testing"}


@pytest.fixture(scope="module")
def config() -> ConfigParser:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def listed(config: ConfigParser, section: str, option: str) -> list[str]:
    return config[section][option].split("\n")[1:]


def packages() -> dict[str, Path]:
    """Return every folder with Python modules in it, by the name of its package."""
    found = {}
    for name, root in TREES.items():
        for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            if any(folder.glob("*.py")):
                found[".".join([name, *folder.relative_to(root).parts])] = folder
    return found


def shipped_files() -> Iterator[tuple[str, str]]:
    """Yield package and path inside it of every file that is no Python module."""
    for path in (path for root in TREES.values() for path in root.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            folders = {folder: name for name, folder in packages().items()}
            folder = next(parent for parent in path.parents if parent in folders)
            yield folders[folder], path.relative_to(folder).as_posix()


def test_the_packages_are_those_of_the_tree(config: ConfigParser) -> None:
    assert listed(config, "options", "packages") == sorted(packages())


def test_every_folder_of_modules_is_a_package() -> None:
    assert [name for name, folder in packages().items() if not (folder / "__init__.py").exists()] == []


def test_every_other_file_is_package_data(config: ConfigParser) -> None:
    data = {name: [each.strip() for each in globs.split(",")] for name, globs in config["options.package_data"].items()}
    left_out = [
        f"{package}: {name}"
        for package, name in shipped_files()
        # A * of setuptools does not reach into folders, that of fnmatch does.
        if not any(fnmatch(name, glob) and name.count("/") == glob.count("/") for glob in data.get(package, []))
    ]
    assert left_out == []


def test_there_is_something_to_ship() -> None:
    kinds = {Path(name).suffix for _, name in shipped_files()}
    assert kinds >= {".mako", ".css", ".typed"}


def test_every_library_that_is_imported_is_declared(config: ConfigParser) -> None:
    declared = {re.split(r"[ <>=]", line)[0].lower() for line in listed(config, "options", "install_requires")}
    distributions = packages_distributions()
    missing = set()
    for package, folder in packages().items():
        for path in folder.glob("*.py"):
            for each in imports(path.read_text(), f"{package}.{path.stem}"):
                name = each.name.split(".")[0]
                if name in sys.stdlib_module_names or name == "clawdeploy" or FOR_TESTS.get(name) == package:
                    continue
                needed = {COMES_WITH.get(name, known).lower() for known in distributions.get(name, [name])}
                if not needed & declared:
                    missing.add(f"{package}.{path.stem} imports {name}")
    assert missing == set()


def test_every_library_that_is_declared_is_imported(config: ConfigParser) -> None:
    declared = {re.split(r"[ <>=]", line)[0].lower() for line in listed(config, "options", "install_requires")}
    distributions = packages_distributions()
    used = set()
    for package, folder in packages().items():
        for path in folder.glob("*.py"):
            for each in imports(path.read_text(), f"{package}.{path.stem}"):
                used |= {known.lower() for known in distributions.get(each.name.split(".")[0], [])}
    assert declared - used == set()


def test_the_version_is_said_once(config: ConfigParser) -> None:
    assert config["metadata"]["version"] == "attr: clawdeploy.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", clawdeploy.__version__)


@pytest.mark.system
def test_a_built_wheel_has_everything_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for root in TREES.values():
        shutil.copytree(root, source / root.name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, source], check=True, stdout=subprocess.DEVNULL
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"clawdeploy-{clawdeploy.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry_points = archive.read(f"clawdeploy-{clawdeploy.__version__}.dist-info/entry_points.txt").decode()
    modules = {
        f"{package.replace('.', '/')}/{path.name}"
        for package, folder in packages().items()
        for path in folder.glob("*.py")
    }
    data = {f"{package.replace('.', '/')}/{name}" for package, name in shipped_files()}
    assert inside == modules | data
    assert any(name.startswith("clawdeploy/core/migrations/0001_") for name in inside)
    assert "clawdeploy = clawdeploy.cli:main" in entry_points
