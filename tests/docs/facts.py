"""What the documents have to tell, taken from the product itself: routes, settings, hooks, codes, commands."""

import ast
import dataclasses
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import falcon.inspect

from clawdeploy.cli import command_line
from clawdeploy.core import contracts, doctor, events, fields, hookspecs, reasons
from clawdeploy.core.config import Setting
from clawdeploy.core.errors import ClawDeployError
from clawdeploy.core.opener import Opener
from clawdeploy.core.plugins import DEFAULT_PLUGINS, PluginHost
from clawdeploy.core.settings import CORE_SETTINGS
from clawdeploy.web import body, instances, strict_json
from clawdeploy.web.app import create_app
from clawdeploy.web.errors import FRAMEWORK, TABLE
from tests.docs.markdown import ROOT
from tests.platforms import GOOD, memory_platform

CONTRACTS = ("Runtime", "Bot", "ContainerSpec", "Platform", "SignIn", "CredentialStore")
"""Those whose members ``docs/plugin_hooks.md`` lists; the others are told in a sentence."""


FOR_PROGRAMS = re.compile(r"[A-Z]+ /(api/|sign-|static/|metrics)")
"""The routes of the REST API, and what comes before and beside it; all others are pages and their forms."""


@dataclass(frozen=True)
class Facts:
    """Everything that has to be documented, by name.

    ``routes`` are like ``GET /api/health``, ``pages`` are those that only people with browsers use. ``settings``
    come with who adds them, ``codes`` with status and seconds of ``Retry-After``, ``silent_codes`` never leave the
    server. ``commands`` come with their options, as the command line shows them, and ``scripts`` with theirs.
    """

    routes: set[str]
    pages: set[str]
    instance_fields: set[str]
    settings: dict[str, tuple[str, Setting[Any]]]
    hooks: dict[str, list[str]]
    hook_users: dict[str, list[str]]
    codes: dict[str, tuple[int, int | None]]
    silent_codes: set[str]
    statuses: set[str]
    reasons: dict[str, str]
    events: dict[str, list[str]]
    contracts: dict[str, set[str]]
    limits: dict[str, int]
    commands: dict[str, click.Command]
    doctor_checks: set[str]
    scripts: dict[str, set[str]]


@cache
def gather() -> Facts:
    """Look everything up, once."""
    with TemporaryDirectory() as folder:
        routes, instance_fields = _from_platform(Path(folder))
    return Facts(
        routes={route for route in routes if FOR_PROGRAMS.match(route)},
        pages={route for route in routes if not FOR_PROGRAMS.match(route)},
        instance_fields=instance_fields,
        settings=_settings(),
        hooks={name: list(inspect.signature(hook).parameters) for name, hook in _hooks()},
        hook_users={name: _users(name) for name, _ in _hooks()},
        codes=_codes(),
        silent_codes={code for code, (status, _) in _own_codes().items() if status == 500} - {ClawDeployError.code},
        statuses={status.value for status in contracts.Status},
        reasons={code: sentence for code, sentence in reasons.SENTENCES.items() if code},
        events={
            kind.__name__: [field.name for field in dataclasses.fields(kind)] for kind in _subclasses(events.Event)
        },
        contracts={name: _members(getattr(contracts, name)) for name in CONTRACTS},
        limits={
            "body": body.MOST_BYTES,
            "nesting": strict_json.DEEPEST,
            "whole number": strict_json.LARGEST_INTEGER,
            "name": fields.LONGEST_NAME,
            "text": fields.LONGEST_TEXT,
            "secret": fields.LONGEST_SECRET,
            "config": fields.LARGEST_CONFIG,
            "limit": instances.LARGEST_PAGE,
            "tail": instances.LONGEST_TAIL,
        },
        commands=dict(_commands(command_line(Opener({})), "clawdeploy")),
        doctor_checks={name for name, _, _ in doctor.CHECKS},
        scripts=dict(_scripts()),
    )


def _from_platform(folder: Path) -> tuple[set[str], set[str]]:
    platform = memory_platform(folder)
    try:
        app = falcon.inspect.inspect_app(create_app(platform))
        instance_fields = set(platform.instances.dump(platform.instances.create("me", GOOD)))
    finally:
        platform.close()
    static = {f"GET {route.prefix}{{file}}" for route in app.static_routes}
    routes = {f"{it.method} {route.path}" for route in app.routes for it in route.methods if not it.internal}
    return static | routes, instance_fields


def _settings() -> dict[str, tuple[str, Setting[Any]]]:
    found = {setting.name: ("core", setting) for setting in CORE_SETTINGS}
    for path in DEFAULT_PLUGINS:
        register: Callable[[], Iterable[Setting[Any]]] = getattr(import_module(path), "register_settings", list)
        found |= {setting.name: (path.rpartition(".")[2], setting) for setting in register()}
    return found


def _hooks() -> list[tuple[str, Any]]:
    marker = f"{hookspecs.NAMESPACE}_spec"
    return [(name, hook) for name, hook in vars(hookspecs).items() if hasattr(hook, marker)]


def _users(hook: str) -> list[str]:
    shipped = [report for report in PluginHost.discover({}).report() if report.default]
    return [report.name for report in shipped if hook in report.hooks]


def _codes() -> dict[str, tuple[int, int | None]]:
    told = {code: answer for code, answer in _own_codes().items() if answer[0] != 500 or code == ClawDeployError.code}
    framework: dict[str, tuple[int, int | None]] = {code: (status, None) for status, (code, _) in FRAMEWORK.items()}
    return framework | dict(_codes_in_sources()) | told


def _codes_in_sources() -> Iterator[tuple[str, tuple[int, int | None]]]:
    """Find what the server answers before the application is asked: tuples of status, code and sentence."""
    for path in (ROOT / "clawdeploy" / "web").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            values = [getattr(each, "value", None) for each in node.elts] if isinstance(node, ast.Tuple) else []
            if len(values) > 1 and isinstance(values[0], int) and 400 <= values[0] < 600 and isinstance(values[1], str):
                yield values[1], (values[0], None)


def _own_codes() -> dict[str, tuple[int, int | None]]:
    # A base class that has only inherited its code is never raised itself.
    return {kind.code: (row.status, row.retry_after) for kind, row in TABLE.items() if "code" in vars(kind)}


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        if each.__module__ == kind.__module__:
            yield each
            yield from _subclasses(each)


def _members(contract: type) -> set[str]:
    named = {name for name, value in vars(contract).items() if callable(value) or isinstance(value, property)}
    names = set(vars(contract).get("__dataclass_fields__", ())) or named
    return {name for name in names if not name.startswith("_")}


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    wanted = [
        parameter.make_metavar(click.Context(command))
        for parameter in command.params
        if isinstance(parameter, click.Argument)
    ]
    yield " ".join([path, *wanted]), command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _commands(inner, f"{path} {name}")


def _scripts() -> Iterator[tuple[str, set[str]]]:
    for path in (ROOT / "scripts").iterdir():
        if path.is_file() and os.access(path, os.X_OK):
            # The comment at the top of a script is its help.
            described = path.read_text().partition("\n\n")[0]
            yield f"scripts/{path.name}", set(re.findall(r"--[a-z][a-z-]*", described))
