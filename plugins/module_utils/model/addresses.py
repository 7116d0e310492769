"""Addresses of the stack's network: fixed ones per service in the lower half, dynamic ones in the upper half."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

# Host numbers in the subnet. 10 to 19 belong to single services, 20 + N to replica N of the application.
SERVICE_NUMBERS = range(10, 20)
REPLICA_BASE = 20

# RFC 1918, and RFC 6598 (shared address space, as carriers and some VPNs use it).
PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
ACCEPTED_SUBNET = "a private IPv4 network such as 10.99.0.0/24"
# RFC 4193: locally assigned, with a global id of 40 bits, then 16 for the subnet.
LOCAL6 = ipaddress.IPv6Network("fd00::/8")
PREFIX6 = 64
ACCEPTED_SUBNET6 = "'' or a /64 of unique local addresses (RFC 4193) such as fd12:3456:789a::/64"
# Addresses that the engine chooses are in the upper half of the subnet's first 2^16: of the upper half of a /64 no
# engine from 20.10 to 26.1 gives any ("invalid bit range"; measured).
DYNAMIC6 = 0x8000


def parse_subnet(text: str) -> ipaddress.IPv4Network:
    """Return the network; ValueError says what is wrong with it and what is accepted."""
    if "/" not in text:
        msg = f"it has no prefix length; accepted is {ACCEPTED_SUBNET}"
        raise ValueError(msg)
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError:
        msg = f"it is not an IPv4 network; accepted is {ACCEPTED_SUBNET}"
        raise ValueError(msg) from None
    network = interface.network
    if interface.ip != network.network_address:
        msg = f"it has host bits set; accepted is {network}"
        raise ValueError(msg)
    if not any(network.subnet_of(private) for private in PRIVATE):
        msg = f"it is not private; accepted is a network inside {', '.join(map(str, PRIVATE))}"
        raise ValueError(msg)
    return network


def parse_subnet6(text: str) -> ipaddress.IPv6Network:
    """Return the network; ValueError says what is wrong with it and what is accepted."""
    try:
        interface = ipaddress.IPv6Interface(text)
    except ValueError:
        msg = f"it is not an IPv6 network; accepted is {ACCEPTED_SUBNET6}"
        raise ValueError(msg) from None
    network = interface.network
    if network.prefixlen != PREFIX6:
        msg = f"its prefix is not 64 bits long; accepted is {ACCEPTED_SUBNET6}"
        raise ValueError(msg)
    if interface.ip != network.network_address:
        msg = f"it has host bits set; accepted is {network}"
        raise ValueError(msg)
    if not network.subnet_of(LOCAL6):
        msg = f"it is not a unique local network; accepted is {ACCEPTED_SUBNET6}"
        raise ValueError(msg)
    return network


def own_subnet6(stack: str) -> str:
    """The IPv6 subnet of a stack that names none: always the same, and hardly another stack's or site's."""
    number = hashlib.sha256(stack.encode()).digest()[:5]
    return str(ipaddress.IPv6Network((b"\xfd" + number + bytes(10), PREFIX6)))


def pool6(subnet: ipaddress.IPv6Network) -> dict[str, str]:
    """The subnet with its gateway and the range for addresses that Docker chooses."""
    dynamic = ipaddress.IPv6Network((int(subnet.network_address) + DYNAMIC6, 128 - DYNAMIC6.bit_length() + 1))
    return {"subnet": str(subnet), "gateway": first_address(subnet), "ip_range": str(dynamic)}


def first_address(subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """The gateway, unless the user names another."""
    return str(subnet.network_address + 1)


def upper_half(subnet: ipaddress.IPv4Network) -> str:
    """The range for addresses that Docker chooses, unless the user names another."""
    return str(list(subnet.subnets(prefixlen_diff=1))[1])


def host_address(subnet: str, number: int) -> str:
    """The address with this host number in the subnet."""
    return str(ipaddress.IPv4Network(subnet).network_address + number)


def reserved_numbers(replicas: int) -> list[int]:
    """Host numbers that services hold, whichever of them are switched on."""
    return [*SERVICE_NUMBERS, *range(REPLICA_BASE + 1, REPLICA_BASE + replicas + 1)]


def smallest_prefix(replicas: int) -> int:
    """The longest prefix whose lower half holds every reserved number."""
    highest = reserved_numbers(replicas)[-1]
    return 32 - (highest.bit_length() + 1)


def too_small(subnet: ipaddress.IPv4Network, replicas: int) -> str:
    """Say why the subnet does not hold every reserved address in its lower half; empty where it does."""
    if subnet.prefixlen <= smallest_prefix(replicas):
        return ""
    needed = f"{replicas} replicas need host numbers up to {reserved_numbers(replicas)[-1]} in its lower half"
    return f"too small, because {needed}; accepted is /{smallest_prefix(replicas)} or larger"


def problems(subnet_text: str, gateway: str, ip_range: str, replicas: int) -> list[str]:
    """What is wrong with the network's addresses, one sentence each. Empty gateway and range stand for the defaults."""
    try:
        subnet = parse_subnet(subnet_text)
    except ValueError as error:
        return [f"network_subnet is '{subnet_text}': {error}"]
    small = too_small(subnet, replicas)
    if small:
        return [f"network_subnet is '{subnet_text}': {small}"]
    reserved = {subnet.network_address + number for number in reserved_numbers(replicas)}
    return [*_gateway_problems(subnet, gateway, reserved), *_range_problems(subnet, ip_range, reserved)]


def _gateway_problems(subnet: ipaddress.IPv4Network, text: str, reserved: set[ipaddress.IPv4Address]) -> list[str]:
    if not text:
        return []
    accepted = f"accepted is '' (which is {first_address(subnet)}) or another free address in {subnet}"
    try:
        gateway = ipaddress.IPv4Address(text)
    except ValueError:
        return [f"network_gateway is '{text}': it is not an IPv4 address; {accepted}"]
    if gateway not in subnet:
        return [f"network_gateway is '{text}': it is outside of network_subnet {subnet}; {accepted}"]
    if gateway in (subnet.network_address, subnet.broadcast_address):
        return [f"network_gateway is '{text}': it is the network's own or its broadcast address; {accepted}"]
    if gateway in reserved:
        number = int(gateway) - int(subnet.network_address)
        return [f"network_gateway is '{text}': host number {number} is reserved for a service; {accepted}"]
    return []


def _range_problems(subnet: ipaddress.IPv4Network, text: str, reserved: set[ipaddress.IPv4Address]) -> list[str]:
    if not text:
        return []
    accepted = f"accepted is '' (which is {upper_half(subnet)}) or another part of {subnet} without reserved addresses"
    try:
        ip_range = ipaddress.IPv4Network(text)
    except ValueError:
        return [f"network_ip_range is '{text}': it is not an IPv4 network; {accepted}"]
    if not ip_range.subnet_of(subnet):
        return [f"network_ip_range is '{text}': it is outside of network_subnet {subnet}; {accepted}"]
    inside = sorted(address for address in reserved if address in ip_range)
    if inside:
        return [f"network_ip_range is '{text}': it holds {inside[0]}, which is reserved for a service; {accepted}"]
    return []


def parse_any(text: str) -> ipaddress.IPv4Network | None:
    """An IPv4 network from what an engine or a kernel reports; None for IPv6 and what is no network."""
    try:
        return ipaddress.IPv4Interface(text).network
    except ValueError:
        return None


def overlap(one: str, other: str) -> bool:
    """Whether two networks, as an engine or a kernel reports them, have addresses in common."""
    try:
        first, second = (ipaddress.ip_interface(text).network for text in (one, other))
    except ValueError:
        return False
    return first.version == second.version and first.overlaps(second)  # type: ignore[arg-type]


def free_subnet6(taken: Iterable[str], first: str) -> str | None:
    """The next /64 after this one that overlaps none of the taken ones, or None within the same 2^16."""
    base = ipaddress.IPv6Interface((ipaddress.IPv6Network(first).network_address, PREFIX6)).network
    taken = list(taken)
    for number in range(1, 2**16):
        candidate = str(ipaddress.IPv6Network((int(base.network_address) ^ (number << PREFIX6), PREFIX6)))
        if not any(overlap(candidate, one) for one in taken):
            return candidate
    return None


def free_subnet(taken: Iterable[str], prefix: int) -> str | None:
    """A private network of this size that overlaps none of the taken ones, or None."""
    networks = [network for network in map(parse_any, taken) if network is not None]
    bases = [f"10.{number}.0.0" for number in range(99, 63, -1)] + [f"172.{number}.0.0" for number in range(31, 17, -1)]
    bases += [f"192.168.{number}.0" for number in range(99, 255)]
    for base in bases:
        candidate = ipaddress.IPv4Network(f"{base}/{prefix}", strict=False)
        if str(candidate.network_address) == base and not any(candidate.overlaps(network) for network in networks):
            return str(candidate)
    return None
