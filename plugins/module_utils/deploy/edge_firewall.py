# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The firewall of an edge of a cluster: the ports that it publishes answer the networks of `exposure_allow_from` alone.

A Swarm publishes a port on every address of a host. The packets go on to a container, so they pass DOCKER-USER, where
the kernel still knows which port of the host was asked for. Nobody is sent on over IPv6, where only docker-proxy could
answer, from the host itself: there the ports are closed on INPUT.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.firewall_rules import chain_name
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_firewall import HostChain, RulesOf, place
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import HOOKS, TARGET, UNIT, UNITS
from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.host.iptables import DROP, PASS, Rule
from ansible_collections.sse.platform.plugins.module_utils.model.addresses import ipv4_networks
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import EdgeAdmits

SOURCE = re.compile(r" -s (\S+) ")
PORT = re.compile(r" --ctorigdstport (\d+) ")
RESET = ("-j", "REJECT", "--reject-with", "tcp-reset")  # a dropped packet looks like a dead host


class EdgeFirewall(HostChain):
    """The chain of one stack on this host, in the place of the one that a stack of one host has."""

    without_iptables = "the engine has no chain DOCKER-USER here, so nothing would enforce exposure_allow_from"

    def __init__(self, stack: str, state_directory: str) -> None:
        """Look which iptables the engine uses."""
        self.what = chain_name(stack)
        self.about = f"stack {stack}"
        self.directory = Path(state_directory) / "firewall"
        self.unit = UNITS / f"sse-platform-firewall-{stack}.service"
        self.hook = HOOKS / stack
        self.unit_text = UNIT.format(
            what=f"Firewall rules of stack {stack}", script=self.directory / "restore", target=TARGET
        )
        found = {IPV4: iptables.place(IPV4), IPV6: place(IPV6)}
        self.places = {family: one for family, one in found.items() if one}

    def ensure(self, sources: Iterable[str], ports: Iterable[int], *, check: bool) -> list[str]:
        """Let these networks alone reach the ports; without networks or without ports, there is no chain.

        :returns: what changed or would change, one line each
        :raises FirewallError: iptables is missing, or refuses the rules
        """
        known, numbers = ipv4_networks(sources), sorted(set(ports))
        if not known or not numbers:
            return self.have(None, check=check)
        return self.have(rules(known, numbers), ", ".join(known), check=check)

    def admits(self) -> EdgeAdmits:
        """Say who may reach which ports; no sources where nothing is closed, or not as it was written."""
        listed = self.listed()
        sources, ports = ipv4_networks(SOURCE.findall(listed)), sorted({int(one) for one in PORT.findall(listed)})
        wanted = rules(sources, ports)
        if not sources or IPV4 not in self.places or not self.has(wanted):
            return {"sources": [], "ports": [], "kept": False, "there": bool(listed)}
        return {"sources": sources, "ports": ports, "kept": self.are_kept(self.texts(wanted)), "there": True}


def rules(sources: list[str], ports: list[int]) -> RulesOf:
    """Return the rules of each IP family. They judge new connections to ports that lead to a container of the stack."""
    first: Rule = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", *PASS)
    to = [("-p", "tcp", "-m", "conntrack", "--ctstate", "DNAT", "--ctorigdstport", str(port)) for port in ports]
    open_to: list[Rule] = [("-s", source, *one, *PASS) for one in to for source in sources]
    inside: list[Rule] = [("-i", "lo", *PASS)]
    closed: list[Rule] = [("-p", "tcp", "-m", "tcp", "--dport", str(port), *DROP) for port in ports]
    return {IPV4: [first, *open_to, *((*one, *RESET) for one in to)], IPV6: [*inside, *closed]}
