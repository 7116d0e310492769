# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a stack's own chain is asked about a new connection, or a rule of somebody lets that pass before.

The engine calls DOCKER-USER first of all rules in FORWARD, and what is inserted there later comes before it. A rule
that names its own few sources or ports is somebody's exception. One that also lets pass what a stack would refuse
everybody leaves the stack open. Pure: a listing of iptables and connections in, the rule out.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import (
    DEPTH,
    HINDRANCES,
    TERMINAL,
    Rule,
    certain,
    parse_rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Packet

DECIDES = TERMINAL | {"RETURN"}
Chains = dict[str, list[Rule]]  # of one table


class Bypass(NamedTuple):
    """How connections pass a chain that should be asked about them."""

    chain: str  # where the call is missing or comes too late
    call: str  # the chain that is to be called there
    number: int  # the rule of `chain` before which the call must stand, counted from 1
    rule: Rule | None  # what lets them pass; None where nothing calls the chain

    @property
    def text(self) -> str:
        """What is wrong, for people."""
        if self.rule is None:
            return f"nothing in {self.chain} calls {self.call}"
        where = f"`{self.rule.text}` in {self.rule.table} {self.rule.chain}"
        return f"{where} lets connections pass before {self.call} is called"

    def mend(self, table: str, chains: Chains) -> str:
        """Return text for iptables-restore, which puts the call in its place in one step and removes no other rule."""
        plain = f"-j {self.call}"
        there = any(rule.text == plain for rule in chains.get(self.chain, []))
        lines = [f"-D {self.chain} {plain}"] if there else []
        return "\n".join([f"*{table}", *lines, f"-I {self.chain} {self.number} {plain}", "COMMIT"]) + "\n"


def chains_in(table: str, listing: Iterable[str]) -> Chains:
    """Read the chains of a table from what ``iptables -S`` prints."""
    found: Chains = {}
    for line in listing:
        option, __, rest = line.partition(" ")
        rules = found.setdefault(rest.partition(" ")[0], [])
        if option == "-A":
            rules.append(parse_rule(table, line))
    return found


def bypass(chains: Chains, path: Sequence[str], connections: Iterable[Packet]) -> Bypass | None:
    """Return how one of these connections passes the last chain of a path; None where it is asked about each.

    One that a rule stops before is no matter.

    :param path: the chains of which each calls the next one
    """
    found = [way for one in connections if (way := _bypass(chains, path, one))]
    return min(found, key=lambda way: (path.index(way.chain), way.number), default=None)


def _bypass(chains: Chains, path: Sequence[str], packet: Packet) -> Bypass | None:
    for chain, call in pairwise(path):
        found = _first(chains, chain, call, packet, DEPTH)
        if found is None or not _called(chains, chain, call):
            return Bypass(chain, call, 1, None)
        number, rule = found
        if rule.target in HINDRANCES:
            return None
        if rule.target != call:
            return Bypass(chain, call, number, rule)
    return None


def _called(chains: Chains, chain: str, call: str) -> bool:
    """Tell whether a chain calls another one anywhere, also by way of others."""
    seen, queue = {chain}, [chain]
    while queue:
        targets = {rule.target for rule in chains.get(queue.pop(), [])}
        if call in targets:
            return True
        queue += (targets & chains.keys()) - seen
        seen |= targets
    return False


def _first(
    chains: Mapping[str, list[Rule]], chain: str, call: str, packet: Packet, depth: int
) -> tuple[int, Rule] | None:
    """Return the first rule that calls a chain or decides about a packet, also by way of others, and its place."""
    for number, rule in enumerate(chains.get(chain, []), 1):
        if not all(certain(one, packet) for one in rule.conditions):
            continue
        if rule.target == call or rule.target in DECIDES:
            return number, rule
        if rule.target in chains and depth:
            inner = _first(chains, rule.target, call, packet, depth - 1)
            if inner and inner[1].target != "RETURN":
                return number, inner[1]
    return None
