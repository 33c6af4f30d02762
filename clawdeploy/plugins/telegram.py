"""Telegram: a bot that @BotFather made, reached with its token."""

from collections.abc import Iterable, Mapping

from clawdeploy.core.contracts import Channel, CredentialField, CredentialForm
from clawdeploy.core.hookspecs import hookimpl

TOKEN = CredentialForm(
    r"[0-9]+:[A-Za-z0-9_-]{30,}",
    (
        (r".*\s.*", "The token contains a space or a line break. Copy it again, only the token itself."),
        (r"@.*", "This is the bot's name. The token is the long line with a colon in @BotFather's message."),
        (r"[0-9]+", "This is only the number before the colon. Copy the whole token, also what comes after the colon."),
        (r"bot[0-9]+:.*", "Leave out the word “bot” in front: a token begins with its number."),
        (
            r"[0-9]+:[A-Za-z0-9_-]*",
            "The token ends too early: at least 30 characters come after the colon. Copy it again to its end.",
        ),
        (
            r".*",
            "This is not a Telegram bot token. One looks like 123456789:AAH3xyz..., with a colon after the number.",
        ),
    ),
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
            help="Write /newbot to @BotFather in Telegram (t.me/BotFather) and copy the token from the answer.",
            variable="TELEGRAM_BOT_TOKEN",
        ),
    )
    bot_config: Mapping[str, object] = {"enabled": True, "dmPolicy": "pairing"}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        """Refuse what cannot be a bot token: digits, a colon, then 30 or more URL-safe characters."""
        return TOKEN.check("botToken", credentials)


@hookimpl
def register_channels() -> Iterable[Channel]:
    """Offer Telegram."""
    return [Telegram()]
