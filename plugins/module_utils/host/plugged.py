# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether the interface of a container on a network is there, and on the bridge of that network."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import namespace, netlink
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.sse.platform.plugins.module_utils.host.netlink import Link
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Interface, Route

NONE: Mapping[str, str] = MappingProxyType({})
NO_WAY_OUT = "its default route"  # so begins the reason where it reaches who is on the network, and nobody else


def unplugged(
    pid: int,
    addresses: Mapping[str, str],
    bridges: Mapping[str, str],
    addresses6: Mapping[str, str] = NONE,
    ways_out: Collection[str] = (),
) -> dict[str, str]:
    """Return the networks that a running container does not reach, each with the reason.

    The engine asks nobody whether an interface is still there: it lists the container as connected.

    :param addresses: that the engine lists for the container, by network
    :param bridges: the bridge of each network
    :param addresses6: of IPv6; empty for a network without it
    :param ways_out: networks that are not internal: the engine gives who is on one of them a default route
    """

    def seen() -> tuple[list[Interface], list[Link], list[Route]]:
        interfaces = [one for family in FAMILIES for one in netlink.interfaces(family)]
        return interfaces, netlink.links(), [one for family in FAMILIES for one in netlink.routes(family)]

    try:
        interfaces, inside, routes = namespace.inside(pid, seen)
        outside = netlink.links()
    except OSError:
        return {}  # it has ended
    found = dict(faults(addresses, bridges, interfaces, inside, outside, addresses6))
    return found or dict(without_way_out((addresses, addresses6), bridges, routes, ways_out))


def without_way_out(
    addresses: Iterable[Mapping[str, str]],
    bridges: Mapping[str, str],
    routes: Collection[Route],
    ways_out: Collection[str],
) -> Iterator[tuple[str, str]]:
    """Name a network by which a container should reach others beyond it, of each IP family, and has no route.

    :param addresses: by network, of IPv4 and of IPv6
    """
    defaults = {one["destination"] for one in routes}
    for family, there in zip(FAMILIES, addresses, strict=True):
        out = sorted(name for name in ways_out if there.get(name) and bridges.get(name))
        if out and f"{ipaddress.ip_address(family.wildcard)}/0" not in defaults:
            yield out[0], f"{NO_WAY_OUT} of IPv{family.version} is gone"


def faults(
    addresses: Mapping[str, str],
    bridges: Mapping[str, str],
    interfaces: list[Interface],
    inside: list[Link],
    outside: list[Link],
    addresses6: Mapping[str, str] = NONE,
) -> Iterator[tuple[str, str]]:
    """Compare the addresses of a container with the interfaces in its namespace, and these with those of the host."""
    on_host = {one.number: one for one in outside}

    def bridge_of(one: Link) -> str:
        """Return the bridge that the other end of an interface is on."""
        other = on_host.get(one.peer)
        return on_host[other.master].name if other and other.master in on_host else ""

    there = {text.partition("/")[0] for one in interfaces for text in one["addresses"]}
    for network, address in addresses.items():
        bridge = bridges.get(network, "")
        named = [one["name"] for one in interfaces if address in [text.partition("/")[0] for text in one["addresses"]]]
        own = next((one for one in inside if one.name in named), None)
        if not address or not bridge:
            continue
        if own is None:
            stays = any(bridge_of(one) == bridge for one in inside)
            yield network, f"its address {address} is gone" if stays else "its interface is gone"
            continue
        other, address6 = on_host.get(own.peer), addresses6.get(network, "")
        if not own.up or (other and not other.up):
            yield network, "its interface is down"
        elif other and bridge_of(own) != bridge:
            yield network, f"its interface is not on the bridge {bridge}"
        elif address6 and address6 not in there:
            yield network, f"its address {address6} is gone"
