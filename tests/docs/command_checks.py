"""The checks of what is told about the command line and the scripts."""

import re
from collections.abc import Iterator, Mapping

import click

from clawdeploy.command_line import EXIT_CODES
from tests.docs.comparing import all_quoted, column, compare
from tests.docs.facts import Facts
from tests.docs.markdown import headings, rows, section

HELP_OPTIONS = ["-h", "--help"]


def commands(text: str, facts: Facts) -> Iterator[str]:
    """Every command with its arguments and options, in the words of its own help, and every exit code."""
    told = [heading.strip("`") for heading in headings(text) if re.match("`.*clawdeploy", heading)]
    yield from compare(told, facts.commands, "The command")
    yield from compare(column(text, "exit code"), re.findall(r"(\d) ", EXIT_CODES), "The exit code")
    for path in facts.commands.keys() & set(told):
        part = section(text, f"`{path}`")
        yield from _options(path, facts.commands[path], [row for row in rows(part) if "option" in row])
        summary = _plain((facts.commands[path].help or "").split("\n\n")[0])
        if summary not in _plain(part):
            yield f"{path} is described in other words than in its help: {summary}"


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def _options(path: str, command: click.Command, table: list[dict[str, str]]) -> Iterator[str]:
    parameters = command.get_params(click.Context(command, help_option_names=HELP_OPTIONS))
    real = {name: it for it in parameters if isinstance(it, click.Option) for name in it.opts}
    # Every command has the options for help; they are told of once.
    wanted = [name for name in real if path == "clawdeploy" or name not in HELP_OPTIONS]
    told: list[tuple[str, Mapping[str, str]]] = [
        (name.split()[0], row) for row in table for name in all_quoted(row["option"])
    ]
    yield from compare([name for name, _ in told], wanted, f"{path}: the option")
    for name, row in told:
        if name in real and not row["meaning"].startswith(real[name].help or "?"):
            yield f"{path} {name} is explained in other words than in its help"


def scripts(text: str, facts: Facts) -> Iterator[str]:
    """Every script that a person may start, with its options."""
    told = [heading.strip("`") for heading in headings(text) if re.match("`.*scripts/", heading)]
    yield from compare(told, facts.scripts, "The script")
    for name in facts.scripts.keys() & set(told):
        cells = [row["option"] for row in rows(section(text, f"`{name}`")) if "option" in row]
        options = [option.split()[0] for cell in cells for option in all_quoted(cell)]
        yield from compare(options, facts.scripts[name], f"{name}: the option")
