"""A chat network that a bot can talk on."""

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
