# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The settings of the networks: what is wrong with them, and what an empty one stands for.

Settings are by variable; one that was refused already is missing.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.model import addresses, segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def derived(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings whose empty value stands for one that is computed from others."""
    try:
        subnet = addresses.parse_subnet(settings["network_subnet"])
    except (KeyError, ValueError):
        return {}
    found = {
        "network_gateway": settings.get("network_gateway") or addresses.first_address(subnet),
        "network_ip_range": settings.get("network_ip_range") or addresses.dynamic_range(subnet),
        "network_segment_subnets": segments.subnets(str(subnet), settings.get("network_segment_subnets") or {}),
    }
    if {"network_ipv6_subnet", "stack_name"} <= set(settings):
        subnet6 = settings["network_ipv6_subnet"] or addresses.own_subnet6(settings["stack_name"])
        found["network_ipv6_subnet"] = subnet6
        found["network_gateways"] = [found["network_gateway"]]
        if settings.get("network_ipv6"):
            found["network_gateways"].append(addresses.pool(ipaddress.IPv6Network(subnet6))["gateway"])
    return found


def problems(settings: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with the addresses of the networks, one sentence each."""
    if "network_subnet" not in settings:
        return []
    text, replicas = settings["network_subnet"], settings.get("app_replicas", 1)
    try:
        subnet = addresses.parse_subnet(text)
    except ValueError as error:
        return [f"network_subnet is '{text}': {error}"]
    small = addresses.too_small(subnet, replicas)
    if small:
        return [f"network_subnet is '{text}': {small}"]
    reserved = {subnet.network_address + number for number in addresses.reserved_numbers(replicas)}
    found = [
        *_gateway_problems(subnet, settings.get("network_gateway", ""), reserved),
        *_range_problems(subnet, settings.get("network_ip_range", ""), reserved),
    ]
    return found or [*_segment_problems(subnet, settings, replicas), *_ipv6_problems(settings)]


def _gateway_problems(subnet: ipaddress.IPv4Network, text: str, reserved: set[ipaddress.IPv4Address]) -> Iterator[str]:
    if not text:
        return
    expected = f"expected '' (which is {addresses.first_address(subnet)}) or another free address in {subnet}"
    try:
        gateway = ipaddress.IPv4Address(text)
    except ValueError:
        yield f"network_gateway is '{text}': it is not an IPv4 address; {expected}"
        return
    if gateway not in subnet:
        yield f"network_gateway is '{text}': it is outside of network_subnet {subnet}; {expected}"
    elif gateway in (subnet.network_address, subnet.broadcast_address):
        yield f"network_gateway is '{text}': it is the network's own address or its broadcast address; {expected}"
    elif gateway in reserved:
        number = int(gateway) - int(subnet.network_address)
        yield f"network_gateway is '{text}': host number {number} is reserved for a service; {expected}"


def _range_problems(subnet: ipaddress.IPv4Network, text: str, reserved: set[ipaddress.IPv4Address]) -> Iterator[str]:
    if not text:
        return
    own = addresses.dynamic_range(subnet)
    expected = f"expected '' (which is {own}) or another part of {subnet} without reserved addresses"
    try:
        ip_range = ipaddress.IPv4Network(text)
    except ValueError:
        yield f"network_ip_range is '{text}': it is not an IPv4 network; {expected}"
        return
    inside = sorted(address for address in reserved if address in ip_range)
    if not ip_range.subnet_of(subnet):
        yield f"network_ip_range is '{text}': it is outside of network_subnet {subnet}; {expected}"
    elif inside:
        yield f"network_ip_range is '{text}': it holds {inside[0]}, which is reserved for a service; {expected}"


def _segment_problems(first: ipaddress.IPv4Network, settings: Mapping[str, Any], replicas: int) -> Iterator[str]:
    given: dict[str, Any] = settings.get("network_segment_subnets") or {}
    for name in sorted(set(given) - set(segments.FURTHER)):
        yield f"network_segment_subnets names '{name}': expected one of {', '.join(segments.FURTHER)}"
    if settings.get("network_layout") != segments.SEGMENTED:
        return
    taken = {"network_subnet": first}
    for name, text in segments.subnets(str(first), given).items():
        place = f"network_segment_subnets.{name} is '{text}'" + ("" if name in given else " (after network_subnet)")
        try:
            subnet = addresses.parse_subnet(text)
        except ValueError as error:
            yield f"{place}: {error}"
            continue
        small = addresses.too_small(subnet, replicas)
        if small:
            yield f"{place}: {small}"
        for other, network in taken.items():
            if subnet.overlaps(network):
                yield f"{place}: it overlaps {other} ({network}); expected a subnet of its own for each"
        taken[f"network_segment_subnets.{name}"] = subnet


def _ipv6_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    text = settings.get("network_ipv6_subnet", "")
    if not settings.get("network_ipv6") or not text:
        return
    try:
        first = addresses.parse_subnet6(text)
    except ValueError as error:
        yield f"network_ipv6_subnet is '{text}': {error}"
        return
    last = int(first.network_address) + (len(segments.SEGMENTS) - 1) * first.num_addresses
    if last >> 80 != int(first.network_address) >> 80:
        yield (
            f"network_ipv6_subnet is '{text}': the {len(segments.SEGMENTS)} networks of a stack follow one another, "
            "and the last would be in another /48; expected a lower one"
        )
