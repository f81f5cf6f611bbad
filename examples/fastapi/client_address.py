"""The client's address: the peer's, or what a proxy that we trust says. Copy it with limiter.py."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class TrustedProxies:
    """The proxies in front of the application, such as "127.0.0.1, 10.0.0.0/8"; none if empty."""

    def __init__(self, setting: str) -> None:
        """Reads the setting, and fails on anything that is not an address or a network."""
        self._networks = [ip_network(word.strip()) for word in setting.split(",") if word.strip()]

    def client(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """Walks from our own end to the first address that is not a proxy's: beyond it stand the client's own words."""
        hops = [hop.strip() for line in forwarded_for for hop in line.split(",") if hop.strip()]
        address = peer
        while hops and self._holds(address):
            address = hops.pop()
        return address  # as it stands: the module reads it, and says so if it is not an address

    def _holds(self, text: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ip_address(text)
        except ValueError:
            return False
        # On a socket for both families an IPv4 proxy appears as ::ffff:10.0.0.1.
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
