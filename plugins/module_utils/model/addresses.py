# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Addresses of a network: services have fixed ones in the lower half, the engine chooses others in the upper half."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Pool

# Host numbers in a subnet: 10 to 19 belong to single services, 20 + N to replica N of the application.
SERVICE_NUMBERS = range(10, 20)
REPLICA_BASE = 20

# RFC 1918, and RFC 6598 (shared address space: carriers and some VPNs use it).
PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
EXPECTED = "a private IPv4 network such as 10.99.0.0/24"
# RFC 4193: locally assigned addresses, with 40 bits that identify the site and 16 bits for the subnet.
LOCAL6 = ipaddress.IPv6Network("fd00::/8")
PREFIX6 = 64
EXPECTED6 = "'' or a /64 of unique local addresses (RFC 4193) such as fd12:3456:789a::/64"
# In IPv6, the engine chooses in the upper half of the first 2^16 addresses: no engine from 20.10 to 26.1 takes the
# upper half of a /64 ("invalid bit range"; measured).
DYNAMIC6 = 0x8000


def parse_subnet(text: str) -> ipaddress.IPv4Network:
    """Return the network; ValueError says what is wrong with it and what was expected."""
    if "/" not in text:
        raise ValueError(f"it has no prefix length; expected {EXPECTED}")
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError:
        raise ValueError(f"it is not an IPv4 network; expected {EXPECTED}") from None
    network = interface.network
    if interface.ip != network.network_address:
        raise ValueError(f"it has host bits set; expected {network}")
    if not any(network.subnet_of(private) for private in PRIVATE):
        raise ValueError(f"it is not private; expected a network inside {', '.join(map(str, PRIVATE))}")
    return network


def parse_subnet6(text: str) -> ipaddress.IPv6Network:
    """Return the network; ValueError says what is wrong with it and what was expected."""
    try:
        interface = ipaddress.IPv6Interface(text)
    except ValueError:
        raise ValueError(f"it is not an IPv6 network; expected {EXPECTED6}") from None
    network = interface.network
    if network.prefixlen != PREFIX6:
        raise ValueError(f"its prefix is not 64 bits long; expected {EXPECTED6}")
    if interface.ip != network.network_address:
        raise ValueError(f"it has host bits set; expected {network}")
    if not network.subnet_of(LOCAL6):
        raise ValueError(f"it is not a unique local network; expected {EXPECTED6}")
    return network


def own_subnet6(stack: str) -> str:
    """Return the IPv6 subnet of a stack that names none: always the same one, and most likely nobody else's."""
    number = hashlib.sha256(stack.encode()).digest()[:5]
    return str(ipaddress.IPv6Network((b"\xfd" + number + bytes(10), PREFIX6)))


def pool(subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Pool:
    """Return the subnet with the gateway and the range that it has unless the user names others."""
    return {"subnet": str(subnet), "gateway": first_address(subnet), "ip_range": dynamic_range(subnet)}


def first_address(subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """Return the gateway, unless the user names another."""
    return str(subnet.network_address + 1)


def dynamic_range(subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """Return the range that the engine chooses addresses from, unless the user names another."""
    if isinstance(subnet, ipaddress.IPv4Network):
        return str(list(subnet.subnets(prefixlen_diff=1))[1])
    return str(ipaddress.IPv6Network((int(subnet.network_address) + DYNAMIC6, 128 - DYNAMIC6.bit_length() + 1)))


def reserved_numbers(replicas: int) -> list[int]:
    """Return the host numbers that services hold, whether they are switched on or not."""
    return [*SERVICE_NUMBERS, *range(REPLICA_BASE + 1, REPLICA_BASE + replicas + 1)]


def too_small(subnet: ipaddress.IPv4Network, replicas: int) -> str:
    """Say why the lower half of a subnet does not hold every reserved address; empty where it does."""
    highest = reserved_numbers(replicas)[-1]
    prefix = 32 - (highest.bit_length() + 1)  # the longest that does
    if subnet.prefixlen <= prefix:
        return ""
    return (
        f"it is too small: {replicas} replicas need host numbers up to {highest} in its lower half; "
        f"expected /{prefix} or larger"
    )


def parse_any(text: str) -> ipaddress.IPv4Network | None:
    """Parse what an engine or a kernel reports; None for IPv6 and for what is no network."""
    try:
        return ipaddress.IPv4Interface(text).network
    except ValueError:
        return None


def overlap(one: str, other: str) -> bool:
    """Tell whether two networks, as an engine or a kernel reports them, have addresses in common."""
    try:
        first, second = (ipaddress.ip_interface(text).network for text in (one, other))
    except ValueError:
        return False
    return first.version == second.version and first.overlaps(second)  # type: ignore[arg-type]  # one version


def free_subnet6(taken: Iterable[str], first: str) -> str | None:
    """Return the next /64 after this one that overlaps no taken one, or None within the same 2^16 subnets."""
    base = ipaddress.IPv6Interface((ipaddress.IPv6Network(first).network_address, PREFIX6)).network
    taken = list(taken)
    for number in range(1, 2**16):
        candidate = str(ipaddress.IPv6Network((int(base.network_address) ^ (number << PREFIX6), PREFIX6)))
        if not any(overlap(candidate, one) for one in taken):
            return candidate
    return None


def free_subnet(taken: Iterable[str], prefix: int) -> str | None:
    """Return a private network of this size that overlaps no taken one, or None."""
    networks = [network for network in map(parse_any, taken) if network is not None]
    bases = [f"10.{number}.0.0" for number in range(99, 63, -1)] + [f"172.{number}.0.0" for number in range(31, 17, -1)]
    bases += [f"192.168.{number}.0" for number in range(99, 255)]
    for base in bases:
        candidate = ipaddress.IPv4Network(f"{base}/{prefix}", strict=False)
        if str(candidate.network_address) == base and not any(candidate.overlaps(network) for network in networks):
            return str(candidate)
    return None


def ipv4_networks(networks: Iterable[str]) -> list[str]:
    """Return the networks of IPv4 among some in one order and one spelling, each once."""
    found = {ipaddress.ip_network(one) for one in networks}
    return [str(one) for one in sorted(one for one in found if isinstance(one, ipaddress.IPv4Network))]
