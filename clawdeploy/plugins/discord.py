"""Discord: a bot of an application in the Developer Portal, reached with its token."""

from collections.abc import Iterable, Mapping

from clawdeploy.core.contracts import Channel, CredentialField, CredentialForm
from clawdeploy.core.hookspecs import hookimpl

# The application id in base64, a time stamp and a signature. The lengths grew over the years,
# so that only a minimum of each is asked for.
TOKEN = CredentialForm(
    r"[A-Za-z0-9_-]{18,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{20,}",
    (
        (r"(?i:bot)\s.*", "Leave out the word “Bot” in front: only the token itself belongs here."),
        (r".*\s.*", "The token contains a space or a line break. Copy it again, only the token itself."),
        (
            r"[0-9]+",
            "This is the application id, not the token. The Developer Portal shows the token under Bot, Reset Token.",
        ),
        (r"[0-9a-f]{64}", "This is the application's public key, not the token. Get the token under Bot, Reset Token."),
        (
            r"[A-Za-z0-9_-]{32}",
            "This looks like the client secret of OAuth2, not the token. Get the token under Bot, Reset Token.",
        ),
        (
            r".*",
            "This is not a whole Discord bot token. One has three parts with dots between, about 70 characters in all.",
        ),
    ),
)


class Discord:
    """The Discord network."""

    name = "discord"
    label = "Discord"
    help = "Your bot answers in Discord direct messages and servers."
    credential_fields: tuple[CredentialField, ...] = (
        CredentialField(
            name="botToken",
            label="Bot Token",
            help="In the Developer Portal (discord.com/developers/applications) open your application, then Bot, "
            "then Reset Token; it is not the application id.",
            variable="DISCORD_BOT_TOKEN",
        ),
    )
    bot_config: Mapping[str, object] = {"enabled": True, "dmPolicy": "pairing"}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:
        """Refuse what cannot be a bot token: three URL-safe parts with dots between them."""
        return TOKEN.check("botToken", credentials)


@hookimpl
def register_channels() -> Iterable[Channel]:
    """Offer Discord."""
    return [Discord()]
