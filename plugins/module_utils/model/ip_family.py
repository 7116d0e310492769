"""The two families of IP addresses: what is written for one holds for the other.

A release is looked at one IP family at a time: `in_family` projects its networks, addresses and ports onto one of them,
so that code such as the firewall rules is written once.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.release import Release


class Family(NamedTuple):
    """What differs between them."""

    version: int
    wildcard: str  # a port that is bound to it is served on every address of the family
    loopback: str
    domain: socket.AddressFamily
    documentation: str  # an address that is nobody's (RFC 5737, RFC 3849): to look a route up
    iptables: str
    unreachable: str  # what a refused packet is answered with, as iptables calls it


IPV4 = Family(
    4, str(ipaddress.IPv4Address(0)), "127.0.0.1", socket.AF_INET, "192.0.2.1", "iptables", "icmp-port-unreachable"
)
IPV6 = Family(6, "::", "::1", socket.AF_INET6, "2001:db8::1", "ip6tables", "icmp6-port-unreachable")
FAMILIES = (IPV4, IPV6)
WILDCARDS = frozenset(one.wildcard for one in FAMILIES)


def of(address: str) -> Family:
    """Return the family of an address, or of a network in CIDR notation."""
    return IPV6 if ":" in address else IPV4


def is_loopback(address: str) -> bool:
    """Tell whether only the host itself reaches an address of the host."""
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
    """Return where a port is published as well, by the IPv4 address that it is published on.

    :param loopback: whether this engine serves ``::1``: the kernel lets no rewritten packet come back to it, as
        ``route_localnet`` does for 127.0.0.1, so that takes docker-proxy
    """
    return {IPV4.wildcard: IPV6.wildcard} | ({IPV4.loopback: IPV6.loopback} if loopback else {})


def with_twins(ports: Iterable[dict[str, Any]], others: Mapping[str, str]) -> list[dict[str, Any]]:
    """Add to published ports those of the other family."""
    ports = list(ports)
    added = [{**one, "host_ip": others[one["host_ip"]]} for one in ports if one["host_ip"] in others]
    return ports + [one for one in added if one not in ports]


def addresses_of(spec: Mapping[str, Any], family: Family) -> dict[str, str]:
    """Return a declared container's reserved address on each of its networks."""
    return spec["networks"] if family is IPV4 else spec.get("networks6", {})


def pool_of(network: Mapping[str, Any], family: Family) -> dict[str, str] | None:
    """Return subnet, gateway and range for dynamic addresses of a declared network; None where it has none."""
    if family is IPV6:
        return network.get("ipv6")
    return {key: network[key] for key in ("subnet", "gateway", "ip_range") if key in network}


def ipam(network: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a declared network's pools as community.docker takes them."""
    pools = [pool for one in FAMILIES if (pool := pool_of(network, one))]
    return [{"subnet": one["subnet"], "gateway": one["gateway"], "iprange": one["ip_range"]} for one in pools]


def in_family(release: Release, family: Family) -> Release:
    """Project a release onto one IP family."""
    pools = {name: pool_of(one, family) for name, one in release["networks"].items()}
    return {
        **release,
        "networks": {
            name: {**one, **pool} for name, one in release["networks"].items() if (pool := pools[name]) is not None
        },
        "containers": {
            name: {
                **one,
                "networks": addresses_of(one, family),
                "ports": [port for port in one["ports"] if of(port["host_ip"]) is family],
            }
            for name, one in release["containers"].items()
        },
    }
