"""The rules of the house, kept by looking at the source: who imports whom, who wires, and what things are called."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from clawdeploy.core.plugins import DEFAULT_PLUGINS
from tests.imports import Import, imports, is_within

ROOT = Path(__file__).resolve().parents[1]
WIRING = (
    "clawdeploy.cli",
    "clawdeploy.web.app",
    "clawdeploy.web.server",
    "clawdeploy.core.bootstrap",
    "clawdeploy.core.platform",
    "clawdeploy.core.opener",
)
SEAM = tuple(
    f"clawdeploy.core.{name}"
    for name in ("contracts", "errors", "events", "hookspecs", "config", "settings", "setting_values")
)
MOST_LINES = 250
LONGER_FOR_A_REASON = {
    "clawdeploy.core.testing.runtime_contract": "one promise of the contract after the other, a few lines each",
    "clawdeploy.core.errors": "one kind of failure after the other, a few lines each",
}


def modules(*folders: str) -> Iterator[tuple[str, Path]]:
    """Yield dotted name and path of every Python module below the folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


PACKAGE = list(modules("clawdeploy"))
OURS = [*PACKAGE, *modules("templates", "scripts", "tests")]


# -- imports ---------------------------------------------------------------------------------------------------------


def forbidden_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    """Say which imports of a module break the rules of ``docs/architecture.md``."""
    found = imports(source, module, is_package)
    return [f"{module}:{each.line} imports {each.name}" for each in found if _is_forbidden(each, module)]


def _is_forbidden(imported: Import, module: str) -> bool:
    name = imported.name
    if is_within(module, "clawdeploy.core"):
        # A hook hands plugins a click group, and its signature says so. Core itself never uses click: only type
        # checkers may look at it.
        if is_within(name, "click"):
            return not imported.for_types
        return is_within(name, "clawdeploy.web", "clawdeploy.plugins", "falcon", "mako", "docker", "jwt")
    if is_within(module, "clawdeploy.plugins"):
        own = ".".join(module.split(".")[:3])
        return is_within(name, "clawdeploy") and not is_within(name, own, *SEAM)
    if is_within(module, "clawdeploy.web"):
        return is_within(name, "clawdeploy.plugins", "docker", "jwt", "peewee", "playhouse")
    return is_within(name, "clawdeploy.plugins")


@pytest.mark.parametrize(("module", "path"), PACKAGE)
def test_each_room_imports_only_what_it_may(module: str, path: Path) -> None:
    assert forbidden_imports(path.read_text(), module, path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("clawdeploy.core.store", "import falcon"),
        ("clawdeploy.core.store", "import docker.errors as e"),
        ("clawdeploy.core.store", "from mako.template import Template"),
        ("clawdeploy.core.store", "import os, jwt"),
        ("clawdeploy.core.store", "import click"),
        ("clawdeploy.core.store", "def later():\n    from clawdeploy.web import app"),
        ("clawdeploy.core.store", "from .. import web"),
        ("clawdeploy.core.store", "from ..plugins.telegram import Telegram"),
        ("clawdeploy.core.testing.stage", "from ...web.app import create_app"),
        ("clawdeploy.core.store", "from importlib import import_module\nimport_module('clawdeploy.plugins.discord')"),
        ("clawdeploy.core.store", "try:\n    import docker\nexcept ImportError:\n    pass"),
        ("clawdeploy.core.store", "if TYPE_CHECKING:\n    import falcon"),
        ("clawdeploy.core.store", "if TYPE_CHECKING:\n    pass\nelse:\n    import click"),
        ("clawdeploy.plugins.telegram", "from clawdeploy.core.store import InstanceStore"),
        ("clawdeploy.plugins.telegram", "from clawdeploy.core import store"),
        ("clawdeploy.plugins.telegram", "import clawdeploy.core.bootstrap"),
        ("clawdeploy.plugins.telegram", "from clawdeploy.plugins.discord import Discord"),
        ("clawdeploy.plugins.telegram", "from . import discord"),
        ("clawdeploy.plugins.telegram", "from clawdeploy.web.request import Request"),
        ("clawdeploy.plugins.local_auth.sessions", "from ..api_tokens import ApiTokens"),
        ("clawdeploy.web.pages", "import peewee"),
        ("clawdeploy.web.pages", "from playhouse import pool"),
        ("clawdeploy.web.pages", "from clawdeploy.plugins import local_auth"),
        ("clawdeploy.web.pages", "def page():\n    import docker"),
        ("clawdeploy.cli", "from clawdeploy.plugins.local_auth.commands import sign_in"),
    ],
)
def test_a_forbidden_import_is_found(module: str, source: str) -> None:
    assert len(forbidden_imports(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("clawdeploy.core.store", "import peewee, json\nfrom clawdeploy.core import models\nfrom . import vault"),
        ("clawdeploy.core.hookspecs", "if TYPE_CHECKING:\n    import click"),
        ("clawdeploy.core.plugins", "from docker_like import x\nimport clawdeployment, webtest"),
        ("clawdeploy.plugins.local_auth.sessions", "import falcon, click\nfrom .resources import SignOut"),
        (
            "clawdeploy.plugins.telegram",
            "from clawdeploy.core.contracts import Channel\nfrom clawdeploy.core import errors",
        ),
        ("clawdeploy.web.pages", "import falcon, mako\nfrom clawdeploy.core.platform import Platform"),
    ],
)
def test_what_is_allowed_is_not_found(module: str, source: str) -> None:
    assert forbidden_imports(source, module) == []


def test_inside_a_package_a_dot_is_the_package_itself() -> None:
    source = "from . import api_tokens\nfrom .telegram import Telegram"
    assert [each.name for each in imports(source, "clawdeploy.plugins", is_package=True)] == [
        "clawdeploy.plugins.api_tokens",
        "clawdeploy.plugins.telegram.Telegram",
    ]


def test_default_plugins_are_named_as_strings_and_are_all_that_ship() -> None:
    folder = ROOT / "clawdeploy" / "plugins"
    shipped = {path.stem for path in folder.iterdir() if not path.name.startswith("_") and _is_module(path)}
    assert {name.rpartition(".")[2] for name in DEFAULT_PLUGINS} == shipped


def _is_module(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").exists()


# -- wiring and containers -------------------------------------------------------------------------------------------

MAKERS = {"bootstrap", "PluginHost", "discover", "Opener", "Platform", "create_app", "PluginManager", "Config"}
KEPT = MAKERS | {"App", "API", "Database", "SqliteDatabase", "PostgresqlDatabase", "DockerClient", "from_env"}
ACTORS = tuple(f"clawdeploy.core.{name}" for name in ("lifecycle", "cleanup", "testing"))
ACTS = {"create", "start", "stop", "remove", "discard", "pull"}


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the last name and the line of everything that is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node.lineno


def wiring(source: str) -> list[str]:
    """Say where a module makes the collaborators that others are handed."""
    return [f"line {line} makes {name}" for name, line in calls(ast.parse(source)) if name in MAKERS]


def kept_objects(source: str) -> list[str]:
    """Say which objects a module makes when it is imported, although each test must be able to make its own."""
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and node.value is not None:
            found += [f"line {line} keeps {name}" for name, line in calls(node.value) if name in KEPT]
    return found


@pytest.mark.parametrize(
    ("module", "path"), [each for each in PACKAGE if each[0] not in (*WIRING, "clawdeploy.core.plugins")]
)
def test_only_the_wiring_wires(module: str, path: Path) -> None:
    assert wiring(path.read_text()) == []


@pytest.mark.parametrize(("module", "path"), PACKAGE)
def test_nothing_is_wired_by_importing(module: str, path: Path) -> None:
    assert kept_objects(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "HOST = PluginHost()",
        "manager: object = pluggy.PluginManager('x')",
        "app = create_app(bootstrap(config, host))",
        "application = falcon.App()",
        "config = Config(CORE_SETTINGS, os.environ)",
        "HOST = PluginHost.discover({})",
        "database = peewee.SqliteDatabase(':memory:')",
        "ALL = [docker.from_env()]",
    ],
)
def test_an_object_of_a_module_is_found(source: str) -> None:
    assert kept_objects(source) != []
    assert kept_objects(f"def make():\n    {source}\n    return 1") == []


def test_wiring_elsewhere_is_found() -> None:
    assert wiring("def page():\n    return bootstrap(config, host).instances") == ["line 2 makes bootstrap"]


def acts(source: str) -> list[str]:
    """Say where a module acts upon containers; a method that is handed over counts as called."""
    return [
        f"line {node.lineno} acts: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in ACTS and re.search(r"runtime$", ast.unparse(node.value))
    ]


@pytest.mark.parametrize(
    ("module", "path"),
    [each for each in PACKAGE if not is_within(each[0], *ACTORS)],
)
def test_only_the_loop_and_the_clean_up_act_upon_containers(module: str, path: Path) -> None:
    assert acts(path.read_text()) == []


def test_acting_elsewhere_is_found() -> None:
    assert acts("def stop(self):\n    self._runtime.stop(container, 1)")
    assert acts("call(runtime.remove, container)")
    assert not acts("self._runtime.observe(instance_id)\nself._claims.start()")


def runs_programs(source: str, module: str) -> bool:
    """Say whether a module can run other programs."""
    names = {each.name for each in imports(source, module)}
    return any(is_within(name, "subprocess", "pty") for name in names) or bool(
        re.search(r"\bos\.(system|popen|exec|spawn)|shell=True", source)
    )


@pytest.mark.parametrize(("module", "path"), PACKAGE)
def test_the_product_runs_no_programs(module: str, path: Path) -> None:
    assert not runs_programs(path.read_text(), module)


def test_running_a_program_is_found() -> None:
    assert runs_programs("import subprocess", "x")
    assert runs_programs("def f():\n    from subprocess import run", "x")
    assert runs_programs("os.system('ls')", "x")


# -- size and names --------------------------------------------------------------------------------------------------

VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)($|_)|^handle_|(Util|Helper|Manager)s?$")


def vague_names(source: str, module: str) -> list[str]:
    """Say which names of a module say nothing; names that a library asks for are not ours to choose."""
    found = [module] if VAGUE.search(module.rpartition(".")[2]) else []
    tree = ast.parse(source)
    asked_for = {id(method) for each in ast.walk(tree) if _has_foreign_base(each, tree, module) for method in each.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and id(node) not in asked_for:
            found += [f"line {node.lineno}: {node.name}"] if VAGUE.search(node.name.lstrip("_")) else []
    return found


def _has_foreign_base(node: ast.AST, tree: ast.Module, module: str) -> TypeGuard[ast.ClassDef]:
    if not isinstance(node, ast.ClassDef):
        return False
    foreign = {each.name.split(".")[0] for each in imports(ast.unparse(tree), module)} - {"clawdeploy", "tests"}
    brought = {
        alias.asname or alias.name.split(".")[0]
        for each in ast.walk(tree)
        if isinstance(each, ast.Import | ast.ImportFrom)
        and not getattr(each, "level", 0)
        and (getattr(each, "module", None) or each.names[0].name).split(".")[0] in foreign
        for alias in each.names
    }
    return any(ast.unparse(base).split(".")[0] in brought for base in node.bases)


@pytest.mark.parametrize(("module", "path"), OURS)
def test_names_say_what_things_are(module: str, path: Path) -> None:
    assert vague_names(path.read_text(), module) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("clawdeploy.core.utils", ""),
        ("clawdeploy.core.string_helpers", ""),
        ("clawdeploy.core.store", "class InstanceManager: pass"),
        ("clawdeploy.core.store", "def handle_error(): pass"),
        ("clawdeploy.core.store", "class A:\n    def _handle_error(self): pass"),
        ("clawdeploy.core.store", "def date_util(): pass"),
        ("clawdeploy.core.store", "from clawdeploy.x import Base\nclass A(Base):\n    def handle_error(self): pass"),
    ],
)
def test_a_vague_name_is_found(module: str, source: str) -> None:
    assert len(vague_names(source, module)) == 1


def test_a_name_that_a_library_asks_for_is_fine() -> None:
    source = "from html.parser import HTMLParser\nclass A(HTMLParser):\n    def handle_data(self, data): pass"
    assert vague_names(source, "tests.web") == []


@pytest.mark.parametrize(("module", "path"), PACKAGE)
def test_modules_fit_a_head(module: str, path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES or module in LONGER_FOR_A_REASON, f"{module} has {lines} lines: split it"


def test_exceptions_are_still_needed() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in PACKAGE}
    assert all(lengths.get(module, 0) > MOST_LINES for module in LONGER_FOR_A_REASON)
