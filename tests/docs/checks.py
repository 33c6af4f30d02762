"""The checks: each compares one kind of thing in a document with the facts, in both directions, and complains."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from clawdeploy.core.config import Setting
from tests.docs.command_checks import commands, scripts
from tests.docs.comparing import all_quoted, column, compare
from tests.docs.facts import Facts
from tests.docs.markdown import ROOT, code, headings, quoted, rows, section

NOTHING = "none"


def calls(text: str, facts: Facts) -> Iterator[str]:
    """The table of calls equals the router; HEAD is not in it."""
    yield from compare(column(text, "call"), {it for it in facts.routes if not it.startswith("HEAD ")}, "The call")


def pages(text: str, facts: Facts) -> Iterator[str]:
    """The table of pages and forms equals the router; HEAD is not in it."""
    yield from compare(column(text, "address"), {it for it in facts.pages if not it.startswith("HEAD ")}, "The page")


def routes(text: str, facts: Facts) -> Iterator[str]:
    """Each route has its part; HEAD is told of under the GET of the same address."""
    told = [heading.strip("`") for heading in headings(text) if re.fullmatch(r"`\w+ /.*`", heading)]
    heads = [f"HEAD {route[4:]}" for route in told if "`HEAD`" in section(text, f"`{route}`")]
    yield from compare([*told, *heads], facts.routes, "The route")


def instance_fields(text: str, facts: Facts) -> Iterator[str]:
    """Every field of an instance is told of."""
    yield from compare(column(section(text, "The instance"), "field"), facts.instance_fields, "The field")


def codes(text: str, facts: Facts) -> Iterator[str]:
    """Every error code has its status, its Retry-After, a meaning and advice."""
    yield from compare(column(text, "code"), facts.codes, "The error code")
    for row in [row for row in rows(text) if "code" in row]:
        status, seconds = facts.codes.get(quoted(row["code"]), (0, None))
        if (row["status"], row["retry after"]) != (str(status), str(seconds or "")):
            yield f"{row['code']} is answered with {status} and Retry-After {seconds}"
        if not row["meaning"] or not row["what to do"]:
            yield f"{row['code']} is not explained"
    yield from compare(column(text, "silent code"), facts.silent_codes, "The silent code")


def states(text: str, facts: Facts) -> Iterator[str]:
    """Every status, and every reason with its own sentence."""
    part = section(text, "Status and reason")
    yield from compare(column(part, "status"), facts.statuses, "The status")
    yield from compare(column(part, "reason"), facts.reasons, "The reason")
    for row in [row for row in rows(part) if "reason" in row]:
        if row["sentence"] != facts.reasons.get(quoted(row["reason"])):
            yield f"The sentence of {row['reason']} is another one"
        if not set(all_quoted(row["seen with"])) <= facts.statuses:
            yield f"{row['reason']} is said to be seen with something that is no status"


def limits(text: str, facts: Facts) -> Iterator[str]:
    """Every limit, with its number."""
    yield from compare(column(text, "limit"), facts.limits, "The limit")
    for row in [row for row in rows(text) if "limit" in row]:
        limit = facts.limits.get(quoted(row["limit"]))
        if str(limit) not in re.findall(r"\d+", row["value"]):
            yield f"The limit {row['limit']} is {limit}"


def settings(text: str, facts: Facts) -> Iterator[str]:
    """Every setting, with who adds it, its default, its help word for word, and an example that can be used."""
    yield from compare(column(text, "setting"), facts.settings, "The setting")
    for row in rows(text):
        name = quoted(row["setting"])
        if name in facts.settings:
            source, setting = facts.settings[name]
            if (row["from"], row["meaning"]) != (source, setting.help):
                yield f"{name} is added by {source} and its help is: {setting.help}"
            if not _is_default(quoted(row["default"]), setting):
                yield f"The default of {name} is {setting.default!r}"
            yield from _unusable(quoted(row["example"]), setting)


def _is_default(told: str, setting: Setting[object]) -> bool:
    if told == NOTHING:
        return not setting.default
    meant = setting.parse(told)
    return (ROOT / meant if isinstance(meant, Path) else meant) == setting.default


def _unusable(example: str, setting: Setting[object]) -> Iterator[str]:
    try:
        setting.parse(example)
    except ValueError as error:
        yield f"The example of {setting.name} cannot be used: {error}"


def hooks(text: str, facts: Facts) -> Iterator[str]:
    """Every hook has its part, with its parameters, when it is called, what it returns, and an example."""
    told = {heading: found for heading in headings(text) if (found := re.fullmatch(r"`(\w+)\((.*)\)`", heading))}
    yield from compare([found[1] for found in told.values()], facts.hooks, "The hook")
    yield from compare(column(text, "hook"), facts.hooks, "The hook in the overview")
    for row in [row for row in rows(text) if "hook" in row]:
        users = facts.hook_users.get(quoted(row["hook"]).partition("(")[0], [])
        if all_quoted(row["shipped plugins that use it"]) != users:
            yield f"{row['hook']} is used by {users}"
    for heading, (_, name, parameters) in (
        (heading, (found[0], found[1], found[2])) for heading, found in told.items()
    ):
        part = section(text, heading)
        if parameters != ", ".join(facts.hooks.get(name, [])):
            yield f"The hook {name} takes other parameters"
        yield from compare(column(part, "parameter"), facts.hooks.get(name, []), f"The parameter of {name}")
        yield from (f"{name} lacks {word}" for word in ("**Called**", "**Returns**") if word not in part)
        if not any(f"def {name}(" in block.text for block in code(part, "python")):
            yield f"{name} has no example"


def events(text: str, facts: Facts) -> Iterator[str]:
    """Every event, with its own fields."""
    yield from compare(column(text, "event"), facts.events, "The event")
    for row in [row for row in rows(text) if "event" in row]:
        if ["at", "actor", *all_quoted(row["further fields"])] != facts.events.get(quoted(row["event"])):
            yield f"The fields of {row['event']} are others"


def contracts(text: str, facts: Facts) -> Iterator[str]:
    """Every member of the contracts that plugins meet."""
    part = section(text, "What the contracts hold")
    yield from compare([heading.strip("`") for heading in headings(part)], facts.contracts, "The contract")
    for name, members in facts.contracts.items():
        yield from compare(
            [quoted(next(iter(row.values()))) for row in rows(section(part, f"`{name}`"))], members, name
        )


def doctor_checks(text: str, facts: Facts) -> Iterator[str]:
    """Every check of the doctor."""
    yield from compare(column(text, "check"), facts.doctor_checks, "The check")


CHECKS: dict[str, list[Callable[[str, Facts], Iterable[str]]]] = {
    "README.md": [calls],
    "docs/api.md": [calls, routes, instance_fields, codes, states, limits],
    "docs/pages.md": [pages],
    "docs/settings.md": [settings],
    "docs/plugin_hooks.md": [hooks, events, contracts],
    "docs/cli.md": [commands, scripts],
    "docs/operations.md": [doctor_checks],
}
