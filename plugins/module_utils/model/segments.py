"""The networks of a stack: one for all (`single`), or segments of which a container joins those it needs (`segmented`).

Pure: converted settings in, networks out. Every network reserves the same host number for the same service.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.model import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]

SINGLE, SEGMENTED = "single", "segmented"


# In the order of their subnets; true where it is internal: no way out of the host, and no published port. The first is
# the stack's own network in either layout.
SEGMENTS = {"network": False, "app": False, "data": True, "monitoring": True, "ports": False}
FURTHER = tuple(SEGMENTS)[1:]
# A container on internal networks alone gets no published port, and no error. So one that publishes joins a bridge of
# its own, cut from the subnet of `ports`; of one that several share, a name could resolve to an address without a way.
PORTS = "ports"
OWN_PREFIX = 30  # the host's address and the container's
OWN_BITS6 = 16  # of IPv6 there is enough for a range of its own as well
DEVICE_LENGTH = 12  # the kernel takes 15 characters, three of them `br-`


def device(key: str) -> str:
    """Name a bridge so that `ip address` and firewall rules tell whose it is."""
    short = key if len(key) <= DEVICE_LENGTH else hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
    return f"br-{short[:DEVICE_LENGTH]}"


def subnets(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the subnet of every further segment: the given one, else those that follow `network_subnet`."""
    first = ipaddress.IPv4Network(settings["network_subnet"])
    given: dict[str, str] = settings.get("network_segment_subnets") or {}
    starts = {name: int(first.network_address) + index * first.num_addresses for index, name in enumerate(FURTHER, 1)}
    return {name: given.get(name) or f"{ipaddress.IPv4Address(starts[name])}/{first.prefixlen}" for name in FURTHER}


def subnets6(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the IPv6 subnet of every segment, one after the other; none where the networks have no IPv6."""
    if not settings.get("network_ipv6"):
        return {}
    first = ipaddress.IPv6Network(settings["network_ipv6_subnet"])
    return {
        name: str(ipaddress.IPv6Network((int(first.network_address) + index * first.num_addresses, first.prefixlen)))
        for index, name in enumerate(SEGMENTS)
    }


def networks(settings: Mapping[str, Any]) -> dict[str, Json]:
    """Return the networks that the stack needs, by segment; `ports` is only what `own_bridge` cuts from."""
    stack = settings["stack_name"]
    found: dict[str, Json] = {
        "network": {
            "name": settings["network_name"],
            "driver": "bridge",
            "subnet": settings["network_subnet"],
            "gateway": settings["network_gateway"],
            "ip_range": settings["network_ip_range"],
            "internal": False,
            "device": device(stack),
        }
    }
    if settings["network_layout"] == SEGMENTED:
        found |= {
            name: bridge(f"{stack}-{name}", subnet, internal=SEGMENTS[name])
            for name, subnet in subnets(settings).items()
        }
    for name, subnet in subnets6(settings).items():
        if name in found:
            found[name]["ipv6"] = addresses.pool6(ipaddress.IPv6Network(subnet))
    return found


def bridge(name: str, text: str, *, internal: bool) -> Json:
    """Return a network whose addresses are the usual ones of its subnet."""
    subnet = ipaddress.IPv4Network(text)
    return {
        "name": name,
        "driver": "bridge",
        "subnet": text,
        "gateway": addresses.first_address(subnet),
        "ip_range": addresses.upper_half(subnet),
        "internal": internal,
        "device": device(name),
    }


def own_bridge(ports: Json, name: str, number: int | None) -> Json:
    """Return the bridge of one container that publishes, with the container's own `address` (and `address6`).

    :param ports: the network of segment `ports`, which is cut into these
    :param name: the container's full name
    :param number: its host number, which chooses the piece
    :raises ValueError: where there is none for it
    """
    subnet = ipaddress.IPv4Network(ports["subnet"])
    lowest = addresses.SERVICE_NUMBERS[0]
    highest = lowest + 2 ** (OWN_PREFIX - subnet.prefixlen) - 1
    if number is None or not lowest <= number <= highest:
        msg = f"a container that publishes needs an `address` from {lowest} to {highest}, which chooses its own bridge"
        raise ValueError(msg)
    piece = int(subnet.network_address) + (number - lowest) * 2 ** (32 - OWN_PREFIX)
    own = bridge(f"{name}-{PORTS}", f"{ipaddress.IPv4Address(piece)}/{OWN_PREFIX}", internal=False)
    own |= {"segment": PORTS, "address": str(ipaddress.IPv4Address(piece + 2))}
    if "ipv6" in ports:
        first = int(ipaddress.IPv6Network(ports["ipv6"]["subnet"]).network_address) + (number << OWN_BITS6)
        subnet6 = ipaddress.IPv6Network((first, 128 - OWN_BITS6))
        own |= {"ipv6": addresses.pool6(subnet6), "address6": str(subnet6[2])}
    return own


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with the segments' subnets; `network_subnet` is judged already."""
    given: dict[str, Any] = settings.get("network_segment_subnets") or {}
    for name in sorted(set(given) - set(FURTHER)):
        yield f"network_segment_subnets names '{name}': accepted are {', '.join(FURTHER)}"
    yield from problems6(settings)
    if settings.get("network_layout") != SEGMENTED:
        return
    taken = {"network_subnet": ipaddress.IPv4Network(settings["network_subnet"])}
    for name, text in subnets(settings).items():
        place = f"network_segment_subnets.{name} is '{text}'" + ("" if name in given else " (after network_subnet)")
        try:
            subnet = addresses.parse_subnet(text)
        except ValueError as error:
            yield f"{place}: {error}"
            continue
        small = addresses.too_small(subnet, settings.get("app_replicas", 1))
        if small:
            yield f"{place}: {small}"
        for other, network in taken.items():
            if subnet.overlaps(network):
                yield f"{place}: it overlaps {other} ({network}); accepted is a subnet of its own for each"
        taken[f"network_segment_subnets.{name}"] = subnet


def problems6(settings: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with a given IPv6 subnet; where the networks have none, it is not looked at."""
    text = settings.get("network_ipv6_subnet", "")
    if not settings.get("network_ipv6") or not text:
        return
    try:
        first = addresses.parse_subnet6(text)
    except ValueError as error:
        yield f"network_ipv6_subnet is '{text}': {error}"
        return
    last = int(first.network_address) + (len(SEGMENTS) - 1) * first.num_addresses
    if last >> 80 != int(first.network_address) >> 80:
        yield (
            f"network_ipv6_subnet is '{text}': a stack's {len(SEGMENTS)} networks follow one another, and the last "
            "would be in another /48; accepted is a lower one"
        )
