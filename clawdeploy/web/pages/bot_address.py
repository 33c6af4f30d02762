"""Where an owner opens a bot's own page."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import falcon

from clawdeploy.core.config import Config
from clawdeploy.core.contracts import Instance
from clawdeploy.core.instances import Instances
from clawdeploy.core.settings import PUBLIC_ORIGIN


class BotAddresses:
    """Addresses of bots for links on our pages.

    A browser sends the cookies of our pages to every port of their host. A bot is somebody else's program, and the
    machine has two names for itself: so on the machine itself, bots are called by the one that our pages are not.
    """

    def __init__(self, config: Config, instances: Instances) -> None:
        self._public_host = urlsplit(config[PUBLIC_ORIGIN]).hostname
        self._instances = instances

    def address(self, req: falcon.Request, instance: Instance) -> str | None:
        """Return where a bot's page is, for whoever looks at the page that was requested; ``None`` when it has none."""
        found = self._instances.address(instance)
        if found is None:
            return None
        parts = urlsplit(found)
        is_own_name = parts.hostname in (self._public_host, req.host)
        if is_own_name and ip_address(parts.hostname or "").is_loopback:
            return parts._replace(netloc=f"localhost:{parts.port}").geturl()
        return found
