# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The networks of a stack: one for all (`single`), or segments of which a container joins those it needs (`segmented`).

Pure: settings in, networks out. A service has the same host number in every network.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Final

from ansible_collections.sse.platform.plugins.module_utils.model import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        Network,
        OwnBridge,
        Pool,
        Segment,
        Settings,
    )

SINGLE: Final = "single"
SEGMENTED: Final = "segmented"
# In the order of their subnets. True is an internal network: no way out of the host, and no published port. The first
# one is the stack's own network in either layout.
SEGMENTS: dict[Segment, bool] = {"network": False, "app": False, "data": True, "monitoring": True, "ports": False}
FURTHER = tuple(SEGMENTS)[1:]
# A container that is on internal networks only gets no published port, and no error. So a container that publishes
# ports joins a bridge that it has for itself, cut from the subnet of `ports`. On a bridge that several share, a name
# could resolve to an address that the stack firewall closes.
PORTS: Final = "ports"
OWN_PREFIX = 30  # holds the host's address and the container's
OWN_BITS6 = 16  # in IPv6 there are enough addresses for a range of its own as well
DEVICE_LENGTH = 12  # the kernel takes 15 characters, and three of them are `br-`


def device(key: str) -> str:
    """Name a bridge so that `ip address` and firewall rules show whose it is."""
    short = key if len(key) <= DEVICE_LENGTH else hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
    return f"br-{short[:DEVICE_LENGTH]}"


def subnets(network_subnet: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the subnet of every further segment: the given one, or else one of those that follow `network_subnet`."""
    first = ipaddress.IPv4Network(network_subnet)
    starts = {name: int(first.network_address) + index * first.num_addresses for index, name in enumerate(FURTHER, 1)}
    return {name: given.get(name) or f"{ipaddress.IPv4Address(starts[name])}/{first.prefixlen}" for name in FURTHER}


def networks(settings: Settings) -> dict[Segment, Network]:
    """Return the networks that the stack needs, by segment; `own_bridge` cuts its bridges from `ports`."""
    stack = settings["stack_name"]
    own: Pool = {
        "subnet": settings["network_subnet"],
        "gateway": settings["network_gateway"],
        "ip_range": settings["network_ip_range"],
    }
    found: dict[Segment, Network] = {"network": bridge("network", settings["network_name"], own, device(stack))}
    if settings["network_layout"] == SEGMENTED:
        further = subnets(settings["network_subnet"], settings["network_segment_subnets"])
        for name in FURTHER:
            found[name] = bridge(name, f"{stack}-{name}", addresses.pool(ipaddress.IPv4Network(further[name])))
    if settings.get("deployment") == "swarm":
        # A container on internal overlays alone gets no place on docker_gwbridge: no port of it is published, it has no
        # way out, and its own host does not reach it. Of those on `monitoring`, some send alerts to receivers, and the
        # others are for people, who come through their host. There are no bridges of a container's own.
        found = {name: {**one, "internal": name == "data"} for name, one in found.items() if name != PORTS}
    if settings.get("network_encrypted", False):
        for one in found.values():
            one["encrypted"] = True
    if settings["network_ipv6"]:
        first = ipaddress.IPv6Network(settings["network_ipv6_subnet"])
        for index, name in enumerate(SEGMENTS):
            start = int(first.network_address) + index * first.num_addresses
            if name in found:
                found[name]["ipv6"] = addresses.pool(ipaddress.IPv6Network((start, first.prefixlen)))
    return found


def bridge(segment: Segment, name: str, pool: Pool, link: str = "") -> Network:
    """Return a network of this segment."""
    return {
        "name": name,
        "segment": segment,
        "driver": "bridge",
        "internal": SEGMENTS[segment],
        "device": link or device(name),
        **pool,
    }


def own_bridge(ports: Network, name: str, number: int | None) -> OwnBridge:
    """Return the bridge of one container that publishes ports, with the container's address on it.

    :param ports: the network of segment `ports`, which these bridges are cut from
    :param name: the container's full name
    :param number: its host number, which chooses the piece
    :raises ValueError: where there is no piece for the number
    """
    subnet = ipaddress.IPv4Network(ports["subnet"])
    lowest = addresses.SERVICE_NUMBERS[0]
    highest = lowest + 2 ** (OWN_PREFIX - subnet.prefixlen) - 1
    if number is None or not lowest <= number <= highest:
        raise ValueError(f"a container that publishes needs an `address` from {lowest} to {highest} for its own bridge")
    piece = int(subnet.network_address) + (number - lowest) * 2 ** (32 - OWN_PREFIX)
    own: OwnBridge = {
        **bridge(PORTS, f"{name}-{PORTS}", addresses.pool(ipaddress.IPv4Network((piece, OWN_PREFIX)))),
        "address": str(ipaddress.IPv4Address(piece + 2)),
    }
    if "ipv6" in ports:
        first = int(ipaddress.IPv6Network(ports["ipv6"]["subnet"]).network_address) + (number << OWN_BITS6)
        subnet6 = ipaddress.IPv6Network((first, 128 - OWN_BITS6))
        own["ipv6"] = addresses.pool(subnet6)
        own["address6"] = str(subnet6[2])
    return own
