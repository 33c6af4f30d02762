"""The command line: one of the two places that wire the parts together (``web/app.py`` is the other)."""

import dataclasses
import logging
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, TypeVar

import click

import clawdeploy
from clawdeploy.audit_command import audit
from clawdeploy.command_line import CommandLine, as_json, print_json, sentence, trustworthy_end
from clawdeploy.core import doctor as examination
from clawdeploy.core.bootstrap import bootstrap
from clawdeploy.core.clock import utc_now
from clawdeploy.core.config import Setting
from clawdeploy.core.doctor.asking import ask_all
from clawdeploy.core.errors import ClawDeployError, EngineError
from clawdeploy.core.logs import configure_command_logging, printable
from clawdeploy.core.opener import Opener
from clawdeploy.core.platform import Platform
from clawdeploy.core.settings import HOST, LOG_FORMAT, PORT, RUNTIME, WORKERS, browser_origin
from clawdeploy.data_commands import backup, restore_command, rotate_keys
from clawdeploy.gc_command import gc

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

SYNC_PATIENCE = 600.0

ABOUT = """Deploy personal OpenClaw bots.

Settings are environment variables that begin with CLAWDEPLOY_, such as CLAWDEPLOY_DATA_DIR and
CLAWDEPLOY_DATABASE_URL. Every command reads them, so give them to each in the same way.
"""


def main() -> None:
    """Run the command line with this process's arguments and environment."""
    # Whatever is made from here on (database, logs of the database, key) is nobody else's to read, wherever it lies.
    os.umask(0o077)
    configure_command_logging(os.environ.get(LOG_FORMAT.name, "").strip())
    opener = Opener(os.environ)
    try:
        commands = command_line(opener)
    except ClawDeployError as error:
        sys.exit(f"Error: {sentence(error)}")
    with trustworthy_end():
        commands(prog_name="clawdeploy", obj=opener)


def command_line(opener: Opener) -> CommandLine:
    """Return all commands: our own, and those of the plugins.

    Where plugins cannot be loaded, their commands are missing and say why when called, so that
    ``--help`` and ``doctor`` work with settings that are wrong. Raises ``PluginError`` when two
    commands have one name, because nobody could know which of them runs.
    """
    commands = CommandLine(name="clawdeploy", help=ABOUT)
    for command in (serve, migrate, sync, gc, audit, backup, restore_command, rotate_keys, plugins, doctor):
        commands.add_command(command)
    try:
        host = opener.host
    except ClawDeployError as error:
        commands.plugins_failed = error
    else:
        host.add_commands(commands)
    return click.version_option(clawdeploy.__version__, prog_name="ClawDeploy")(commands)


def _instead_of(setting: Setting[Any], option: str, meaning: str) -> Callable[[F], F]:
    """Make an option that wins over a setting and is read in the same way."""

    def check(context: click.Context, parameter: click.Parameter, said: str | None) -> str | None:
        try:
            if said is not None:
                setting.parse(said)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None
        return said

    return click.option(option, callback=check, help=f"{meaning}, instead of {setting.name}.")


@click.command()
@_instead_of(HOST, "--host", "Address to listen on")
@_instead_of(PORT, "--port", "Port to listen on")
@_instead_of(WORKERS, "--workers", "Number of server processes")
@click.option("--user", default="me", show_default=True, help="Whom the printed sign-in link is for.")
@click.pass_context
def serve(context: click.Context, host: str | None, port: str | None, workers: str | None, user: str) -> None:
    """Serve the dashboard and the REST API until Ctrl-C or SIGTERM.

    Brings the database up to date first. When the server answers, its address, a one-time sign-in
    link, the database and the engine are printed.
    """
    from clawdeploy.web.server import serve as serve_http

    opener: Opener = context.obj
    for setting, value in ((HOST, host), (PORT, port), (WORKERS, workers)):
        if value is not None:
            opener.override(setting, value)
    # Whatever keeps the workers from starting is found and told here, once, by a single process.
    opener.platform()
    opener.close()
    serve_http(
        opener.config(),
        lambda: bootstrap(opener.config(), opener.host, existing=True),
        lambda: _announce(context, user),
    )


def _announce(context: click.Context, user: str) -> None:
    """Say where the server is and how to get in, and leave nothing open."""
    opener: Opener = context.obj
    try:
        platform = opener.platform()
        click.echo(f"ClawDeploy is ready at {browser_origin(platform.config)}")
        click.echo(f"  Database: {platform.database_label}")
        click.echo(f"  Engine:   {_engine(platform)}")
        commands = context.find_root().command
        sign_in = commands.get_command(context, "sign-in") if isinstance(commands, click.Group) else None
        if sign_in is not None and platform.sign_in.fallback:
            # Said in one piece, after the log line of its making.
            with redirect_stdout(StringIO()) as link:
                context.invoke(sign_in, user=user)
            click.echo(f"  Sign in as {user!r} with this link, once, within 10 minutes:\n  {link.getvalue().strip()}")
    except ClawDeployError as error:
        click.echo(f"The announcement is not complete: {sentence(error)}", err=True)
    finally:
        opener.close()


def _engine(platform: Platform) -> str:
    try:
        info = platform.engine_info()
    except EngineError as error:
        return (
            f"{platform.config[RUNTIME].capitalize()}: not connected - {error.for_log.rstrip('.')}. "
            "Bots can be deployed once it answers; `clawdeploy doctor` says what to do."
        )
    if info.warning:
        logger.warning("%s", info.warning)
    return f"{info.name} at {info.address}"


@click.command()
@as_json
@click.pass_obj
def migrate(opener: Opener, as_json: bool) -> None:
    """Bring the database up to date; makes the database and the key file when there are none."""
    platform = opener.platform()
    applied = platform.applied_migrations
    if as_json:
        print_json({"database": platform.database_label, "applied": applied})
    else:
        click.echo(f"{platform.database_label}: {'applied ' + ', '.join(applied) if applied else 'is up to date'}")


@click.command()
@as_json
@click.pass_obj
def sync(opener: Opener, as_json: bool) -> None:
    """Compare every bot with its container now, correct the database, and print what changed."""
    platform = opener.platform(existing=True)
    platform.audit.note("admin.sync")
    changes = platform.reconciler.sync(opener.actor, patience=SYNC_PATIENCE)
    if as_json:
        print_json({"changes": changes})
        return
    for change in changes:
        reason = f" ({change['reason']})" if change["reason"] else ""
        click.echo(f"{change['id']}: was {change['before']}, is {change['after']}{reason}")
    if not changes:
        click.echo("Nothing changed.", err=True)


@click.command()
@as_json
@click.pass_obj
def plugins(opener: Opener, as_json: bool) -> None:
    """List the plugins: where each comes from, what it hooks into, and what failed.

    Each is asked for all that it offers, because some fail only then.
    """
    from clawdeploy.web.app import create_app

    unasked = ask_all(opener.config(), opener.host, utc_now, create_app)
    reports = opener.host.report()
    if as_json:
        print_json({"plugins": [dataclasses.asdict(report) for report in reports], "notAsked": unasked or None})
        return
    for report in reports:
        click.echo(f"{report.name}  ({report.source})")
        click.echo(f"    {'FAILED: ' + report.error if report.error else ', '.join(report.hooks)}")
    if unasked:
        click.echo(f"They were not asked for sign-in and routes: {unasked.rstrip('.')}.", err=True)


@click.command()
@as_json
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check what must be true, and say how to mend what is not. Exits with 1 when a check fails."""
    from clawdeploy.web.app import create_app

    checks = examination.examine(context.obj, create_app)
    well = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": well, "checks": [dataclasses.asdict(check) for check in checks]})
    else:
        for check in checks:
            click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {printable(check.found)}")
            if check.mend:
                click.echo(f"      To mend it: {check.mend}")
    context.exit(0 if well else 1)
