"""How every command of the command line ends: with an exit code to trust, and with a sentence, never a traceback."""

import errno
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from clawdeploy.core.errors import ClawDeployError, InvalidInput
from clawdeploy.core.logs import shown

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

EXIT_CODES = "Exit codes: 0 done; 1 not done, standard error says why; 2 called wrongly."

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    """Print what a command found, for programs."""
    click.echo(json.dumps(value, indent=2))


class CommandLine(click.Group):
    """The top of the command line; ``click.Context.obj`` is the ``Opener``, closed when the command ends.

    ``plugins_failed`` says why the plugins' commands are missing.
    """

    plugins_failed: ClawDeployError | None = None

    def __init__(self, **attributes: Any) -> None:
        super().__init__(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}, **attributes)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; raises what kept the plugins from loading when it may be one of theirs."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if self.plugins_failed is not None:
                raise self.plugins_failed from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn whatever it raises into a sentence and exit code 1."""
        ctx.call_on_close(ctx.obj.close)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            raise click.ClickException(sentence(error)) from error


def sentence(error: Exception) -> str:
    """Say what went wrong, for a person; what an engine or somebody else had put into it can do a terminal no harm."""
    if isinstance(error, InvalidInput):
        return shown("; ".join(f"{field}: {' '.join(said)}" for field, said in error.errors.items()))
    if isinstance(error, ClawDeployError):
        return shown(error.for_log)
    if isinstance(error, OSError):
        return shown(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    # The message itself is left out: of an error that nobody foresaw nobody knows what is in it.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"An unexpected {type(error).__name__} in {frame.filename}, line {frame.lineno}. Please report this defect."


@contextmanager
def trustworthy_end() -> Iterator[None]:
    """See to it that this process ends with one of the exit codes that are told of, and without a traceback.

    Python ends with 120 when standard output cannot take what waits to be written, and gunicorn's parent process
    with 3 when its workers cannot start. The workers themselves, which are forked inside of the block, keep the
    codes by which their parent knows what became of them.
    """
    process = os.getpid()
    code: str | int | None = 0
    try:
        yield
    except SystemExit as ended:
        code = ended.code
    except OSError as error:
        # Help and version are printed before there is a command that could report this.
        code = f"Error: {sentence(error)}"
    if os.getpid() == process:
        if isinstance(code, int) and code not in (0, 1, 2):
            code = 1
        if not _all_is_written() and not code:
            code = "Error: What was to be printed could not be written."
    raise SystemExit(code)


def _all_is_written() -> bool:
    """Empty the buffer of standard output; what cannot be written is given up, or the interpreter would try again."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return False
    return True
