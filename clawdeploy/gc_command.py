"""The command that lists and removes what is left over."""

import click

from clawdeploy.command_line import as_json, print_json
from clawdeploy.core.errors import EngineError
from clawdeploy.core.leftovers import Leftover
from clawdeploy.core.platform import Platform


@click.command()
@click.option("--yes", is_flag=True, help="Remove all of it now.")
@as_json
@click.pass_context
def gc(context: click.Context, yes: bool, as_json: bool) -> None:
    """List what is left of bots that the database does not know, and say what becomes of it."""
    platform: Platform = context.obj.platform(existing=True)
    leftovers = platform.leftovers.find()
    failed = [_not_removed(platform, each) if yes else "" for each in leftovers]
    if as_json:
        outcomes = [{"removed": yes and not said, "error": said or None} for said in failed]
        print_json({"leftovers": [each.dump() | it for each, it in zip(leftovers, outcomes, strict=True)]})
    for each, said in zip(leftovers, failed, strict=True):
        if said:
            click.echo(f"Error: {each.what} of {each.instance_id} could not be removed. {said}", err=True)
        elif not as_json:
            fate = "It was removed." if yes else each.fate
            click.echo(f"{each.instance_id}: {each.what}\n    {each.why} {fate}")
    if not leftovers and not as_json:
        click.echo("Nothing is left over.", err=True)
    context.exit(1 if any(failed) else 0)


def _not_removed(platform: Platform, leftover: Leftover) -> str:
    """Remove a leftover; says what kept it from being removed."""
    platform.audit.note("admin.gc", subject=leftover.instance_id, detail=leftover.what)
    try:
        return "" if platform.cleanup.remove(leftover) else "Its bot is being worked on; try again in a moment."
    except EngineError as error:
        return error.for_log
