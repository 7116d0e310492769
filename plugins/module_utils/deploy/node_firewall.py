# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The firewall of a host in a Swarm: nobody but the other hosts reaches the ports by which a Swarm holds together.

An engine opens them on every address of its host, and 4789/udp carries what containers tell each other in the clear.
The chain is called from INPUT, and belongs to the membership in the Swarm, not to a stack: stacks that share a Swarm
share it, and it goes when the host leaves.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import (
    HOOKS,
    PART,
    SCRIPT,
    TARGET,
    UNIT,
    UNITS,
    FirewallError,
    KeptRules,
)
from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.host.iptables import DROP, FILTER, PASS, WAIT, Place, Rule
from ansible_collections.sse.platform.plugins.module_utils.host.meeting import SWARM_PORTS
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6, Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import Admits

RulesOf = dict[Family, list[Rule]]  # one chain for each IP family
CHAIN, INPUT = "SSE-NODES", "INPUT"
WHAT = "the Swarm's ports"
DIRECTORY = Path("/var/lib/sse.platform/nodes")
ADMITTED = re.compile(r" -s (\S+) ")


class HostChain(KeptRules):
    """One chain of its own in each IP family, with rules that are known as a whole."""

    about = ""  # what its rules are of, for the script that puts them in place
    without_iptables = ""  # what nothing would close then
    places: Mapping[Family, Place]

    def have(self, wanted: RulesOf | None, told: str = "", *, check: bool) -> list[str]:
        """Have these rules, now and from every start on; None: no chain at all.

        :param told: whom they are for, for people
        :returns: what changed or would change, one line each
        :raises FirewallError: iptables is missing, or refuses the rules
        """
        if wanted is None:
            there = [one for one in self.places.values() if one.listing(self.what)]
            if (there or self.unit.exists() or self.hook.is_symlink()) and not check:
                self.remove()
            return [f"firewall {self.what}: removed"] if there else []
        if IPV4 in self.places and self.has(wanted) and self.are_kept(self.texts(wanted)):
            return []
        if not check:
            if IPV4 not in self.places:
                raise FirewallError(self.without_iptables)
            self.put(self.texts(wanted))
            self.enable()
        return [f"firewall {self.what}: {sum(len(wanted[one]) for one in self.places)} rules for {told}"]

    def has(self, wanted: RulesOf) -> bool:
        """Tell whether the kernel has these rules and no others, and asks the chain first."""
        return all(one.is_in_place(self.what, wanted[family]) for family, one in self.places.items())

    def texts(self, wanted: RulesOf) -> dict[str, str]:
        """Return the files that put rules in place."""
        files = {"restore": SCRIPT.format(what=self.about)}
        for family, one in self.places.items():
            name = f"rules{family.version}"
            files[name] = iptables.restore_text(self.what, wanted[family], one.table)
            values = {**one._asdict(), "wait": " ".join(WAIT), "chain": self.what, "rules": self.directory / name}
            files["restore"] += PART.format(**values, comment=iptables.COMMENT, decides=iptables.DECIDES)
        return files

    def listed(self) -> str:
        """Return the rules of the chain, as iptables lists them."""
        return "\n".join(line for one in self.places.values() for line in one.listing(self.what))

    def remove(self) -> None:
        """Remove the chains and everything that puts them back."""
        for one in self.places.values():
            one.remove(self.what)
        self.forget()


class NodeFirewall(HostChain):
    """The chain on this host, one in each IP family."""

    what = CHAIN
    about = WHAT
    without_iptables = "this host has no iptables, so nothing would close the Swarm's ports to others: install it"
    directory = DIRECTORY
    unit = UNITS / "sse-platform-nodes.service"
    hook = HOOKS / "nodes.swarm"  # no stack can have this name
    unit_text: ClassVar = UNIT.format(what=f"Firewall rules of {WHAT}", script=DIRECTORY / "restore", target=TARGET)

    def __init__(self) -> None:
        """Look which iptables the engine uses."""
        self.places = {family: found for family in FAMILIES if (found := place(family))}

    def ensure(self, addresses: list[str] | None, *, check: bool) -> list[str]:
        """Let these addresses alone reach the ports, now and from every start on; None: anybody, as without us.

        :returns: what changed or would change, one line each
        :raises FirewallError: iptables is missing, or refuses the rules
        """
        if addresses is None:
            return self.have(None, check=check)
        return self.have(self.wanted(addresses), ", ".join(ordered(addresses)), check=check)

    def wanted(self, addresses: Iterable[str]) -> RulesOf:
        """Return the rules of each IP family."""
        known = list(addresses)
        return {family: rules(known, family) for family in FAMILIES}

    def is_in_kernel(self, addresses: Iterable[str]) -> bool:
        """Tell whether the kernel admits these addresses and no others, and asks the chain first."""
        return self.has(self.wanted(addresses))

    def files(self, addresses: Iterable[str]) -> dict[str, str]:
        """Return the files that put the rules in place."""
        return self.texts(self.wanted(addresses))

    def admits(self) -> Admits:
        """Say who may reach the ports."""
        one = self.places.get(IPV4)
        listed = ADMITTED.findall("\n".join(one.listing(CHAIN))) if one else []
        found = ordered(address.partition("/")[0] for address in listed)
        if not self.places or not self.is_in_kernel(found):
            return {"addresses": None, "kept": False}
        return {"addresses": found, "kept": self.are_kept(self.files(found))}


def place(family: Family) -> Place | None:
    """Return where the rules of an IP family are called, by the same program that the engine uses."""
    found = iptables.program(family) or next(iter(iptables.programs(family)), "")
    usable = found and (family is IPV4 or iptables.listing(found, INPUT) is not None)  # IPv6 may be off
    return Place(found, FILTER, INPUT) if usable else None


def rules(addresses: Iterable[str], family: Family) -> list[Rule]:
    """Return the rules of an IP family: the host itself and these addresses pass, and others do not for these ports."""
    known = [one for one in ordered(addresses) if (ipaddress.ip_address(one).version == 6) == (family is IPV6)]
    return [
        ("-i", "lo", *PASS),
        *(("-s", one, *PASS) for one in known),
        *(("-p", port.protocol, "--dport", str(port.number), *DROP) for port in SWARM_PORTS),
    ]


def ordered(addresses: Iterable[str]) -> list[str]:
    """Return addresses in one order, each once."""
    return sorted(set(addresses), key=lambda one: (ipaddress.ip_address(one).version, int(ipaddress.ip_address(one))))
