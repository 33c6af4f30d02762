"""The command that reads the audit trail."""

import dataclasses
from datetime import timedelta
from typing import Any

import click

from clawdeploy.command_line import as_json, print_json
from clawdeploy.core.answers import timestamp
from clawdeploy.core.audit import AuditEntry
from clawdeploy.core.logs import printable
from clawdeploy.core.opener import Opener
from clawdeploy.core.platform import Platform
from clawdeploy.core.setting_values import span

MOST_ENTRIES = 100_000
LONGEST = timedelta(days=3650)


def _since(context: click.Context, parameter: click.Parameter, said: str | None) -> timedelta | None:
    try:
        return None if said is None else span(LONGEST)(said)
    except ValueError as error:
        raise click.BadParameter(f"{said!r} cannot be used: {error}.", context, parameter) from None


@click.command()
@click.option("--user", help="Only what concerns this user.")
@click.option("--since", callback=_since, metavar="12h|30d", help="Only what was done in these last hours or days.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_ENTRIES),
    default=100,
    show_default=True,
    help="How many entries to show at most, the newest ones.",
)
@as_json
@click.pass_obj
def audit(opener: Opener, user: str | None, since: timedelta | None, limit: int, as_json: bool) -> None:
    """Show who signed in or failed to, made or revoked tokens, or did an operator's work; the newest last."""
    platform: Platform = opener.platform()
    moment = platform.clock() - since if since else None
    entries = platform.audit.newest(limit, user_id=user, since=moment)[::-1]
    if as_json:
        print_json({"entries": [_members(entry) for entry in entries]})
        return
    for entry in entries:
        shown = [value or "-" for value in _members(entry).values()]
        click.echo("  ".join(printable(value) for value in shown))
    if not entries:
        click.echo("There are no entries.", err=True)


def _members(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as JSON values; what is not known is ``None``."""
    values = {**dataclasses.asdict(entry), "at": timestamp(entry.at)}
    names = {"user_id": "userId"}
    return {names.get(name, name): value or None for name, value in values.items()}
