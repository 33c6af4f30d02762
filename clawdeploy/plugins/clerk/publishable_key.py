"""The publishable key: not secret, and it says where the instance's Frontend API is."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from ipaddress import ip_address

from clawdeploy.core.config import Misplaced

PREFIXES = {"pk_live_": True, "pk_test_": False}
HOST = re.compile(
    r"(?=.{1,253}(:|\Z))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[1-9][0-9]{0,4})?"
)


@dataclass(frozen=True)
class PublishableKey:
    """What a publishable key says.

    ``host`` is the Frontend API's host, with a port if it has an unusual one; ``live`` whether the instance is one for
    production. ``suffix`` is what tells the cookies of this instance from those of others on one domain.
    """

    text: str
    live: bool
    host: str

    @property
    def issuer(self) -> str:
        """The ``iss`` of every token of this instance."""
        return f"https://{self.host}"

    @property
    def suffix(self) -> str:
        """The end of the instance's own cookie names."""
        # Clerk chose the hash; it only tells names apart.
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).digest()
        return base64.urlsafe_b64encode(digest).decode()[:8]

    def __str__(self) -> str:
        return self.text


def publishable_key(text: str) -> PublishableKey:
    """Read a publishable key; raises ``ValueError`` with a sentence."""
    kind = next((prefix for prefix in PREFIXES if text.startswith(prefix)), "")
    encoded = text.removeprefix(kind)
    if text.startswith("sk_"):
        raise Misplaced("that is a secret key, which does not belong here: the publishable one is needed")
    if not kind or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", encoded):
        raise ValueError("it must look like pk_live_... or pk_test_..., as Clerk's dashboard shows it")
    try:
        padded = encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4)
        decoded = base64.b64decode(padded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("it is damaged; copy it anew from Clerk's dashboard") from None
    if not decoded.endswith("$") or not HOST.fullmatch(decoded[:-1].lower()):
        raise ValueError("it does not hold the name of a Frontend API; copy it anew from Clerk's dashboard")
    return PublishableKey(text, PREFIXES[kind], decoded[:-1])


def why_not_public(host: str) -> str:
    """Say why a host cannot be that of a production instance, empty when it can."""
    name = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host
    name = name.lower().strip("[]")
    try:
        ip_address(name)
    except ValueError:
        labels = name.split(".")
        # Browsers read a name whose last part is a number as an address, however it is written.
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
            return "is an address"
        if labels[-1] in ("localhost", "localdomain"):
            return "is this machine"
        return "" if len(labels) > 1 and all(labels) else "is no full name"
    return "is an address"
