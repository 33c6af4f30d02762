"""The command that makes a sign-in link."""

import json

import click

from clawdeploy.core.contracts import Opener
from clawdeploy.plugins.local_auth.sessions import LINK_LIFETIME, Sessions


@click.command("sign-in")
@click.argument("user")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def sign_in(opener: Opener, user: str, as_json: bool) -> None:
    """Print a link that signs a browser in as USER, once, within 15 minutes.

    The link begins with CLAWDEPLOY_PUBLIC_ORIGIN, or else with http://CLAWDEPLOY_HOST:CLAWDEPLOY_PORT.
    """
    platform = opener.platform()
    if not platform.sign_in.fallback:
        raise click.ClickException("People sign in to this server in another way, so a link would let nobody in.")
    url, record = Sessions(platform).make_link(user, opener.actor)
    if as_json:
        expires = record.created_at + LINK_LIFETIME
        moment = expires.isoformat(timespec="seconds").replace("+00:00", "Z")
        click.echo(json.dumps({"url": url, "userId": record.user_id, "expiresAt": moment}, indent=2))
    else:
        click.echo(url)
