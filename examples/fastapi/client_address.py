"""The client's IP address: the peer's, or what a trusted proxy reports. Copy it with limiter.py."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class TrustedProxies:
    """The proxies in front of the application, such as "127.0.0.1, 10.0.0.0/8"; can be empty."""

    def __init__(self, setting: str) -> None:
        """Parses the setting, and fails on anything that is not an IP address or a network."""
        self._networks = [ip_network(word.strip()) for word in setting.split(",") if word.strip()]

    def client(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """Returns the first entry from the right that is not a proxy: the client can forge everything left of it."""
        hops = [hop.strip() for line in forwarded_for for hop in line.split(",") if hop.strip()]
        address = peer
        while hops and self._holds(address):
            address = hops.pop()
        return address  # not parsed here: the module rejects anything that is not an IP address

    def _holds(self, text: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ip_address(text)
        except ValueError:
            return False
        # On a dual-stack socket, an IPv4 proxy is ::ffff:10.0.0.1.
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
