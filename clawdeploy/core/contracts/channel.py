"""A chat network that a bot can talk on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class CredentialField:
    """One credential that a channel needs, as the form shows it and as the bot receives it.

    ``name`` is the JSON field (``botToken`` is the usual first one), ``help`` says in a sentence
    where to get the value, ``variable`` is the environment variable that the bot reads.
    """

    name: str
    label: str
    help: str
    variable: str


@dataclass(frozen=True)
class CredentialForm:
    """What a credential looks like, to catch the usual mistakes before a bot stays silent.

    ``pattern`` is a regular expression that a whole value matches; ``mistakes`` are patterns of values that
    do not, each with the sentence that says what went wrong. The first that matches is said, so that the last
    one is ``.*``.
    """

    pattern: str
    mistakes: tuple[tuple[str, str], ...]

    def complaint(self, value: str) -> str | None:
        """Return what is wrong with a value, or ``None``. A sentence never repeats the value."""
        if re.fullmatch(self.pattern, value):
            return None
        return next(said for form, said in self.mistakes if re.fullmatch(form, value, re.DOTALL))

    def check(self, field: str, credentials: Mapping[str, str]) -> dict[str, str]:
        """Check one of the given credentials, in the shape that ``Channel.check`` answers with."""
        complaint = self.complaint(credentials[field]) if field in credentials else None
        return {field: complaint} if complaint else {}


class Channel(Protocol):
    """What is particular to one chat network.

    ``bot_config`` is what the bot's own configuration says about the channel, as JSON values.
    """

    name: str
    label: str
    help: str
    credential_fields: tuple[CredentialField, ...]
    bot_config: Mapping[str, object]

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        """Look at the form of the given credentials (field name to value), without a network.

        Returns a sentence for each field that is certainly wrong; empty when all may be right.
        """
