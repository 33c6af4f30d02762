"""WhatsApp: linked by scanning a code with the phone once the bot runs, so there is no token."""

from collections.abc import Iterable, Mapping

from clawdeploy.core.contracts import Channel, CredentialField
from clawdeploy.core.hookspecs import hookimpl


class WhatsApp:
    """The WhatsApp network."""

    name = "whatsapp"
    label = "WhatsApp"
    help = "No token is needed: WhatsApp is linked by scanning a code with your phone once the bot runs."
    credential_fields: tuple[CredentialField, ...] = ()
    bot_config: Mapping[str, object] = {"dmPolicy": "pairing"}

    def check(self, credentials: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - nothing to look at
        """Find nothing: the core refuses credentials for a channel that has no fields for them."""
        return {}


@hookimpl
def register_channels() -> Iterable[Channel]:
    """Offer WhatsApp."""
    return [WhatsApp()]
