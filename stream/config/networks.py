"""Where does a request come from, and through which proxies?"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def networks(found: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from texts such as ``10.0.0.0/8``; raise ``ValueError`` without quoting the text."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in found)
    except ValueError:
        raise ValueError("accepted are networks such as 10.0.0.0/8") from None


def address_of(text: str) -> Address | None:
    """Return an address, as proxies write it: maybe with a port, maybe in brackets."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def within(address: Address | None, trusted: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks."""
    return address is not None and any(address in network for network in trusted if network.version == address.version)


def sender_of(peer: str, forwarded: str, proxies: Sequence[Network]) -> Address | None:
    """Return the address of whoever sends: the last one on the way that is not one of our proxies.

    ``peer`` is the connection's address, ``forwarded`` the header ``X-Forwarded-For``, of which only what our proxies wrote
    counts.
    """
    address = address_of(peer)
    hops = forwarded[-2048:].split(",") if forwarded else []
    while hops and within(address, proxies):
        hop = address_of(hops.pop().strip())
        if hop is None:
            break
        address = hop
    return address


def client_of(peer: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """Return who sends, for counting: an address, or the IPv6 network of 64 bits, which is one sender's."""
    address = sender_of(peer, forwarded, proxies)
    if address is None:
        return ""
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
