# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which rules of iptables the engine wrote for some networks, and what puts back those that are gone.

Each version of the engine writes other rules, so none is written down here. Rules count as the engine's by their
form: in the kernel's chains calls of its own chains and what only the engine writes for a bridge, and in its own chains
all but what it never writes there. What somebody else may have written is left out: to put that back could open or
block something. Pure: listings in, rules and commands out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.iptables import ENGINES_OWN, PARENT
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Chain, Rule, Rules, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What the engine writes for services of a Swarm comes and goes with them.
OF_SWARM = "DOCKER-INGRESS"
KERNELS = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})
ENDS = "-j RETURN"
LOOPBACKS = frozenset({"127.0.0.0/8", "::1/128"})
ANSWERS = "--ctstate RELATED,ESTABLISHED"
# The conditions of what the engine writes into a chain of the kernel, by table, chain and target; see `form`. It also
# drops what passes from a bridge to itself, but not on a network of a stack.
FORMS: dict[tuple[str, str], dict[str, tuple[frozenset[str], ...]]] = {
    ("filter", "FORWARD"): {
        "ACCEPT": (frozenset({"-o", ANSWERS}), frozenset({"-i", "! -o"}), frozenset({"-i", "-o"})),
    },
    ("nat", "POSTROUTING"): {
        "MASQUERADE": (
            frozenset({"-s", "! -o"}),
            frozenset({"-o", "--src-type LOCAL"}),
            frozenset({"-s", "-d", "-p", "--dport"}),
        ),
        "SNAT": (frozenset({"-s", "! -o"}),),
    },
    ("raw", "PREROUTING"): {"DROP": (frozenset({"-d", "! -i"}), frozenset({"-d", "! -i", "-p", "--dport"}))},
}
VALUED = frozenset({"-s", "-d", "-i", "-o", "-p", "--dport"})  # with values that differ from network to network
WHOLLY = frozenset({"ACCEPT", "DROP", "RETURN", "DNAT"})  # targets in the engine's chains, beside others of its chains
# Of each published port of a container, by its address and port: the addresses, empty for all, and ports of the host.
Published = Mapping[tuple[str, int], Collection[tuple[str, int]]]


class Bridges(NamedTuple):
    """The networks that rules may be about."""

    devices: frozenset[str]
    subnets: tuple[str, ...]

    def has(self, address: str) -> bool:
        """Tell whether an address, or all of a range, is of one of the networks."""
        try:
            wanted = ipaddress.ip_network(address, strict=False)
        except ValueError:
            return False
        first, last = int(wanted.network_address), int(wanted.broadcast_address)
        same = [one for one in map(ipaddress.ip_network, self.subnets) if one.version == wanted.version]
        return any(int(one.network_address) <= first and last <= int(one.broadcast_address) for one in same)


def devices(rule: Rule) -> set[str]:
    """Return the interfaces that a rule names."""
    return {one.values[0] for one in rule.conditions if one.option in {"-i", "-o"} and one.values}


def sent_to(rule: Rule) -> tuple[str, int]:
    """Return where a rule sends packets on, as address and port; empty and 0 where it sends them nowhere."""
    words = words_of(rule.text) if "--to-destination" in rule.text else []
    if "--to-destination" not in words:
        return "", 0
    address, __, port = words[words.index("--to-destination") + 1].rpartition(":")
    return address.strip("[]"), int(port) if port.isdigit() else 0


def addresses(rule: Rule) -> list[str]:
    """Return the addresses and ranges that a rule names, without those of the host's loopback."""
    named = [one.values[0] for one in rule.conditions if one.option in {"-s", "-d"} and one.values]
    named += filter(None, [sent_to(rule)[0]])
    return [one for one in named if one not in LOOPBACKS]


def is_of_engine(rule: Rule) -> bool:
    """Tell whether only the engine writes a rule of this form."""
    if "--comment" in rule.text or OF_SWARM in {rule.chain, rule.target}:
        return False
    if not rule.value("--dport").isdigit() and rule.value("--dport"):
        return False  # the engine writes a rule for each port
    if rule.chain.startswith(ENGINES_OWN):
        # The chain of the users is for everybody's rules.
        return rule.chain != PARENT and (rule.target.startswith(ENGINES_OWN) or may_write(rule))
    if rule.chain not in KERNELS:
        return False
    if rule.target.startswith(ENGINES_OWN):
        return True
    return len(devices(rule)) <= 1 and form(rule) in FORMS.get((rule.table, rule.chain), {}).get(rule.target, ())


def form(rule: Rule) -> frozenset[str]:
    """Return the conditions of a rule, without the values that differ from network to network."""
    return frozenset(
        ("! " if one.negated else "") + (one.option if one.option in VALUED else " ".join((one.option, *one.values)))
        for one in rule.conditions
    )


def may_write(rule: Rule) -> bool:
    """Tell whether the engine may have written a rule into a chain of its own.

    It lets in only answers and what goes to a published port, and it excepts nothing and closes no single container.
    """
    has = form(rule)
    if rule.table != "filter" or rule.target not in {"ACCEPT", "DROP"}:
        return rule.target in WHOLLY and (rule.table != "filter" or not has)
    alone = any(is_of_one(one) for one in addresses(rule))
    if rule.target == "DROP":
        return not alone and (rule.chain != ENGINES_OWN or "! -i" in has)
    return ANSWERS in has or (alone and "--dport" in has) or ("-i" in has and not addresses(rule))


def is_of_one(address: str) -> bool:
    """Tell whether a range is one address."""
    network = ipaddress.ip_network(address, strict=False)
    return network.prefixlen == network.max_prefixlen


def is_about(rule: Rule, bridges: Bridges) -> bool:
    """Tell whether a rule is about these networks only."""
    named = devices(rule)
    there = [one for one in addresses(rule) if bridges.has(one)]
    return named <= bridges.devices and bool(named or there)


def is_shared(rule: Rule) -> bool:
    """Tell whether a rule is about no network, but leads to those that are."""
    return (
        not devices(rule) and not addresses(rule) and (rule.target.startswith(ENGINES_OWN) or rule.target == "RETURN")
    )


def written_for(rules: Rules, bridges: Bridges) -> tuple[list[Chain], list[Rule]]:
    """Return the engine's chains, and the rules that it wrote for these networks or for all, in order.

    :param rules: of one program
    """
    chains = [one for known in rules.policies.values() for one in known if of_engine(one)]
    found = [rule for known in rules.chains.values() for listed in known.values() for rule in listed]
    return chains, [one for one in found if is_of_engine(one) and (is_shared(one) or is_about(one, bridges))]


def of_engine(chain: Chain) -> bool:
    """Tell whether a chain is one of the engine's."""
    return chain[1].startswith(ENGINES_OWN) and chain[1] != OF_SWARM


def serves(rule: Rule, bridges: Bridges, running: Collection[str], published: Published) -> bool:
    """Tell whether a rule for one container is still needed; one for a whole network is.

    :param running: the addresses of containers that run
    """
    asked = rule.value("--dport")  # a number: rules of the engine have no ranges of ports
    for one in filter(bridges.has, addresses(rule)):
        if not is_of_one(one):
            continue
        address = str(ipaddress.ip_network(one, strict=False).network_address)
        port = sent_to(rule)[1] or int(asked or 0)
        if address not in running or (port and (address, port) not in published):
            return False
        if rule.target == "DNAT" and not any(
            str(number) == asked and (rule.value("-d") or not host) for host, number in published[address, port]
        ):
            return False  # it would open the port on other addresses or ports of the host than the engine does
    return True


def moved(published: Published, running: Mapping[str, str], present: Rules) -> frozenset[tuple[str, int]]:
    """Return the published ports to which another address of the same container gets what comes in.

    The engine sends a port on to one network of a container, and to another one where its networks change.

    :param running: the container that has each address, by its id
    """
    sent = {sent_to(rule) for known in present.chains.values() for listed in known.values() for rule in listed}
    by_container = {(running[address], ":" in address, port) for address, port in sent if address in running}
    return frozenset(
        (address, port)
        for address, port in published
        if (address, port) not in sent and (running[address], ":" in address, port) in by_container
    )


def missing(wanted: Iterable[Rule], present: Rules) -> Iterator[Rule]:
    """Return the rules that a listing has not."""
    for rule in wanted:
        if rule.text not in [one.text for one in present.of(rule.table, rule.chain)]:
            yield rule


class Mender:
    """Commands that put chains and rules back, each at its place among those that are there."""

    def __init__(self, program: str, present: Rules, order: Iterable[Rule]) -> None:
        """Take what is there, and the order that the rules had.

        :param program: as people call it
        """
        self.program = program
        self.chains = {chain for known in present.policies.values() for chain in known}
        self.there = {
            chain: [one.text for one in listed] for known in present.chains.values() for chain, listed in known.items()
        }
        self.order: dict[Chain, list[str]] = {}
        for rule in order:
            self.order.setdefault((rule.table, rule.chain), []).append(rule.text)

    def chain(self, chain: Chain) -> list[str]:
        """Make a chain where it is missing."""
        if chain in self.chains:
            return []
        self.chains.add(chain)
        return [f"{self.program} -w -t {chain[0]} -N {chain[1]}"]

    def rule(self, rule: Rule) -> str:
        """Put a rule behind the last of those that came before it, else at the top, where the engine inserts.

        What ends its chain stays at the end: the rules of other networks come before it.
        """
        chain = (rule.table, rule.chain)
        there, order = self.there.setdefault(chain, []), self.order[chain]
        before = [there.index(one) + 1 for one in order[: order.index(rule.text)] if one in there]
        number = len(there) if rule.text == ENDS else max(before, default=0)
        there.insert(number, rule.text)
        return f"{self.program} -w -t {rule.table} -I {rule.chain} {number + 1} {rule.text}"
