"""API tokens: ``Authorization: Bearer cd_...`` for programs, made and revoked on the command line."""

import errno
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import click

from clawdeploy.core.contracts import (
    AccountSection,
    AuthProvider,
    CredentialRecord,
    Credentials,
    CredentialStore,
    Identity,
    Opener,
)
from clawdeploy.core.errors import InvalidCredentials
from clawdeploy.core.events import CredentialIssued, CredentialRevoked
from clawdeploy.core.hookspecs import hookimpl
from clawdeploy.core.setting_values import span

KIND = "api_token"
PREFIX = "cd_"
MOST = timedelta(days=3650)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class ApiTokens:
    """Recognizes callers by a bearer token that this server issued."""

    name = "api_tokens"
    security_scheme: Mapping[str, str] = {"type": "http", "scheme": "bearer", "bearerFormat": f"{PREFIX}..."}

    def __init__(self, credentials: CredentialStore) -> None:
        self._credentials = credentials

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return the token's user; ``None`` without a bearer token that begins with ``cd_``.

        The prefix makes it ours: such a token that is unknown, expired or revoked raises
        ``InvalidCredentials``. A bearer token of another form is left to other providers.
        """
        scheme, _, value = credentials.headers.get("authorization", "").strip().partition(" ")
        value = value.strip()
        if scheme.lower() != "bearer" or not value.startswith(PREFIX):
            return None
        record = self._credentials.find(KIND, value)
        if record is None:
            raise InvalidCredentials("This API token is unknown, has expired or was revoked.")
        return Identity(record.user_id, self.name, ambient=False, credential_id=record.id)


def _lifetime(context: click.Context, parameter: click.Parameter, said: str) -> timedelta | None:
    """Read ``12h``, ``30d`` or ``never`` (``None``); a usage error says what would be right."""
    try:
        return None if said == "never" else span(MOST)(said)
    except ValueError as error:
        raise click.BadParameter(f"{said!r} is neither never nor usable: {error}.", context, parameter) from None


@click.group()
def token() -> None:
    """Make, list and revoke API tokens."""


@token.command()
@click.argument("user")
@click.option("--name", "label", default="", help="A name to recognize the token by, such as the program's.")
@click.option(
    "--expires",
    callback=_lifetime,
    metavar="12h|30d|never",
    default="90d",
    show_default=True,
    help="After how many hours or days the token stops working.",
)
@as_json
@click.pass_obj
def create(opener: Opener, user: str, label: str, expires: timedelta | None, as_json: bool) -> None:
    """Make a token for USER and print it, once; only its hash is kept."""
    platform = opener.platform()
    secret, record = platform.credentials.issue(KIND, user, prefix=PREFIX, label=label, lifetime=expires)
    platform.publish(CredentialIssued(record.created_at, opener.actor, KIND, record.user_id, record.id))
    value = secret.reveal()
    try:
        _print(json.dumps(_row(record) | {"token": value}, indent=2) if as_json else value)
    except OSError as error:
        # A token that nobody has seen helps nobody, and must not be lying about.
        _revoke(opener, record)
        why = error.strerror or type(error).__name__
        raise click.ClickException(f"The token could not be printed ({why}), so it was revoked again.") from None
    if as_json:
        return
    until = f"It expires at {_moment(record.expires_at)}." if record.expires_at else "It does not expire."
    click.echo(f"Keep this token: it is not shown again. {until} Its id, to revoke it: {record.id}", err=True)


@token.command("list")
@click.option("--user", help="Only this user's tokens.")
@as_json
@click.pass_obj
def show(opener: Opener, user: str | None, as_json: bool) -> None:
    """List the tokens that work, newest first, without their values."""
    rows = [_row(record) for record in opener.platform().credentials.list(KIND, user)]
    if as_json:
        click.echo(json.dumps({"tokens": rows}, indent=2))
    elif rows:
        _print_table([list(rows[0]), *([value or "-" for value in row.values()] for row in rows)])
    else:
        click.echo("There are no tokens. Make one with: clawdeploy token create USER", err=True)


@token.command()
@click.argument("token_id", metavar="ID")
@as_json
@click.pass_obj
def revoke(opener: Opener, token_id: str, as_json: bool) -> None:
    """End the token with this ID (see `token list`) at once."""
    known = {record.id: record for record in opener.platform().credentials.list(KIND)}
    if token_id not in known or not _revoke(opener, known[token_id]):
        raise click.ClickException(f"There is no token with the id {token_id!r}. See: clawdeploy token list")
    if as_json:
        click.echo(json.dumps({"revoked": _row(known[token_id])}, indent=2))
    else:
        click.echo(f"The token {token_id} of {known[token_id].user_id} does not work any more.", err=True)


@token.command("revoke-all")
@click.option("--user", help="Only this user's tokens; without it those of everybody.")
@as_json
@click.pass_obj
def revoke_all(opener: Opener, user: str | None, as_json: bool) -> None:
    """End all tokens at once."""
    platform = opener.platform()
    ended = platform.credentials.end_all(KIND, user)
    for record in ended:
        platform.publish(CredentialRevoked(datetime.now(UTC), opener.actor, KIND, record.user_id, record.id))
    if as_json:
        click.echo(json.dumps({"revoked": [_row(record) for record in ended]}, indent=2))
    else:
        click.echo(f"Tokens revoked: {len(ended)}.", err=True)


def _revoke(opener: Opener, record: CredentialRecord) -> bool:
    platform = opener.platform()
    if not platform.credentials.revoke(KIND, record.id):
        return False
    platform.publish(CredentialRevoked(datetime.now(UTC), opener.actor, KIND, record.user_id, record.id))
    return True


def _print(text: str) -> None:
    """Print something that must be seen; raises ``OSError`` also where there is no standard output at all."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    click.echo(text)


def _row(record: CredentialRecord) -> dict[str, str | None]:
    return {
        "id": record.id,
        "userId": record.user_id,
        "name": record.label,
        "createdAt": _moment(record.created_at),
        "expiresAt": _moment(record.expires_at),
        "lastUsedAt": _moment(record.last_used_at),
    }


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@hookimpl
def register_auth_providers(credentials: CredentialStore) -> Iterable[AuthProvider]:
    """Offer API tokens."""
    return [ApiTokens(credentials)]


@hookimpl
def register_account_sections() -> Iterable[AccountSection]:
    """Let people make and revoke their own tokens."""
    return [
        AccountSection(
            kind=KIND,
            title="API tokens",
            help="A token lets a program of yours do everything here that you can do. Treat it like a password.",
            empty="You have no API tokens. You only need one to let a program manage your bots.",
            end="Revoke",
            ended="The token was revoked and does not work any more.",
            prefix=PREFIX,
        )
    ]


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add ``token``."""
    cli.add_command(token)
