"""Whose request it is: the peer, or what a trusted proxy says of it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> list[Network]:
    """Addresses, networks and the addresses of names, separated by commas; ValueError for anything else."""
    return [network for part in text.split(",") if part for network in _networks(part)]


def _networks(part: str) -> list[Network]:
    if not _NAME.fullmatch(part):
        return [ipaddress.ip_network(part)]
    try:
        found = socket.getaddrinfo(part, None, type=socket.SOCK_STREAM)
    except OSError:
        raise ValueError(f"{part}: no such name") from None
    return [ipaddress.ip_network(address[0]) for *_, address in found]


def client(scope: MutableMapping[str, Any], trusted: list[Network]) -> str:
    """The client as limits count it: an IPv4 address, or the /64 that one IPv6 site has all of.

    X-Forwarded-For counts only where the peer is a trusted proxy, or a Unix socket, which only a proxy can open; of
    several values the last one, which the proxy itself has written.
    """
    peer = _parsed(scope["client"][0]) if scope.get("client") else None
    address = peer
    if peer is None or any(peer in network for network in trusted):
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if forwarded:
            address = _parsed(forwarded[-1].decode("latin-1").rpartition(",")[2].strip()) or peer
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return "unknown" if address is None else str(address)


@lru_cache(maxsize=4096)  # of some 200 bytes each: parsing one takes as long as reading a small publish
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
