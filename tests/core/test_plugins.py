"""Loading plugins: who may fail, who is told, and that installed packages take part at once."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from clawdeploy.core.bootstrap import bootstrap
from clawdeploy.core.config import Config, Setting
from clawdeploy.core.contracts import Channel, Credentials, Identity, Probe, Route, SignIn
from clawdeploy.core.errors import ConfigurationError, NotSignedIn, PluginError
from clawdeploy.core.events import Event
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.membership import OfferedRoute
from clawdeploy.core.plugins import DEFAULT_PLUGINS, PluginHost
from clawdeploy.core.settings import CORE_SETTINGS
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from clawdeploy.plugins.standin import StandIn
from clawdeploy.plugins.telegram import Telegram
from tests.core.packages import SLACK, install
from tests.core.plain_blueprint import Plain
from tests.core.surroundings import Surroundings
from tests.platforms import memory_platform

CONFIG = Config(CORE_SETTINGS, {})
NO_STORE: Any = None
NO_PLATFORM: Any = None
EVENT = Event(datetime.now(UTC), "ann")


class Fax(Telegram):
    """A channel of a plugin."""

    name = "fax"


class offers:
    """A plugin of the given hooks."""

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        for name, function in hooks.items():
            setattr(self, name, hookimpl(function))


def hosting(strict: bool = False, default: bool = False, **plugins: object) -> PluginHost:
    """Make a host of the given plugins, in this order."""
    host = PluginHost(strict=strict)
    for name, plugin in plugins.items():
        host.add(name, lambda plugin=plugin: plugin, source=f"package-{name}", default=default)  # type: ignore[misc]
    return host


def fail(*_: object, **__: object) -> Any:
    raise ValueError("it broke")


FAX = offers(register_channels=lambda: [Fax()])


# -- loading ---------------------------------------------------------------------------------------------------------


def test_the_default_plugins_are_loaded_and_well() -> None:
    reports = {report.name: report for report in PluginHost.discover({}).report() if report.default}
    assert [report.source for report in reports.values()] == list(DEFAULT_PLUGINS)
    assert all(report.hooks and not report.error for report in reports.values()), reports


def test_every_hook_has_a_shipped_member() -> None:
    from clawdeploy.core import hookspecs

    hooks = {name for name, each in vars(hookspecs).items() if hasattr(each, "clawdeploy_spec")}
    used = {hook for report in PluginHost.discover({}).report() for hook in report.hooks}
    assert used == hooks


def test_a_default_plugin_that_cannot_be_loaded_stops_the_start() -> None:
    host = PluginHost()
    with pytest.raises(PluginError) as refused:
        host.add("broken", fail, source="clawdeploy.plugins.broken", default=True)
    assert refused.value.detail == "Plugin 'broken' (clawdeploy.plugins.broken) failed: ValueError: it broke"


def test_a_third_partys_that_cannot_be_loaded_is_recorded_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    host = hosting(fax=FAX)
    host.add("broken", fail, source="package-broken 1.0")
    assert [(each.name, each.error) for each in host.report()] == [("fax", ""), ("broken", "ValueError: it broke")]
    assert list(host.channels(CONFIG)) == ["fax"]
    assert "Plugin broken failed and is left out" in caplog.text


def test_in_strict_mode_it_stops_the_start() -> None:
    with pytest.raises(PluginError, match="it broke"):
        PluginHost(strict=True).add("broken", fail, source="package-broken 1.0")


def test_a_plugin_that_is_not_there_is_recorded() -> None:
    host = PluginHost()
    host.add("absent", lambda: __import__("clawdeploy_absent"), source="clawdeploy-absent 1.0")
    assert "ModuleNotFoundError" in host.report()[0].error


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ({"register_chanels": lambda: []}, "register_chanels"),
        ({"register_channels": lambda konfig: []}, "konfig"),
    ],
)
def test_a_misspelt_hook_or_argument_is_the_plugins_failure(hooks: dict[str, Any], said: str) -> None:
    misspelt = offers(**hooks)
    with pytest.raises(PluginError, match=said):
        hosting(default=True, misspelt=misspelt)
    host = hosting(misspelt=misspelt, fax=FAX)
    assert said in host.report()[0].error
    assert list(host.channels(CONFIG)) == ["fax"], "a plugin that was left out must not spoil the next"
    assert host.report()[1].error == ""


def test_two_plugins_of_one_name_stop_the_start_naming_both() -> None:
    host = hosting(fax=FAX)
    with pytest.raises(PluginError) as refused:
        host.add("fax", lambda: FAX, source="another-package 2.0")
    assert refused.value.detail == "Two plugins are called 'fax': package-fax and another-package 2.0."


def test_a_module_without_hooks_is_fine() -> None:
    assert hosting(empty=SimpleNamespace()).report()[0].hooks == []


def test_an_implementation_takes_the_arguments_it_wants() -> None:
    seen: list[object] = []

    def register_auth_providers(credentials: object, config: object = None) -> Iterable[Any]:
        seen.extend([credentials, config])
        return []

    class Methods:
        """A plugin may be an object with methods."""

        @hookimpl
        def register_channels(self, config: Config) -> Iterable[Channel]:
            seen.append(config)
            return []

    host = hosting(one=offers(register_auth_providers=register_auth_providers), two=Methods())
    host.auth_providers(CONFIG, "the store")  # type: ignore[arg-type]
    host.channels(CONFIG)
    assert seen == ["the store", CONFIG, CONFIG]


# -- disabling -------------------------------------------------------------------------------------------------------


def test_a_disabled_plugin_is_not_loaded() -> None:
    names = [
        report.name for report in PluginHost.discover({"CLAWDEPLOY_DISABLED_PLUGINS": "telegram, discord"}).report()
    ]
    assert "telegram" not in names
    assert "discord" not in names
    assert "whatsapp" in names


def test_disabling_what_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        PluginHost.discover({"CLAWDEPLOY_DISABLED_PLUGINS": "telegram,telegraph"})
    assert refused.value.detail == "CLAWDEPLOY_DISABLED_PLUGINS names 'telegraph', but there is no such plugin."


@pytest.mark.parametrize(
    ("disabled", "setting"), [("standin", "CLAWDEPLOY_BLUEPRINT"), ("memory_runtime", "CLAWDEPLOY_RUNTIME")]
)
def test_a_platform_without_what_was_chosen_says_what_there_is(tmp_path: Path, disabled: str, setting: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        memory_platform(tmp_path, DISABLED_PLUGINS=disabled)
    assert f"{setting}=" in refused.value.detail
    assert "is not installed. There is:" in refused.value.detail


# -- members ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("default", [True, False])
def test_two_members_of_one_name_stop_the_start_naming_both(default: bool) -> None:
    host = hosting(default=default, one=FAX, two=offers(register_channels=lambda: [Fax()]))
    with pytest.raises(PluginError) as refused:
        host.channels(CONFIG)
    assert refused.value.detail == "'fax' is offered twice: by plugin 'one' and by 'two'."


def test_one_plugin_that_offers_a_name_twice_is_told() -> None:
    with pytest.raises(PluginError, match="by plugin 'one' and by 'one'"):
        hosting(one=offers(register_channels=lambda: [Fax(), Fax()])).channels(CONFIG)


@pytest.mark.parametrize(
    "hook", [fail, lambda: None, lambda: [object()], lambda: 7], ids=["raises", "none", "nameless", "number"]
)
def test_a_third_partys_hook_that_fails_is_recorded_and_left_out(hook: Callable[[], Any]) -> None:
    seen: list[Event] = []

    def remember(event: Event) -> None:
        seen.append(event)

    bad = offers(register_channels=hook, observe=remember)
    host = hosting(bad=bad, fax=FAX)
    assert list(host.channels(CONFIG)) == ["fax"]
    assert host.report()[0].error
    host.publish(EVENT)
    assert seen == [], "a plugin that is left out is asked nothing more"
    with pytest.raises(PluginError):
        hosting(default=True, bad=bad).channels(CONFIG)
    with pytest.raises(PluginError):
        hosting(strict=True, bad=bad).channels(CONFIG)


def test_members_keep_the_order_of_their_plugins(surroundings: Surroundings) -> None:
    platform = surroundings.open(plugins={"fax": FAX})
    assert [channel["name"] for channel in platform.catalog.channels()] == ["telegram", "discord", "whatsapp", "fax"]


class Provider:
    """An auth provider of a plugin, that believes a header of its own name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def authenticate(self, credentials: Credentials) -> Identity | None:
        said = credentials.headers.get(self.name)
        return Identity(said, self.name, ambient=False) if said else None


def test_every_kind_of_member_is_collected() -> None:
    host = hosting(
        one=offers(
            register_runtimes=lambda installation: [MemoryRuntime(installation)],
            register_blueprints=lambda: [StandIn("bot:1")],
            register_auth_providers=lambda: [Provider("first"), Provider("second")],
            register_routes=lambda platform: [Route("/one", platform), Route("/two", platform, "public")],
        ),
        two=FAX,
    )
    assert list(host.runtimes(CONFIG, "home")) == ["memory"]
    assert list(host.blueprints(CONFIG)) == ["standin"]
    assert [each.name for each in host.auth_providers(CONFIG, NO_STORE)] == ["first", "second"]
    assert host.routes(NO_PLATFORM) == [
        OfferedRoute("one", Route("/one", NO_PLATFORM, "user")),
        OfferedRoute("one", Route("/two", NO_PLATFORM, "public")),
    ]
    members = host.members(CONFIG, NO_STORE, "home")
    assert [list(members.runtimes), list(members.blueprints), list(members.channels)] == [
        ["memory"], ["standin"], ["fax"],
    ]  # fmt: skip
    assert [each.name for each in members.auth_providers] == ["first", "second"]


INCOMPLETE: dict[str, tuple[object, str]] = {
    "register_runtimes": (
        SimpleNamespace(name="r", ping=7),
        "The Runtime 'r' lacks profile, create(), pull()",
    ),
    "register_blueprints": (
        SimpleNamespace(name="b", label="B", description="", images=(), probe=None),
        "The Blueprint 'b' lacks stop_timeout, container().",
    ),
    "register_channels": (
        SimpleNamespace(name="c"),
        "The Channel 'c' lacks label, help, credential_fields, bot_config, check().",
    ),
    "register_auth_providers": (Provider, "The AuthProvider of class type lacks name."),
    "register_routes": (SimpleNamespace(template="/x"), "is no Route, but a SimpleNamespace."),
    "register_settings": ("CLAWDEPLOY_COLOUR", "is no Setting, but a str."),
}


def ask_for(host: PluginHost, hook: str) -> None:
    """Ask all plugins at one hook."""
    asking: dict[str, Callable[[], object]] = {
        "register_runtimes": lambda: host.runtimes(CONFIG, "home"),
        "register_blueprints": lambda: host.blueprints(CONFIG),
        "register_channels": lambda: host.channels(CONFIG),
        "register_auth_providers": lambda: host.auth_providers(CONFIG, NO_STORE),
        "register_routes": lambda: host.routes(NO_PLATFORM),
        "register_settings": lambda: host.config({}),
    }
    asking[hook]()


@pytest.mark.parametrize("hook", INCOMPLETE)
def test_a_member_that_lacks_something_is_found_when_it_is_offered(hook: str) -> None:
    """Not when somebody needs what is missing, as an error 500."""
    member, lacks = INCOMPLETE[hook]
    incomplete = offers(**{hook: lambda: [member]})
    host = hosting(incomplete=incomplete, fax=FAX)
    ask_for(host, hook)
    assert lacks in host.report()[0].error
    assert host.report()[1].error == ""
    with pytest.raises(PluginError, match="Plugin 'incomplete'"):
        ask_for(hosting(default=True, incomplete=incomplete), hook)


def test_a_way_to_sign_in_is_a_sign_in() -> None:
    odd, good = Provider("odd"), Provider("good")
    odd.sign_in, good.sign_in = "/login", SignIn()  # type: ignore[attr-defined]  # wrong on purpose
    host = hosting(
        odd=offers(register_auth_providers=lambda: [odd]), good=offers(register_auth_providers=lambda: [good])
    )
    assert host.auth_providers(CONFIG, NO_STORE) == [good]
    assert host.report()[0].error == "The AuthProvider 'odd' has a sign_in that is no SignIn."


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"probe": None}, "The Blueprint 'bad' has a probe that is no Probe."),
        (
            {"probe": Probe(deadline=float("nan"))},
            "The probe of the Blueprint 'bad' has a deadline that is no number of seconds.",
        ),
        ({"probe": Probe(timeout=0)}, "The probe of the Blueprint 'bad' has a timeout that is no number of seconds."),
        ({"stop_timeout": float("inf")}, "The Blueprint 'bad' has a stop_timeout that is no number of seconds."),
        ({"stop_timeout": "10"}, "The Blueprint 'bad' has a stop_timeout that is no number of seconds."),
    ],
)
def test_what_a_blueprint_says_of_itself_is_looked_at_when_it_is_offered(wrong: dict[str, Any], said: str) -> None:
    """Later it would fail in the midst of a sync, and no bot would be looked at any more."""
    bad, good = Plain(), Plain()
    bad.name = "bad"
    for name, value in wrong.items():
        setattr(bad, name, value)
    host = hosting(bad=offers(register_blueprints=lambda: [bad]), good=offers(register_blueprints=lambda: [good]))
    assert host.blueprints(CONFIG) == {"plain": good}
    assert host.report()[0].error == said


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_name_is_a_text(name: object) -> None:
    host = hosting(odd=offers(register_channels=lambda: [Fax()], register_auth_providers=lambda: [Provider(name)]))  # type: ignore[arg-type]
    ask_for(host, "register_auth_providers")
    assert host.report()[0].error == f"The name of a Provider must be a text, not {name!r}."


@pytest.mark.parametrize("failing", ["register_runtimes", "register_blueprints", "register_auth_providers"])
def test_a_plugin_that_fails_at_one_hook_takes_part_in_none(surroundings: Surroundings, failing: str) -> None:
    """Whether it is asked for the one before the other or after it."""
    halves: dict[str, Callable[..., Any]] = {
        "register_auth_providers": lambda: [Provider("half")],
        "register_channels": lambda: [Fax()],
    }
    whole = surroundings.open(plugins={"half": offers(**halves)})
    assert whole.authenticate(Credentials({"half": "ann"}, {})).user_id == "ann"
    platform = surroundings.open(plugins={"half": offers(**(halves | {failing: fail}))})
    assert "fax" not in platform.catalog.channel_members
    with pytest.raises(NotSignedIn):
        platform.authenticate(Credentials({"half": "ann"}, {}))


def test_one_route_offered_twice_stops_the_start() -> None:
    route = offers(register_routes=lambda: [Route("/one", object())])
    with pytest.raises(PluginError, match="'/one' is offered twice"):
        hosting(one=route, two=offers(register_routes=lambda: [Route("/one", object())])).routes(NO_PLATFORM)


# -- settings --------------------------------------------------------------------------------------------------------

COLOUR: Setting[str] = Setting("CLAWDEPLOY_COLOUR", str, "red", "A colour.")


def test_a_plugins_setting_is_known() -> None:
    host = hosting(painter=offers(register_settings=lambda: [COLOUR]))
    assert host.config({"CLAWDEPLOY_COLOUR": "blue"})[COLOUR] == "blue"
    with pytest.raises(ConfigurationError, match="CLAWDEPLOY_COLOUR is not a setting"):
        hosting().config({"CLAWDEPLOY_COLOUR": "blue"})


def test_a_setting_that_the_core_has_is_refused() -> None:
    taken: Setting[str] = Setting("CLAWDEPLOY_PORT", str, "", "Mine now.")
    with pytest.raises(PluginError) as refused:
        hosting(thief=offers(register_settings=lambda: [taken])).config({})
    assert refused.value.detail == "Plugin 'thief' offers the setting CLAWDEPLOY_PORT, which the core has already."


def test_a_setting_that_two_plugins_have_is_refused() -> None:
    with pytest.raises(PluginError, match="by plugin 'one' and by 'two'"):
        hosting(one=offers(register_settings=lambda: [COLOUR]), two=offers(register_settings=lambda: [COLOUR])).config(
            {}
        )


# -- observers, start-up and commands --------------------------------------------------------------------------------


def test_an_observer_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Event] = []

    def remember(event: Event) -> None:
        seen.append(event)

    host = hosting(one=offers(observe=fail), two=offers(observe=remember), three=offers(observe=fail))
    host.publish(EVENT)
    host.publish(EVENT)
    assert seen == [EVENT, EVENT]
    assert caplog.text.count("Plugin one failed to observe Event") == 2
    assert [report.error for report in host.report()] == ["", "", ""], "it is asked again next time"


def test_a_default_observer_that_fails_harms_nobody_either() -> None:
    hosting(default=True, strict=True, one=offers(observe=fail)).publish(EVENT)


def test_an_operation_survives_its_observers(surroundings: Surroundings) -> None:
    from tests.core.surroundings import made

    assert made(surroundings.open(plugins={"bad": offers(observe=fail)}))


def test_startup_is_told_once_to_all(surroundings: Surroundings) -> None:
    told: list[object] = []

    def remember(platform: object) -> None:
        told.append(platform)

    plugins = {"bad": offers(startup=fail), "good": offers(startup=remember)}
    platform = surroundings.open(plugins=plugins)
    assert told == []
    platform.start_background()
    assert told == [platform]


def command(name: str) -> click.Command:
    return click.Command(name, callback=lambda: None)


def test_commands_are_added() -> None:
    cli = click.Group(commands=[command("serve")])
    hosting(one=offers(register_commands=lambda cli: cli.add_command(command("dance")))).add_commands(cli)
    assert list(cli.commands) == ["serve", "dance"]


@pytest.mark.parametrize("name", ["serve", "dance"])
def test_a_command_offered_twice_stops_the_start_naming_both(name: str) -> None:
    cli = click.Group(commands=[command("serve")])
    host = hosting(
        one=offers(register_commands=lambda cli: cli.add_command(command("dance"))),
        two=offers(register_commands=lambda cli: cli.add_command(command(name))),
    )
    with pytest.raises(PluginError) as refused:
        host.add_commands(cli)
    first = "the core" if name == "serve" else "one"
    assert refused.value.detail == f"The command {name!r} is offered twice: by {first} and by two."


def test_a_third_party_that_fails_to_add_its_commands_is_left_out() -> None:
    cli = click.Group()
    host = hosting(
        bad=offers(register_commands=fail),
        good=offers(register_commands=lambda cli: cli.add_command(command("dance"))),
    )
    host.add_commands(cli)
    assert list(cli.commands) == ["dance"]
    assert host.report()[0].error


def leave(*_: object, **__: object) -> Any:
    raise SystemExit(7)


def test_a_plugin_that_wants_to_end_the_process_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    host = hosting(asked=offers(register_channels=leave), started=offers(startup=leave), seen=offers(observe=leave))
    host.add("loaded", leave, source="tests")
    host.channels(CONFIG)
    host.startup(NO_PLATFORM)
    host.publish(EVENT)
    assert {report.name: report.error for report in host.report()} == {
        "asked": "SystemExit: 7", "started": "SystemExit: 7", "seen": "", "loaded": "SystemExit: 7",
    }  # fmt: skip
    assert "Plugin seen failed to observe Event" in caplog.text
    with pytest.raises(PluginError, match="SystemExit: 7"):
        PluginHost(strict=True).add("loaded", leave, source="tests")


def test_ctrl_c_is_not_taken_for_a_failure() -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PluginHost().add("patient", interrupted, source="tests")


def test_commands_of_a_plugin_that_failed_half_way_are_left_out() -> None:
    def half(cli: click.Group) -> None:
        cli.add_command(command("dance"))
        raise ValueError("it broke")

    cli = click.Group(commands=[command("serve")])
    hosting(bad=offers(register_commands=half)).add_commands(cli)
    assert list(cli.commands) == ["serve"]


def test_failures_that_say_what_is_wrong_are_quoted() -> None:
    def refuse() -> Any:
        raise ConfigurationError("CLAWDEPLOY_COLOUR is needed.")

    host = hosting(one=offers(register_channels=refuse))
    host.channels(CONFIG)
    assert host.report()[0].error == "CLAWDEPLOY_COLOUR is needed."


# -- packages that pip installed -------------------------------------------------------------------------------------

ASK = """
import json, os, sys
from pathlib import Path
from clawdeploy.core.errors import ClawDeployError, InvalidInput
from tests.platforms import memory_platform

try:
    platform = memory_platform(Path(sys.argv[1]))
except ClawDeployError as error:
    print(json.dumps({"refused": error.detail}))
    raise SystemExit
body = {"name": "test", "model": "gpt-5.2", "channel": "slack"}
answer = {
    "channels": platform.catalog.channels(),
    "plugins": {report.name: [report.source, report.hooks, report.error] for report in platform.host.report()},
}
try:
    platform.instances.create("ann", {**body, "credentials": {"appToken": "wrong"}})
except InvalidInput as error:
    answer["errors"] = error.errors
if any(channel["name"] == "slack" for channel in answer["channels"]):
    good = {**body, "botToken": "xoxb-1", "credentials": {"appToken": "xapp-1"}}
    instance = platform.instances.create("ann", good)
    answer["instance"] = platform.instances.dump(instance)
platform.close()
print(json.dumps(answer))
"""


def ask(folder: Path, packages: Path, **environment: str) -> dict[str, Any]:
    """Start a platform in a process of its own that finds the packages, and return what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLAWDEPLOY_")}
    asked = subprocess.run(
        [sys.executable, "-c", ASK, folder / "data"],
        env={**kept, "PYTHONPATH": f"{packages}{os.pathsep}{Path(__file__).parents[2]}", **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(asked.stdout)
    return answer


def test_an_installed_channel_takes_part_at_once(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    assert "slack" not in str(ask(tmp_path, packages)["channels"])
    install(packages, "clawdeploy-slack", "slack", SLACK)
    answer = ask(tmp_path, packages)
    assert answer["plugins"]["slack"] == ["clawdeploy-slack 1.0 (clawdeploy_slack)", ["register_channels"], ""]
    (slack,) = [channel for channel in answer["channels"] if channel["name"] == "slack"]
    assert [field["name"] for field in slack["credentialFields"]] == ["botToken", "appToken"]
    assert answer["errors"] == {"appToken": ["An app token begins with xapp-."]}
    assert answer["instance"]["status"] == "running"
    assert (answer["instance"]["botToken"], answer["instance"]["credentials"]) == ("***", {"appToken": "***"})


def test_an_installed_package_that_fails_is_recorded_and_in_strict_mode_stops(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    install(packages, "clawdeploy-broken", "broken", "raise RuntimeError('half an update')")
    answer = ask(tmp_path, packages)
    source, hooks, error = answer["plugins"]["broken"]
    assert (source, hooks) == ("clawdeploy-broken 1.0 (clawdeploy_broken)", [])
    assert "half an update" in error
    environment = {"CLAWDEPLOY_DISABLED_PLUGINS": "broken"}
    assert "broken" not in run_discover(packages, **environment)
    assert "half an update" in run_discover(packages, CLAWDEPLOY_STRICT_PLUGINS="yes")


def run_discover(packages: Path, **environment: str) -> str:
    """Load all plugins in a process of its own and return the names, or what stopped it."""
    code = (
        "import os\n"
        "from clawdeploy.core.plugins import PluginHost, PluginError\n"
        "try: print([report.name for report in PluginHost.discover(os.environ).report()])\n"
        "except PluginError as error: print(error.detail)"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLAWDEPLOY_")}
    environment = {**kept, "PYTHONPATH": str(packages), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def test_an_installed_package_cannot_take_a_default_plugins_name(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    install(packages, "clawdeploy-telegram", "telegram", SLACK)
    said = run_discover(packages)
    assert "Two plugins are called 'telegram': clawdeploy.plugins.telegram and clawdeploy-telegram 1.0" in said


def test_a_host_can_be_used_for_one_platform_after_the_other(tmp_path: Path) -> None:
    environment = {"CLAWDEPLOY_DATA_DIR": str(tmp_path), "CLAWDEPLOY_RUNTIME": "memory"}
    host = PluginHost.discover(environment)
    for _ in range(2):
        bootstrap(host.config(environment), host).close()


def test_nothing_is_logged_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    PluginHost.discover({})
    assert caplog.text == ""
