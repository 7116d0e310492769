# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The rules of the stack firewall as plain data: which new connections a stack accepts in one IP family, in order.

Pure: releases in, rules out. `stack_firewall` puts them in place.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.iptables import (
    DROP,
    ENGINES_OWN,
    FILTER,
    PARENT,
    PASS,
    Rule,
)
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Packet
from ansible_collections.sse.platform.plugins.module_utils.model import connections, segments
from ansible_collections.sse.platform.plugins.module_utils.model import ip_family as families
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6, Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Network, PublishedPort, Release, Spec

Rules = dict[Family, list[Rule]]  # one chain for each IP family
RESERVED = 2  # the first host number that a container may have for itself

# Neighbour discovery is the ARP of IPv6 (RFC 4861). Within a bridge it passes the chain too, and conntrack has no
# state for it.
NEIGHBOURS: tuple[Rule, ...] = tuple(
    ("-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", kind, *PASS)
    for kind in ("neighbour-solicitation", "neighbour-advertisement")
)


class Guard(NamedTuple):
    """One rule in a chain that the kernel has: its table, and the rule with the name of that chain."""

    table: str
    rule: Rule


PREFIX = "SSE-"
OWN_RULE = re.compile(rf"--comment \"?{PREFIX}([\w-]+)")  # beside the rules outside of a stack's chain
UNDECLARED = (
    "# no service declares this connection: add it to `reaches` of the container that connects, then run ./sse up"
)
KEPT_APART = "# the engine keeps its networks apart: the two need a network that both are on"


def chain_name(stack: str) -> str:
    """Name the stack's chain. The kernel takes 28 characters, and a stack's name has at most 20."""
    return f"{PREFIX}{stack}"


def declared_by(rule: iptables_rules.Rule) -> str:
    """Return the stack that declares a rule, in its chain or outside of it; empty for a rule of somebody else."""
    if rule.chain.startswith(PREFIX):
        return rule.chain.removeprefix(PREFIX)
    found = OWN_RULE.search(rule.text)
    return found[1] if found else ""


def let_pass(rule: iptables_rules.Rule, stack: str) -> str:
    """Return the command that removes a rule which blocks a connection of a stack.

    What a stack declares, or the engine writes, is never removed: that would open what they close. Then it is advice.
    """
    owner = declared_by(rule)
    if owner:
        return UNDECLARED if owner == stack else f"# the stack {owner} declares this rule"
    if rule.chain.startswith(ENGINES_OWN) and rule.chain != PARENT:
        return KEPT_APART
    return rule.removal


def rules_by_family(releases: Sequence[Release], leaving: Sequence[Release] = ()) -> Rules:
    """Return the rules of each family's chain. A family without addresses in the stack has no rules."""
    return {family: rules(releases, leaving, family) for family in FAMILIES}


def rules(releases: Sequence[Release], leaving: Sequence[Release] = (), family: Family = IPV4) -> list[Rule]:
    """Return the rules of one family's chain, in order. They judge new connections only.

    :param releases: of every project of the stack
    :param leaving: releases that are being replaced; what they declare is still accepted
    """
    releases = [families.in_family(one, family) for one in sorted(releases, key=lambda one: str(one["project"]))]
    leaving = [families.in_family(one, family) for one in leaving]
    everything = [*releases, *leaving]
    networks = connections.networks_of(everything)
    if not networks and family is IPV6:
        return []
    subnets = [one["subnet"] for one in networks.values()]
    found: list[Rule] = [("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", *PASS)]
    found += NEIGHBOURS if family is IPV6 else ()
    found += [*declared(releases), *declared(leaving)]
    # Guests in the dynamic range decide themselves what they listen on.
    found += [("-d", one["ip_range"], *PASS) for one in networks.values() if one["segment"] == "network"]
    if any(release["layout"] == segments.SINGLE for release in everything):
        found += [("-s", subnet, *PASS) for subnet in subnets]
    found += [("-d", subnet, *refusal) for subnet in subnets for refusal in refusals(family)]
    found += ways_out(everything, family)
    found += [("-s", address, *refusal) for __, __, address in with_ways_out(releases) for refusal in refusals(family)]
    return list(dict.fromkeys(found))


def undeclared(releases: Sequence[Release], family: Family, uplink: str) -> list[Packet]:
    """Return new connections that the chain refuses, one of each way: so it has to be asked about each.

    They go from outside to each network, in segments also from each network to each, and out of a container that
    declares its ways out.

    :param uplink: the device of the default route
    """
    releases = [families.in_family(one, family) for one in releases]
    networks = connections.networks_of(releases).values()
    inside = [(str(ipaddress.ip_network(one["subnet"])[RESERVED]), one.get("device", "")) for one in networks]
    single = any(release["layout"] == segments.SINGLE for release in releases)
    sources = [(family.documentation, uplink), *([] if single else inside)]
    found = [
        Packet(source, target, enters=enters, leaves=leaves) for source, enters in sources for target, leaves in inside
    ]
    out = (address for __, __, address in with_ways_out(releases))
    return [*found, *(Packet(address, family.documentation, leaves=uplink) for address in out)]


def declared(releases: Sequence[Release]) -> list[Rule]:
    """Accept the declared connections, by reserved address: between containers, from guests, and from outside."""
    containers = connections.containers_of(releases)
    networks = connections.networks_of(releases)
    found: list[Rule] = []
    if any(release["layout"] == segments.SEGMENTED for release in releases):
        for edge in connections.declared(containers):
            source, target = containers[edge.source]["networks"], containers[edge.target]["networks"]
            found += [
                between(source[name], target[name], edge.port, f"{edge.source} to {edge.target}")
                for name in source
                if name in target
            ]
        found += from_guests(containers, networks)
    for name, one in containers.items():
        for network, address in one["networks"].items():
            for port in one["ports"] if address and not networks[network]["internal"] else ():
                if not families.is_loopback(port["host_ip"]):
                    found += from_outside(releases, name, address, port)
    return found


def between(source: str, target: str, port: int, why: str) -> Rule:
    """Accept connections of one address to one port of another."""
    return ("-s", source, "-d", target, "-p", "tcp", "-m", "tcp", "--dport", str(port), *remark(why), *PASS)


def from_guests(containers: Mapping[str, Spec], networks: Mapping[str, Network]) -> list[Rule]:
    """Accept connections of guests on the stack's own network to every port that is published from there anyway."""
    return [
        between(networks[network]["ip_range"], address, port["container_port"], f"guests to {name}")
        for name, one in containers.items()
        for network, address in one["networks"].items()
        for port in one["ports"]
        if networks[network]["segment"] == "network"
    ]


def from_outside(releases: Iterable[Release], name: str, address: str, port: PublishedPort) -> list[Rule]:
    """Accept connections to a published port, if they came to that port of the host, from the allowed addresses."""
    allowed: list[str] = list(dict.fromkeys(one for release in releases for one in release["allow_from"]))
    sources = [("-s", one) for one in allowed if families.of(one) is families.of(address)] if allowed else [()]
    rule = ("-d", address, "-p", "tcp", "-m", "conntrack", "--ctstate", "DNAT")
    rule += ("--ctorigdstport", str(port["host_port"]))
    rule += ("-m", "tcp", "--dport", str(port["container_port"]), *remark(f"published by {name}"), *PASS)
    return [(*source, *rule) for source in sources]


def ways_out(releases: Iterable[Release], family: Family) -> Iterator[Rule]:
    """Accept connections of containers that declare their ways out, to these ports and to DNS.

    A port stands for a server with a name, whose addresses others change: a rule by an address of today would close
    the way after a failover. It is the port that the container asked for, which a host may map to another.
    """
    for name, one, address in with_ways_out(releases):
        for server in one.get("ways_out", []):
            host, __, port = server.rpartition(":")
            host = host.strip("[]")
            if not families.is_address(host) or families.of(host) is family:
                to = ("--ctorigdst", host) if families.is_address(host) else ()
                asked = ("-m", "conntrack", *to, "--ctorigdstport", port)
                yield ("-s", address, "-p", "tcp", *asked, *remark(f"{name} to {server}"), *PASS)
        # The engine asks the host's DNS servers from within the container's namespace.
        for kind in ("udp", "tcp"):
            yield ("-s", address, "-p", kind, "-m", kind, "--dport", "53", *remark(f"{name} to DNS"), *PASS)


def with_ways_out(releases: Iterable[Release]) -> Iterator[tuple[str, Spec, str]]:
    """Return the containers that declare their ways out, with each address that leads out of the stack.

    In one network for all, nothing is closed.
    """
    for release in releases:
        for name, one in release["containers"].items() if release["layout"] == segments.SEGMENTED else ():
            for network, address in one["networks"].items() if one.get("ways_out") else ():
                if address and not release["networks"][network]["internal"]:
                    yield name, one, address


def remark(text: str) -> Rule:
    """Say in the listing what a rule is for."""
    return ("-m", "comment", "--comment", text)


def refusals(family: Family) -> tuple[Rule, ...]:
    """Refuse with an answer, because a dropped packet looks like a dead host. The kernel limits ICMP errors only."""
    return (
        ("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"),
        ("-j", "REJECT", "--reject-with", family.unreachable),
    )


def ipv6_loopback_rule(chain: str) -> Rule:
    """Refuse connections of the host's own programs to ``::1`` that the engine sends on to a container.

    The kernel brings no answer back there, so the program would wait for ever. The rule cannot name the interface: it
    is still ``lo``.
    """
    itself = f"{IPV6.loopback}/128"
    sent_on = ("-s", itself, "!", "-d", itself, "-p", "tcp", "-m", "conntrack", "--ctstate", "DNAT")
    return ("OUTPUT", *sent_on, *remark(chain), "-j", "REJECT", "--reject-with", "tcp-reset")


def ipv4_loopback_rule(chain: str) -> Rule:
    """Drop what comes to 127.0.0.0/8 from anywhere but the host itself.

    An Engine before 28 without docker-proxy sets ``route_localnet`` on every bridge. A container that may change its
    own routes then reaches the servers of the host's 127.0.0.1. The kernel asks the table raw before all others.
    """
    return ("PREROUTING", "-d", "127.0.0.0/8", "!", "-i", "lo", *remark(chain), *DROP)


def guards(chain: str) -> dict[Family, Guard]:
    """Return the rule of each family that guards the loopback addresses of the host, outside of the stack's chain."""
    return {IPV4: Guard("raw", ipv4_loopback_rule(chain)), IPV6: Guard(FILTER, ipv6_loopback_rule(chain))}
