"""Where a request came from: the address of the peer, or what one of our own proxies says of it."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import falcon

FORWARDED = "X-Forwarded-For"
UNKNOWN = "unknown"


class Peers:
    """Tells peers apart by address; ``trusted`` are the networks of proxies that are believed."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = trusted

    def peer(self, req: falcon.Request) -> str:
        """Return who sent a request: an IPv4 address, or an IPv6 network of 64 bits, which one customer has whole."""
        return _bucket(self._origin(req))

    def address(self, req: falcon.Request) -> str:
        """Return the very address that a request was sent from."""
        found = self._origin(req)
        return UNKNOWN if found is None else str(found)

    def _origin(self, req: falcon.Request) -> IPv4Address | IPv6Address | None:
        """Find the address that counts.

        Each proxy adds the address that it was called from at the end of the header. What stands before the last
        address that is no proxy's may be anybody's invention.
        """
        found = _address(req.remote_addr)
        said = (req.get_header(FORWARDED) or "").split(",")
        while said and found is not None and self._is_proxy(found):
            before = _address(said.pop())
            if before is None:
                break
            found = before
        return found

    def _is_proxy(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; an IPv4 address that a socket for both kinds has written as IPv6 is one of IPv4.

    A zone, ``%eth0``, is left out: it may be any text, of any length, and is not part of who somebody is.
    """
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return (found.ipv4_mapped or IPv6Address(int(found))) if isinstance(found, IPv6Address) else found


def _bucket(address: IPv4Address | IPv6Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return UNKNOWN if address is None else str(address)
