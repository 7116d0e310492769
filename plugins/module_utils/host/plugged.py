# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether the interface of a container on a network is there, and on the bridge of that network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import namespace, netlink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.host.netlink import Link
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Interface


def unplugged(pid: int, addresses: Mapping[str, str], bridges: Mapping[str, str]) -> dict[str, str]:
    """Return the networks that a running container does not reach, each with the reason.

    The engine asks nobody whether an interface is still there: it lists the container as connected.

    :param addresses: that the engine lists for the container, by network
    :param bridges: the bridge of each network
    """
    try:
        interfaces, inside = namespace.inside(pid, lambda: (netlink.interfaces(), netlink.links()))
        outside = netlink.links()
    except OSError:
        return {}  # it has ended
    return dict(faults(addresses, bridges, interfaces, inside, outside))


def faults(
    addresses: Mapping[str, str],
    bridges: Mapping[str, str],
    interfaces: list[Interface],
    inside: list[Link],
    outside: list[Link],
) -> Iterator[tuple[str, str]]:
    """Compare the addresses of a container with the interfaces in its namespace, and these with those of the host."""
    on_host = {one.number: one for one in outside}
    for network, address in addresses.items():
        bridge = bridges.get(network, "")
        named = [one["name"] for one in interfaces if address in [text.partition("/")[0] for text in one["addresses"]]]
        own = next((one for one in inside if one.name in named), None)
        if not address or not bridge:
            continue
        if own is None:
            yield network, "its interface is gone"
            continue
        other = on_host.get(own.peer)
        if not own.up or (other and not other.up):
            yield network, "its interface is down"
        elif other and (other.master not in on_host or on_host[other.master].name != bridge):
            yield network, f"its interface is not on the bridge {bridge}"
