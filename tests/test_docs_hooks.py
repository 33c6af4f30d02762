"""The example of each hook in ``docs/plugin_hooks.md`` does what the document says."""

import json
import logging
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
from clawdeploy.core.contracts import Credentials, Identity, Status
from clawdeploy.core.errors import InvalidCredentials, InvalidInput, NotSignedIn
from clawdeploy.core.events import StatusChanged
from clawdeploy.core.opener import Opener
from clawdeploy.core.platform import Platform
from clawdeploy.core.plugins import PluginHost
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from clawdeploy.web.app import create_app
from tests.docs.facts import gather
from tests.docs.markdown import code, documents, section
from tests.platforms import GOOD, memory_platform

HOOKS = documents()["docs/plugin_hooks.md"]


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


def register_account_sections(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    account = with_example(folder, module).account
    me = Identity("me", "local", ambient=True)
    secret, record = account.make(me, "calendar_key", "desk", "30")
    assert secret.reveal().startswith("cal_")
    assert account.credentials(me, "calendar_key") == [record]


def register_routes(module: types.ModuleType, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    platform = with_example(folder, module)
    token, _ = platform.credentials.issue("api_token", "me", prefix="cd_")
    app = TestApp(create_app(platform))
    assert "version" in app.get("/api/version").json
    app.get("/api/who-am-i", status=401)
    signed_in = app.get("/api/who-am-i", headers={"Authorization": f"Bearer {token.reveal()}"})
    assert signed_in.json == {"userId": "me"}
    told = app.get("/api/openapi.json").json
    assert told["paths"]["/api/who-am-i"]["get"]["summary"] == "Say who is calling."
    assert told["components"]["schemas"]["Person"]["required"] == ["userId"]
    assert set(told["paths"]["/api/version"]["get"]["responses"]) == {"default"}


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
    register_account_sections,
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
