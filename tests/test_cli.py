"""The command line: what scripts and people rely on. Exit codes are those of real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import clawdeploy
from clawdeploy.cli import command_line
from clawdeploy.command_line import CommandLine
from clawdeploy.core.contracts import Runtime
from clawdeploy.core.database import MIGRATIONS
from clawdeploy.core.errors import RuntimeFailure
from clawdeploy.core.opener import Opener
from clawdeploy.core.testing import BrokenRuntime, eventually
from clawdeploy.plugins.memory_runtime import MemoryRuntime
from tests.core.orphans import plant
from tests.platforms import GOOD, RuntimePlugin

BROKEN_SETTINGS = [
    {"CLAWDEPLOY_NOPE": "1"},
    {"CLAWDEPLOY_PORT": "eighty"},
    {"CLAWDEPLOY_RUNTIME": "nope"},
    {"CLAWDEPLOY_DATA_DIR": "/dev/null/data"},
    {"CLAWDEPLOY_DATABASE_URL": "mysql://localhost/x"},
    {"CLAWDEPLOY_SECRET_KEYS": "not-a-key"},
    {"CLAWDEPLOY_DISABLED_PLUGINS": "nope"},
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who set only a data folder; the engine is the one in memory."""
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START")
    }
    return {**kept, "CLAWDEPLOY_DATA_DIR": str(tmp_path / "data"), "CLAWDEPLOY_RUNTIME": "memory"}


def run(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "clawdeploy", *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def invoke(environment: Mapping[str, str], *arguments: str) -> click.testing.Result:
    opener = Opener(environment)
    return CliRunner().invoke(command_line(opener), arguments, obj=opener, prog_name="clawdeploy")


def every_command(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*above, name))


def commands_of(environment: Mapping[str, str]) -> dict[tuple[str, ...], click.Command]:
    return dict(every_command(command_line(Opener(environment))))


def test_these_are_the_commands(environment: dict[str, str]) -> None:
    names = {" ".join(name) for name in commands_of(environment)}
    assert names == {
        "serve", "migrate", "sync", "gc", "audit", "backup", "restore", "rotate-keys", "plugins", "doctor",
        "sign-in", "session", "session list", "session end", "session end-all",
        "token", "token create", "token list", "token revoke", "token revoke-all",
    }  # fmt: skip


def test_every_command_and_option_is_explained(environment: dict[str, str]) -> None:
    for name, command in commands_of(environment).items():
        assert command.help, name
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (name, parameter.name)
        result = invoke(environment, *name, "--help")
        assert result.exit_code == 0, name
        assert command.help.split("\n")[0].split(".")[0][:40] in " ".join(result.stdout.split()), name


def test_help_and_version(environment: dict[str, str]) -> None:
    helped = run(environment, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "Exit codes: 0 done; 1 not done, standard error says why; 2 called wrongly." in helped.stdout
    assert run(environment, "-h").stdout == helped.stdout
    assert run(environment, "--version").stdout == f"ClawDeploy, version {clawdeploy.__version__}\n"


def test_help_makes_nothing(environment: dict[str, str]) -> None:
    run(environment, "--help")
    run(environment, "token", "create", "--help")
    assert not Path(environment["CLAWDEPLOY_DATA_DIR"]).exists()


@pytest.mark.parametrize("broken", BROKEN_SETTINGS)
def test_with_broken_settings_help_works_and_the_rest_says_why(
    environment: dict[str, str], broken: dict[str, str]
) -> None:
    environment |= broken
    assert invoke(environment, "--help").exit_code == 0
    assert invoke(environment, "serve", "--help").exit_code == 0
    for arguments in (["migrate"], ["token", "create", "me"], ["serve"]):
        failed = invoke(environment, *arguments)
        assert (failed.exit_code, failed.stdout) == (1, ""), arguments
        assert failed.stderr.startswith("Error: ")
        assert len(failed.stderr.splitlines()) == 1, failed.stderr
    examined = run(environment, "doctor", "--json")
    assert examined.returncode == 1
    assert not json.loads(examined.stdout)["ok"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["serve", "--port", "0"],
        ["serve", "--host", "localhost"],
        ["serve", "--workers", "many"],
        ["token"],
        ["token", "create"],
        ["token", "create", "me", "--expires", "soon"],
        ["sign-in"],
        ["sync", "--nope"],
    ],
)
def test_a_wrong_call_is_2(environment: dict[str, str], arguments: list[str]) -> None:
    called = run(environment, *arguments)
    assert (called.returncode, called.stdout) == (2, "")
    assert "Usage: clawdeploy" in called.stderr
    assert "Traceback" not in called.stderr


def test_json_wherever_data_is_printed(environment: dict[str, str], tmp_path: Path) -> None:
    arguments: dict[tuple[str, ...], list[str]] = {("sign-in",): ["me"]}
    printing = [
        name
        for name, command in commands_of(environment).items()
        if any("--json" in parameter.opts for parameter in command.params)
    ]
    assert {" ".join(name) for name in printing} == {
        "migrate", "sync", "gc", "audit", "backup", "restore", "rotate-keys", "plugins", "doctor",
        "sign-in", "session list", "session end", "session end-all",
        "token create", "token list", "token revoke", "token revoke-all",
    }  # fmt: skip
    opener = Opener(environment)
    _, token = opener.platform().credentials.issue("api_token", "me")
    _, session = opener.platform().credentials.issue("session", "me")
    opener.close()
    arguments |= {("token", "create"): ["me"], ("token", "revoke"): [token.id], ("session", "end"): [session.id]}
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    kept = [str(tmp_path / "backup"), "--passphrase-file", str(passphrase)]
    arguments |= {("backup",): kept, ("restore",): kept}
    for name in printing:
        printed = invoke(environment, *name, *arguments.get(name, []), "--json")
        assert isinstance(json.loads(printed.stdout), dict), name
        assert printed.stderr == ""


def test_migrate_makes_everything_once(environment: dict[str, str]) -> None:
    first, second = run(environment, "migrate", "--json"), run(environment, "migrate", "--json")
    assert json.loads(first.stdout)["applied"] == sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
    assert json.loads(second.stdout)["applied"] == []
    assert "is up to date" in run(environment, "migrate").stdout
    folder = Path(environment["CLAWDEPLOY_DATA_DIR"])
    assert (folder / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_token_is_the_only_thing_on_standard_output(environment: dict[str, str]) -> None:
    made = run(environment, "token", "create", "me")
    assert made.stdout.startswith("cd_")
    assert made.stdout.count("\n") == 1
    assert made.stdout.strip() not in made.stderr
    unknown = run(environment, "token", "revoke", "nope")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "Error: There is no token with the id 'nope'. See: clawdeploy token list\n"


def run_into(environment: Mapping[str, str], output: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command whose standard output is led somewhere by the shell, as ``>/dev/full``."""
    command = f'"$0" -m clawdeploy "$@" {output}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, sys.executable, *arguments],
        env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("output", [">/dev/full", ">&-", "| true"], ids=["full", "closed", "broken pipe"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
def test_a_token_that_could_not_be_printed_is_revoked(
    environment: dict[str, str], output: str, options: list[str]
) -> None:
    invoke(environment, "migrate")
    failed = run_into(environment, output, "token", "create", "me", *options)
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: The token could not be printed (")
    assert "so it was revoked" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert json.loads(invoke(environment, "token", "list", "--json").stdout) == {"tokens": []}


@pytest.mark.parametrize(
    "arguments", [["plugins"], ["doctor"], ["migrate"], ["sign-in", "me"], ["--help"], ["--version"]]
)
def test_what_cannot_be_printed_is_1_and_a_sentence(environment: dict[str, str], arguments: list[str]) -> None:
    failed = run_into(environment, ">/dev/full", *arguments)
    assert (failed.returncode, failed.stderr) == (1, "Error: No space left on device\n")


def test_what_was_written_without_a_flush_counts_too(environment: dict[str, str], tmp_path: Path) -> None:
    code = """
import click
from clawdeploy.core.hookspecs import hookimpl

@hookimpl
def register_commands(cli):
    cli.add_command(click.Command("greet", callback=lambda: print("hello"), help="Say hello."))
"""
    failed = run_into(environment | install(tmp_path, "greeter", code), ">/dev/full", "greet")
    assert (failed.returncode, failed.stderr) == (1, "Error: What was to be printed could not be written.\n")


@pytest.mark.parametrize(
    ("code", "ending"),
    [("0", 0), ("None", 0), ("1", 1), ("2", 2), ("3", 1), ("-1", 1), ("'Error: so.'", 1)],
)
def test_only_the_exit_codes_that_are_told_of_leave_the_process(code: str, ending: int) -> None:
    source = f"from clawdeploy.command_line import trustworthy_end\nwith trustworthy_end(): raise SystemExit({code})"
    assert subprocess.run([sys.executable, "-c", source], check=False, timeout=60).returncode == ending


def test_a_forked_server_process_keeps_its_own_code() -> None:
    source = """
import os
from clawdeploy.command_line import trustworthy_end
try:
    with trustworthy_end():
        worker = os.fork()
        if not worker:
            raise SystemExit(3)
except SystemExit:
    if not worker:
        raise
print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert done.stdout == "3\n"


def test_nobody_else_can_read_what_is_made(environment: dict[str, str], tmp_path: Path) -> None:
    """Also where the folder is not ours: a database beside other people's files, made with a usual umask."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    environment["CLAWDEPLOY_DATABASE_URL"] = f"sqlite:///{shared}/bots.db"
    before = os.umask(0o022)
    try:
        made = run(environment, "token", "create", "me")
    finally:
        os.umask(before)
    assert made.returncode == 0, made.stderr
    modes = {path.name: path.stat().st_mode & 0o077 for path in shared.iterdir()}
    assert "bots.db" in modes
    assert set(modes.values()) == {0}, modes


def test_an_impossible_user_is_told_what_is_wrong(environment: dict[str, str]) -> None:
    failed = run(environment, "token", "create", " ")
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: user: It must be 1 to 100 printable characters")


def test_sync_records_what_diverged(environment: dict[str, str]) -> None:
    opener = Opener(environment)
    instance = opener.platform().instances.create("me", GOOD)
    assert instance.status == "running"
    opener.close()
    # The memory engine ended with its process, and every container with it.
    first = run(environment, "sync", "--json")
    assert json.loads(first.stdout) == {
        "changes": [{"id": instance.id, "before": "running", "after": "error", "reason": "container_missing"}]
    }
    assert json.loads(run(environment, "sync", "--json").stdout) == {"changes": []}


def test_sync_without_an_engine_fails(environment: dict[str, str]) -> None:
    environment |= {"CLAWDEPLOY_RUNTIME": "docker", "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    invoke(environment, "migrate")
    failed = run(environment, "sync")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("Error: ")
    assert len(failed.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["sync", "gc"])
def test_what_makes_no_sense_without_a_database_makes_none(environment: dict[str, str], command: str) -> None:
    failed = invoke(environment, command)
    assert failed.exit_code == 1
    assert "is empty or not there, and none is made in its place" in failed.stderr
    assert not Path(environment["CLAWDEPLOY_DATA_DIR"], "clawdeploy.db").exists()


def gc(environment: Mapping[str, str], runtime: Runtime, *arguments: str) -> click.testing.Result:
    """Run ``gc`` on an engine that a test has furnished."""
    opener = Opener({**environment, "CLAWDEPLOY_RUNTIME": "under-test"})
    opener.host.add("furnished", lambda: RuntimePlugin(lambda installation: runtime), source="tests")
    return CliRunner().invoke(command_line(opener), ["gc", *arguments], obj=opener, prog_name="clawdeploy")


def test_gc_lists_what_is_left_over_and_removes_it_when_told(environment: dict[str, str]) -> None:
    memory = MemoryRuntime()
    invoke(environment, "migrate")
    assert (gc(environment, memory).exit_code, gc(environment, memory).output) == (0, "Nothing is left over.\n")
    plant(memory, "lost", datetime.now(UTC) - timedelta(days=1))
    plant(memory, "new", datetime.now(UTC))
    listed = gc(environment, memory)
    assert (listed.exit_code, listed.stderr) == (0, "")
    lost, fate, new, _ = listed.stdout.splitlines()
    assert lost == "lost: container lost, volume /data, secret files"
    assert fate.startswith("    No bot in the database has this id. It was made while no server used this database, ")
    assert fate.endswith("It is left alone; `clawdeploy gc --yes` removes it.")
    assert new.startswith("new: container new")
    told = json.loads(gc(environment, memory, "--json").stdout)["leftovers"]
    assert [(each["id"], each["removed"], each["error"]) for each in told] == [
        ("lost", False, None),
        ("new", False, None),
    ]
    assert len(memory.engine.containers) == 2, "listing removes nothing"
    removed = gc(environment, memory, "--yes")
    assert (removed.exit_code, removed.stderr) == (0, "")
    assert removed.stdout.splitlines()[1] == "    No bot in the database has this id. It was removed."
    assert memory.holdings() == []
    entries = json.loads(invoke(environment, "audit", "--json").stdout)["entries"]
    assert [(each["who"], each["what"], each["subject"]) for each in entries] == [
        ("cli", "admin.gc", "lost"),
        ("cli", "admin.gc", "new"),
    ]


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
def test_gc_says_what_it_could_not_remove(environment: dict[str, str], options: list[str]) -> None:
    memory = MemoryRuntime()
    invoke(environment, "migrate")
    plant(memory, "lost", datetime.now(UTC) - timedelta(days=1))
    plant(memory, "other", datetime.now(UTC))
    clinging = BrokenRuntime(memory, RuntimeFailure("It clings."), calls=("stop",))
    failed = gc(environment, clinging, "--yes", *options)
    assert failed.exit_code == 1
    assert failed.stderr.splitlines() == [
        f"Error: container {name}, volume /data, secret files of {name} could not be removed. It clings."
        for name in ("lost", "other")
    ]
    if options:
        told = json.loads(failed.stdout)["leftovers"]
        assert [(each["removed"], each["error"]) for each in told] == [(False, "It clings.")] * 2
    else:
        assert failed.stdout == ""
    assert len(memory.engine.containers) == 2
    no_engine = gc(environment, BrokenRuntime(memory), *options)
    assert (no_engine.exit_code, no_engine.stdout, no_engine.stderr) == (1, "", "Error: Docker does not answer\n")


def test_an_error_that_nobody_foresaw_shows_no_traceback_and_no_message(environment: dict[str, str]) -> None:
    opener = Opener(environment)
    commands = command_line(opener)

    @commands.command()
    def stumble() -> None:
        raise LookupError("the secret is hunter2")

    result = CliRunner().invoke(commands, ["stumble"], obj=opener)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: An unexpected LookupError in ")
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output


def test_an_error_of_the_system_is_a_sentence(environment: dict[str, str]) -> None:
    opener = Opener(environment)
    commands = command_line(opener)
    commands.add_command(click.Command("stumble", callback=lambda: Path("/nowhere/file").read_text()))
    result = CliRunner().invoke(commands, ["stumble"], obj=opener)
    assert (result.exit_code, result.stderr) == (1, "Error: No such file or directory: /nowhere/file\n")


def install(folder: Path, name: str, code: str) -> dict[str, str]:
    """Install a plugin package for a process whose environment has the returned variables."""
    (folder / f"{name}.py").write_text(code)
    about = folder / f"{name}-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[clawdeploy]\n{name} = {name}\n")
    return {"PYTHONPATH": str(folder)}


def test_commands_of_installed_plugins_join(environment: dict[str, str], tmp_path: Path) -> None:
    code = """
import click
from clawdeploy.core.hookspecs import hookimpl

@hookimpl
def register_commands(cli):
    cli.add_command(click.Command("greet", callback=lambda: click.echo("hello"), help="Say hello."))
"""
    environment |= install(tmp_path, "greeter", code)
    assert run(environment, "greet").stdout == "hello\n"
    listed = json.loads(run(environment, "plugins", "--json").stdout)["plugins"]
    greeter = next(plugin for plugin in listed if plugin["name"] == "greeter")
    assert greeter == {
        "name": "greeter",
        "source": "greeter 1.2 (greeter)",
        "default": False,
        "hooks": ["register_commands"],
        "error": "",
    }
    assert "greeter  (greeter 1.2 (greeter))" in run(environment, "plugins").stdout


def failing(hook: str) -> str:
    """Return the source of a plugin that fails when it is asked at a hook."""
    return (
        "from clawdeploy.core.hookspecs import hookimpl\n\n"
        f"@hookimpl\ndef {hook}():\n    raise RuntimeError('out of order')\n"
    )


@pytest.mark.parametrize(
    "code",
    [
        "raise RuntimeError('out of order')",
        *map(failing, ["register_channels", "register_commands", "register_auth_providers", "register_routes"]),
    ],
    ids=["loaded", "channels", "commands", "sign-in", "routes"],
)
def test_a_plugin_that_fails_is_shown_and_harms_nobody(environment: dict[str, str], tmp_path: Path, code: str) -> None:
    invoke(environment, "migrate")
    environment |= install(tmp_path, "broken", code)
    shown = run(environment, "plugins")
    assert shown.returncode == 0
    assert "FAILED: RuntimeError: out of order" in shown.stdout
    assert "Traceback" not in shown.stderr
    assert run(environment, "token", "create", "me").returncode == 0
    checks = {check["name"]: check for check in json.loads(run(environment, "doctor", "--json").stdout)["checks"]}
    assert "broken (RuntimeError: out of order)" in checks["plugins"]["found"]
    assert checks["settings"]["ok"]
    strict = run(environment | {"CLAWDEPLOY_STRICT_PLUGINS": "yes"}, "plugins")
    assert strict.returncode == 1
    assert "Traceback" not in strict.stderr


def test_plugins_makes_nothing_and_says_what_it_could_not_ask(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= install(tmp_path, "broken", failing("register_routes"))
    shown = run(environment, "plugins")
    assert "FAILED" not in shown.stdout
    assert shown.stderr.startswith("They were not asked for sign-in and routes: the database is not there yet")
    assert len(shown.stderr.splitlines()) == 1
    assert "is not there yet" in json.loads(run(environment, "plugins", "--json").stdout)["notAsked"]
    assert not Path(environment["CLAWDEPLOY_DATA_DIR"]).exists()
    run(environment, "migrate")
    assert json.loads(run(environment, "plugins", "--json").stdout)["notAsked"] is None
    key = Path(environment["CLAWDEPLOY_DATA_DIR"], "secret.key")
    key.unlink()
    assert "does not exist" in json.loads(run(environment, "plugins", "--json").stdout)["notAsked"]
    assert not key.exists()


def test_two_commands_of_one_name_are_refused(environment: dict[str, str], tmp_path: Path) -> None:
    code = """
import click
from clawdeploy.core.hookspecs import hookimpl

@hookimpl
def register_commands(cli):
    cli.add_command(click.Command("token", callback=lambda: click.echo("mine now")))
"""
    failed = run(environment | install(tmp_path, "thief", code), "token")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "The command 'token' is offered twice" in failed.stderr


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(environment: Mapping[str, str], *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Run ``serve`` for the time of the block; it must end well when asked to."""
    server = subprocess.Popen(
        [sys.executable, "-m", "clawdeploy", "serve", *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield server
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=40)
        assert server.returncode == 0, said
        assert "Traceback" not in said
    finally:
        server.kill()
        server.communicate()


def lines(server: "subprocess.Popen[str]", number: int) -> list[str]:
    assert server.stdout is not None
    return [server.stdout.readline().rstrip("\n") for _ in range(number)]


def get(address: str) -> tuple[int, str | None]:
    origin, slash, path = address.removeprefix("http://").partition("/")
    connection = HTTPConnection(origin, timeout=10)
    try:
        connection.request("GET", slash + path, headers={"Sec-Fetch-Site": "none"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Location")
    finally:
        connection.close()


def web_port_check(environment: dict[str, str]) -> str:
    """Return what ``clawdeploy doctor`` has found at the port of the server."""
    checks = json.loads(run(environment, "doctor", "--json").stdout)["checks"]
    return str(next(check["found"] for check in checks if check["name"] == "web port"))


@pytest.mark.system
def test_serve_says_where_it_is_and_how_to_get_in(environment: dict[str, str]) -> None:
    origin = f"http://127.0.0.1:{free_port()}"
    with serving(environment, "--port", origin.rpartition(":")[2], "--workers", "1", "--user", "you") as server:
        ready, database, engine, hint, link = lines(server, 5)
        assert ready == f"ClawDeploy is ready at {origin}"
        assert database == f"  Database: SQLite {environment['CLAWDEPLOY_DATA_DIR']}/clawdeploy.db"
        assert engine.startswith("  Engine:   Memory")
        assert "Sign in as 'you'" in hint
        link = link.strip()
        assert link.startswith(f"{origin}/sign-in/")
        assert get(link) == (303, "/dashboard")
        assert get(link)[0] == 410
        web_port = {"CLAWDEPLOY_PORT": origin.rpartition(":")[2]}
        assert "ClawDeploy answers" in web_port_check(environment | web_port)
        Path(environment["CLAWDEPLOY_DATA_DIR"], "clawdeploy.db").unlink()
        assert eventually(lambda: "cannot use its database" in web_port_check(environment | web_port), 10)
        taken = run(environment, "serve", "--port", origin.rpartition(":")[2])
        assert (taken.returncode, taken.stdout) == (1, "")
        assert "is in use by another program" in taken.stderr
        assert len(taken.stderr.splitlines()) == 1


@pytest.mark.system
def test_serve_goes_on_without_an_engine_and_without_local_sign_in(environment: dict[str, str]) -> None:
    environment |= {
        "CLAWDEPLOY_RUNTIME": "docker",
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
        "CLAWDEPLOY_DISABLED_PLUGINS": "local_auth",
        "CLAWDEPLOY_WORKERS": "1",
    }
    origin = f"http://127.0.0.1:{free_port()}"
    with serving(environment, "--port", origin.rpartition(":")[2]) as server:
        ready, _, engine = lines(server, 3)
        assert ready == f"ClawDeploy is ready at {origin}"
        assert engine.startswith("  Engine:   Docker: not connected - ")
        assert "clawdeploy doctor" in engine
        assert get(f"{origin}/api/health")[0] == 200
        server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        assert "sign-in" not in server.stdout.read()


def test_the_console_script_is_the_same_program() -> None:
    script = Path(sys.executable).with_name("clawdeploy")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert clawdeploy.__version__ in done.stdout


def test_the_command_line_of_a_process_without_plugins_says_why(environment: dict[str, str]) -> None:
    environment["CLAWDEPLOY_DISABLED_PLUGINS"] = "nope"
    commands = command_line(Opener(environment))
    assert isinstance(commands, CommandLine)
    assert commands.plugins_failed is not None


def test_audit_shows_who_did_what(environment: dict[str, str]) -> None:
    assert json.loads(run(environment, "audit", "--json").stdout) == {"entries": []}
    assert run(environment, "audit").stderr == "There are no entries.\n"
    token = run(environment, "token", "create", "ann", "--name", "backup").stdout.strip()
    run(environment, "sign-in", "bob")
    (record,) = json.loads(run(environment, "token", "list", "--json").stdout)["tokens"]
    run(environment, "token", "revoke", record["id"])
    run(environment, "sync")
    told = run(environment, "audit")
    assert told.returncode == 0
    assert token not in told.stdout
    lines = [line.split("  ") for line in told.stdout.splitlines()]
    assert [line[1:] for line in lines] == [
        ["cli", "api_token.made", "ann", record["id"], "-", "backup"],
        ["cli", "sign_in_link.made", "bob", lines[1][4], "-", "-"],
        ["cli", "api_token.ended", "ann", record["id"], "-", "backup"],
        ["cli", "admin.sync", "-", "-", "-", "-"],
    ]
    (newest,) = json.loads(run(environment, "audit", "--user", "ann", "--limit", "1", "--json").stdout)["entries"]
    assert {**newest, "at": ""} == {
        "at": "",
        "who": "cli",
        "what": "api_token.ended",
        "userId": "ann",
        "subject": record["id"],
        "address": None,
        "detail": "backup",
    }
    assert len(run(environment, "audit", "--since", "1h").stdout.splitlines()) == 4
    assert run(environment, "audit", "--since", "yesterday").returncode == 2
