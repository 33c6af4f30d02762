"""Platforms for tests: the real wiring, on the memory runtime or on one that the test brings."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clawdeploy.core.background import USUAL, Pace
from clawdeploy.core.bootstrap import bootstrap
from clawdeploy.core.clock import utc_now
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.platform import Platform
from clawdeploy.core.plugins import PluginHost
from tests.databases import put_migrated_file

GOOD = {"name": "test", "model": "gpt-5.2", "channel": "telegram"}


class RuntimePlugin:
    """Offers the runtime that a test made, as an installed plugin would."""

    def __init__(self, make: Callable[[str], Runtime]) -> None:
        self._make = make

    @hookimpl
    def register_runtimes(self, installation: str) -> Iterable[Runtime]:
        runtime = self._make(installation)
        runtime.name = "under-test"
        return [runtime]


def memory_platform(
    folder: Path,
    *,
    runtime: Callable[[str], Runtime] | None = None,
    plugins: dict[str, object] | None = None,
    clock: Callable[[], datetime] = utc_now,
    pace: Pace = USUAL,
    environment: Mapping[str, str] = MappingProxyType({}),
    **settings: Any,
) -> Platform:
    """Make a platform in a folder; settings are given as ``PORT="80"`` for ``CLAWDEPLOY_PORT``.

    Those with names of another kind are in ``environment``.
    """
    environment = {**environment, **{f"CLAWDEPLOY_{name}": str(value) for name, value in settings.items()}}
    environment.setdefault("CLAWDEPLOY_DATA_DIR", str(folder))
    data_folder = Path(environment["CLAWDEPLOY_DATA_DIR"])
    if not environment.get("CLAWDEPLOY_DATABASE_URL") and data_folder.is_dir():
        put_migrated_file(data_folder / "clawdeploy.db")
    # Tests make more bots than people do.
    environment.setdefault("CLAWDEPLOY_MAX_INSTANCES_PER_USER", "0")
    environment.setdefault("CLAWDEPLOY_RUNTIME", "under-test" if runtime else "memory")
    host = PluginHost.discover(environment)
    if runtime:
        host.add("runtime-under-test", lambda: RuntimePlugin(runtime), source="tests")
    for name, plugin in (plugins or {}).items():
        host.add(name, lambda plugin=plugin: plugin, source="tests")  # type: ignore[misc]
    return bootstrap(host.config(environment), host, clock=clock, pace=pace)
