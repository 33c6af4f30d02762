"""Telegram: a bot that @BotFather made, reached with its token."""

import re
from collections.abc import Iterable, Mapping

from clawdeploy.core.contracts import Channel, CredentialField
from clawdeploy.core.hookspecs import hookimpl

_TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]{30,}")
_MISTAKES = (
    (r".*\s.*", "The token contains a space or a line break. Copy it again, only the token itself."),
    (r"@.*", "This is the bot's name. The token is the long line with a colon in @BotFather's message."),
    (r"[0-9]+", "This is only the number before the colon. Copy the whole token, also what comes after the colon."),
    (r"bot[0-9]+:.*", "Leave out the word “bot” in front: a token begins with its number."),
    (
        r"[0-9]+:[A-Za-z0-9_-]*",
        "The token ends too early: at least 30 characters come after the colon. Copy it again to its end.",
    ),
    (r".*", "This is not a Telegram bot token. One looks like 123456789:AAH3xyz..., with a colon after the number."),
)


class Telegram:
    """The Telegram network."""

    name = "telegram"
    label = "Telegram"
    help = "Your bot answers in Telegram chats."
    credential_fields: tuple[CredentialField, ...] = (
        CredentialField(
            name="botToken",
            label="Bot Token",
            help="Write /newbot to @BotFather in Telegram and copy the token from the answer.",
            variable="TELEGRAM_BOT_TOKEN",
        ),
    )
    bot_config: Mapping[str, object] = {"enabled": True, "dmPolicy": "pairing"}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        """Refuse what cannot be a bot token: digits, a colon, then 30 or more URL-safe characters."""
        token = credentials.get("botToken")
        complaint = _complaint(token) if token is not None else ""
        return {"botToken": complaint} if complaint else {}


def _complaint(token: str) -> str:
    """Say what is wrong with a token, naming the mistake when it is a usual one."""
    if _TOKEN.fullmatch(token):
        return ""
    return next(sentence for form, sentence in _MISTAKES if re.fullmatch(form, token, re.DOTALL))


@hookimpl
def register_channels() -> Iterable[Channel]:
    """Offer Telegram."""
    return [Telegram()]
