"""The commands of local sign-in: ``sign-in`` makes a link, ``session`` looks after what links have opened."""

import json
from datetime import UTC, datetime

import click

from clawdeploy.core.contracts import CredentialRecord, Opener
from clawdeploy.plugins.local_auth.sessions import LINK_LIFETIME, Sessions

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("sign-in")
@click.argument("user")
@as_json
@click.pass_obj
def sign_in(opener: Opener, user: str, as_json: bool) -> None:
    """Print a link that signs a browser in as USER, once, within 10 minutes.

    The link begins with CLAWDEPLOY_PUBLIC_ORIGIN, or else with http://CLAWDEPLOY_HOST:CLAWDEPLOY_PORT.
    """
    platform = opener.platform()
    if not platform.sign_in.fallback:
        raise click.ClickException("People sign in to this server in another way, so a link would let nobody in.")
    url, record = Sessions(platform).make_link(user, opener.actor)
    if as_json:
        expires = record.created_at + LINK_LIFETIME
        click.echo(json.dumps({"url": url, "userId": record.user_id, "expiresAt": _moment(expires)}, indent=2))
    else:
        click.echo(url)


@click.group()
def session() -> None:
    """List and end the sessions of browsers that signed in by a link."""


@session.command("list")
@click.option("--user", help="Only this user's sessions.")
@as_json
@click.pass_obj
def show(opener: Opener, user: str | None, as_json: bool) -> None:
    """List the sessions that are open, newest first."""
    rows = [_row(record) for record in Sessions(opener.platform()).list(user)]
    if as_json:
        click.echo(json.dumps({"sessions": rows}, indent=2))
    for row in [] if as_json else rows:
        click.echo("  ".join(value or "-" for value in row.values()))
    if not rows and not as_json:
        click.echo("There are no sessions.", err=True)


@session.command()
@click.argument("session_id", metavar="ID")
@as_json
@click.pass_obj
def end(opener: Opener, session_id: str, as_json: bool) -> None:
    """Sign out the browser with this session ID (see `session list`) at once."""
    ended = Sessions(opener.platform()).revoke(session_id, opener.actor)
    if ended is None:
        raise click.ClickException(f"There is no session with the id {session_id!r}. See: clawdeploy session list")
    if as_json:
        click.echo(json.dumps({"ended": _row(ended)}, indent=2))
    else:
        click.echo(f"The session {session_id} of {ended.user_id} is over.", err=True)


@session.command("end-all")
@click.option("--user", help="Only this user's sessions; without it those of everybody.")
@as_json
@click.pass_obj
def end_all(opener: Opener, user: str | None, as_json: bool) -> None:
    """Sign out every browser at once, and end the sign-in links that were not used yet.

    API tokens go on working: see `token revoke-all`.
    """
    ended = Sessions(opener.platform()).end_all(user, opener.actor)
    if as_json:
        click.echo(json.dumps({"ended": [_row(record) for record in ended]}, indent=2))
    else:
        click.echo(f"Sessions ended: {len(ended)}.", err=True)


def _row(record: CredentialRecord) -> dict[str, str | None]:
    return {
        "id": record.id,
        "userId": record.user_id,
        "browser": record.label,
        "createdAt": _moment(record.created_at),
        "expiresAt": _moment(record.expires_at),
        "lastUsedAt": _moment(record.last_used_at),
    }


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None
