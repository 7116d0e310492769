"""The client address of a request: the TCP peer, or what a trusted proxy says in X-Forwarded-For."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import lru_cache

from sse_app.base.asgi import Scope, header_values

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> list[Network]:
    """The networks of a list of addresses, networks and names, separated by commas; ValueError for anything else."""
    return [network for part in text.split(",") if part for network in _networks(part)]


def _networks(part: str) -> list[Network]:
    if not _NAME.fullmatch(part):
        return [ipaddress.ip_network(part)]
    try:
        found = socket.getaddrinfo(part, None, type=socket.SOCK_STREAM)
    except OSError:
        raise ValueError(f"{part}: this name does not resolve") from None
    return [ipaddress.ip_network(address[0]) for *_, address in found]


def client_address(scope: Scope, trusted: Iterable[Network]) -> str:
    """The address by which limits count a client: its IPv4 address, or its IPv6 /64, because one site has all of it.

    X-Forwarded-For counts only from a trusted proxy, or over a Unix socket, which only a proxy can open. Of several
    values the last one counts, because the proxy itself has written it.
    """
    client = scope.get("client")
    peer = _parsed(client[0]) if client else None
    address = peer
    if peer is None or any(peer in network for network in trusted):
        forwarded = header_values(scope, b"x-forwarded-for")
        if forwarded:
            address = _parsed(forwarded[-1].decode("latin-1").rpartition(",")[2].strip()) or peer
    return "unknown" if address is None else _counted_as(address)


@lru_cache(maxsize=4096)
def _counted_as(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


@lru_cache(maxsize=4096)  # of about 200 bytes each: to parse an address takes as long as to read a small publish
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
