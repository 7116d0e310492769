# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The two IP families, IPv4 and IPv6, and how a release looks in one of them.

`in_family` projects a release onto one IP family, so that code such as the stack firewall is written once for both.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        Network,
        PublishedPort,
        Release,
        Spec,
    )


class Family(NamedTuple):
    """What differs between the IP families."""

    version: int
    wildcard: str  # a port that is bound to it is served on every address of the family
    loopback: str
    domain: socket.AddressFamily
    documentation: str  # an address that nobody has (RFC 5737, RFC 3849): for looking up a route
    iptables: str  # the program
    unreachable: str  # the answer to a refused packet, as iptables calls it


IPV4 = Family(
    4, str(ipaddress.IPv4Address(0)), "127.0.0.1", socket.AF_INET, "192.0.2.1", "iptables", "icmp-port-unreachable"
)
IPV6 = Family(6, "::", "::1", socket.AF_INET6, "2001:db8::1", "ip6tables", "icmp6-port-unreachable")
FAMILIES = (IPV4, IPV6)
WILDCARDS = frozenset(one.wildcard for one in FAMILIES)


def of(address: str) -> Family:
    """Return the IP family of an address, or of a network in CIDR notation."""
    return IPV6 if ":" in address else IPV4


def is_loopback(address: str) -> bool:
    """Tell whether an address can be reached from its own host only."""
    return ipaddress.ip_address(address).is_loopback


def is_address(text: str) -> bool:
    """Tell an address from a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def url_host(host: str) -> str:
    """Write a host as URLs do (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def twins(*, loopback: bool) -> dict[str, str]:
    """Return the IPv6 address that a port is published on as well, by the IPv4 address that it is published on.

    :param loopback: whether this engine serves ``::1``. The kernel lets no rewritten packet come back to ``::1``, as
        ``route_localnet`` does for 127.0.0.1, so only docker-proxy can serve it.
    """
    return {IPV4.wildcard: IPV6.wildcard} | ({IPV4.loopback: IPV6.loopback} if loopback else {})


def with_twins(ports: list[PublishedPort], others: Mapping[str, str]) -> list[PublishedPort]:
    """Add to published ports those of the other IP family."""
    added: Iterable[PublishedPort] = (
        {**one, "host_ip": others[one["host_ip"]]} for one in ports if one["host_ip"] in others
    )
    return ports + [one for one in added if one not in ports]


def addresses_of(spec: Spec, family: Family) -> dict[str, str]:
    """Return a container's reserved address on each of its networks."""
    return spec["networks"] if family is IPV4 else spec.get("networks6", {})


def in_family(release: Release, family: Family) -> Release:
    """Project a release onto one IP family: its networks, addresses and published ports there, and nothing else."""
    networks: dict[str, Network] = release["networks"]
    if family is IPV6:
        networks = {name: {**one, **one["ipv6"]} for name, one in networks.items() if "ipv6" in one}
    containers: dict[str, Spec] = {}
    for name, one in release["containers"].items():
        ports = [port for port in one["ports"] if of(port["host_ip"]) is family]
        containers[name] = {**one, "networks": addresses_of(one, family), "ports": ports}
    return {**release, "networks": networks, "containers": containers}
