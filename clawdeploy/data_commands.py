"""The commands that look after what is stored: ``backup``, ``restore`` and ``rotate-keys``."""

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TextIO

import click

from clawdeploy.command_line import as_json, print_json
from clawdeploy.core.backup import back_up, restore
from clawdeploy.core.clock import utc_now
from clawdeploy.core.context import user
from clawdeploy.core.contracts import Secret
from clawdeploy.core.database import Database
from clawdeploy.core.opener import Opener
from clawdeploy.core.rotation import Rotated
from clawdeploy.core.settings import DATA_DIR, DATABASE_URL, SECRET_KEYS

SHORTEST_PASSPHRASE = 12
UNREADABLE = (
    "Error: The {} cannot be decrypted with any of the keys, so none was dropped. Enter it anew, or remove it, on the "
    "page of the bot, and run this again."
)

UNNOTED = (
    "Warning: The backup is good, but the audit trail does not tell of it: the database cannot be written right now, "
    "or is of another version."
)

file_argument = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
passphrase_option = click.option(
    "--passphrase-file",
    type=click.File("r", encoding="utf-8"),
    help="File with the passphrase in its first line; - for standard input. Without it the passphrase is asked for.",
)


@click.command()
@file_argument
@passphrase_option
@as_json
@click.pass_obj
def backup(opener: Opener, file: Path, passphrase_file: TextIO | None, as_json: bool) -> None:
    """Write the whole database and the keys into FILE, encrypted with a passphrase, while servers work.

    FILE must not be there yet. Only its owner can read it.
    """
    passphrase = _passphrase(passphrase_file, anew=True)
    with _database(opener) as database:
        made = back_up(database, opener.config(), file, passphrase, utc_now())
    for name in made.unreadable:
        click.echo(f"Warning: The {name} cannot be decrypted with any of the keys; the backup has it so.", err=True)
    if not made.noted:
        click.echo(UNNOTED, err=True)
    if as_json:
        print_json({"file": str(file), **dataclasses.asdict(made)})
    else:
        click.echo(f"{file} holds {made.bots} bots and {made.secrets} secrets ({made.bytes} bytes).")


@click.command("restore")
@file_argument
@passphrase_option
@click.option("--replace", is_flag=True, help="Restore it even where the database has bots, and lose them.")
@as_json
@click.pass_obj
def restore_command(opener: Opener, file: Path, passphrase_file: TextIO | None, replace: bool, as_json: bool) -> None:
    """Put what the backup FILE holds into the database, and the keys into the key file: all of it or nothing.

    Stop the server first.
    """
    passphrase = _passphrase(passphrase_file, anew=False)
    with _database(opener) as database:
        restored = restore(database, opener.config(), file, passphrase, utc_now, replace=replace)
        label = database.label
    if as_json:
        counts = {"bots": restored.bots, "secrets": restored.secrets}
        print_json({"database": label, "madeAt": restored.made_at, **counts, "keyFile": restored.key_file})
        return
    click.echo(f"{label} is as it was at {restored.made_at}: {restored.bots} bots and {restored.secrets} secrets.")
    if restored.key_file:
        click.echo(f"The keys are in {restored.key_file}.")
    click.echo("Start the server, and see with `clawdeploy gc` what was made after the backup.")
    click.echo("Tokens and sessions that were ended after it work again: see `token list` and `session list`.")


@contextmanager
def _database(opener: Opener) -> Iterator[Database]:
    """Open the database as it is: a backup must not bring it up to date, and a restore must not make one first."""
    config = opener.config()
    before = user.set(opener.actor)
    with closing(Database(config[DATABASE_URL], config[DATA_DIR])) as database:
        try:
            yield database
        finally:
            user.reset(before)


def _passphrase(file: TextIO | None, *, anew: bool) -> Secret:
    """Read the passphrase from a file, or ask for it, twice for a new one; it is never part of a command line."""
    if file is not None:
        try:
            said = file.readline().removesuffix("\n")
        except UnicodeDecodeError:
            raise click.UsageError(
                "The passphrase file holds no text: it has to be UTF-8. `openssl rand -base64 24` makes a passphrase."
            ) from None
    elif sys.stdin is not None and sys.stdin.isatty():
        said = click.prompt("Passphrase", hide_input=True, confirmation_prompt=anew, err=True)
    else:
        raise click.UsageError("There is nobody to ask for the passphrase. Give it with --passphrase-file FILE.")
    if not said or (anew and len(said) < SHORTEST_PASSPHRASE):
        raise click.UsageError(
            f"The passphrase has to have at least {SHORTEST_PASSPHRASE} characters: whoever has the file can try as "
            "many as they like. A few random words are good."
        )
    return Secret(said)


@click.command("rotate-keys")
@as_json
@click.pass_context
def rotate_keys(context: click.Context, as_json: bool) -> None:
    """Replace the key that secrets are encrypted with, and encrypt all of them anew.

    Servers may go on working meanwhile. Run it again when it was interrupted: it finishes what it began.
    """
    opener: Opener = context.obj
    platform = opener.platform()
    platform.audit.note("admin.rotate_keys")
    rotated = platform.key_rotation.run()
    if as_json:
        print_json(dataclasses.asdict(rotated))
    else:
        click.echo(f"Encrypted anew: {rotated.secrets} secrets of bots, {rotated.requests} remembered requests.")
        click.echo(_what_now(rotated))
    for name in rotated.unreadable:
        click.echo(UNREADABLE.format(name), err=True)
    context.exit(1 if rotated.unreadable else 0)


def _what_now(rotated: Rotated) -> str:
    if rotated.unreadable:
        return "Everything else is encrypted with the first key. All keys are still needed."
    if rotated.file is None:
        return (
            f"Everything is encrypted with the first key of {SECRET_KEYS.name}. Now take the others out of it, "
            "wherever it is set, and start the servers again."
        )
    if not rotated.dropped:
        return f"{rotated.file} was changed meanwhile and left as it is. Run this again."
    if not rotated.made:
        return f"{rotated.file} held several keys. It holds the first one alone now; no new one was made."
    return (
        f"{rotated.file} holds a new key, and the old one is gone. A copy of the database from before needs that one."
    )
