"""The kernel's iptables rules as data: what would become of a packet, and which of the engine's own rules are there.

Reads what iptables-save prints (iptables-extensions(8)). A condition that is not understood counts as met: the verdict
explains a failure that was measured, it does not predict one.
"""

from __future__ import annotations

import ipaddress
import shlex
import subprocess
from typing import NamedTuple

SECONDS = 10  # iptables-save reads memory; only a hung kernel takes longer
TERMINAL = frozenset({"ACCEPT", "DROP", "REJECT"})
HINDRANCES = frozenset({"DROP", "REJECT"})
DEPTH = 16  # chains that call each other; the engine nests four
INERT = frozenset({"-m", "--comment", "--reject-with", "--to-destination", "--random", "--log-prefix", "-j", "-g"})

Chain = tuple[str, str]  # table and chain


class Condition(NamedTuple):
    """One condition of a rule."""

    option: str
    values: tuple[str, ...]
    negated: bool


class Rule(NamedTuple):
    """One rule of a chain, or the policy that stands at its end."""

    table: str
    chain: str
    text: str  # as iptables-save prints it, without its first two words
    target: str
    conditions: tuple[Condition, ...] = ()
    policy: bool = False

    @property
    def shown(self) -> str:
        """The rule for people."""
        if self.policy:
            return f"policy of {self.table} {self.chain}: {self.target}"
        return f"{self.table} {self.chain}: {self.text}"

    @property
    def removal(self) -> str:
        """The command that takes it away."""
        if self.policy:
            return f"iptables -t {self.table} -P {self.chain} ACCEPT"
        return f"iptables -t {self.table} -D {self.chain} {self.text}"

    def value(self, option: str) -> str:
        """Return what a condition compares with; empty where the rule has no such condition."""
        return next((one.values[0] for one in self.conditions if one.option == option and one.values), "")


class Packet(NamedTuple):
    """A TCP packet on its way; empty and 0 stand for what is not known, which meets every condition."""

    source: str
    target: str
    port: int = 0  # of the target
    source_port: int = 0
    enters: str = ""  # interface
    leaves: str = ""
    asked_port: int = 0  # that was asked for, before the engine rewrote the target
    state: str = "NEW"  # of its connection, as conntrack counts

    def answer(self) -> Packet:
        """Return the packet that answers it."""
        return Packet(
            self.target,
            self.source,
            self.source_port,
            self.port,
            self.leaves,
            self.enters,
            self.asked_port,
            "ESTABLISHED",
        )


class Rules(NamedTuple):
    """All rules of one network namespace, in order."""

    chains: dict[Chain, list[Rule]]
    policies: dict[Chain, str]

    def has(self, table: str, chain: str) -> bool:
        """Tell whether a chain exists."""
        return (table, chain) in self.policies

    def of(self, table: str, chain: str) -> list[Rule]:
        """List the rules of a chain."""
        return self.chains.get((table, chain), [])

    def hindrance(self, path: list[Chain], packet: Packet) -> Rule | None:
        """Return the rule or policy that stops a packet on its way through these chains, or None."""
        for table, chain in path:
            rule = self._verdict(table, chain, packet, DEPTH)
            if rule is None and self.policies.get((table, chain)) in HINDRANCES:
                return Rule(table, chain, "", self.policies[table, chain], policy=True)
            if rule is not None and rule.target in HINDRANCES:
                return rule
        return None

    def _verdict(self, table: str, chain: str, packet: Packet, depth: int) -> Rule | None:
        for rule in self.of(table, chain):
            if not all(met(one, packet) for one in rule.conditions):
                continue
            if rule.target in TERMINAL:
                return rule
            if rule.target == "RETURN":
                return None
            if (table, rule.target) in self.policies and depth:
                inner = self._verdict(table, rule.target, packet, depth - 1)
                if inner is not None:
                    return inner
        return None


def met(condition: Condition, packet: Packet) -> bool:
    """Tell whether a packet may meet a condition."""
    holds = _holds(condition.option, condition.values, packet)
    return True if holds is None else holds != condition.negated


def _holds(option: str, values: tuple[str, ...], packet: Packet) -> bool | None:
    """Tell whether it holds, or None where that can't be known."""
    value = values[0] if values else ""
    if option in {"-s", "-d"}:
        address = packet.source if option == "-s" else packet.target
        return _inside(address, value) if address else None
    if option in {"-i", "-o"}:
        device = packet.enters if option == "-i" else packet.leaves
        return (device.startswith(value[:-1]) if value.endswith("+") else device == value) if device else None
    if option == "-p":
        return value in {"tcp", "all", "6"}
    if option in {"--dport", "--dports", "--sport", "--sports", "--ctorigdstport"}:
        known = {"--ctorigdstport": packet.asked_port}.get(
            option, packet.port if option.startswith("--d") else packet.source_port
        )
        return _in_ports(known, value) if known else None
    if option in {"--ctstate", "--state"}:
        return packet.state in value.split(",")
    return None


def _inside(address: str, network: str) -> bool | None:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None


def _in_ports(port: int, text: str) -> bool:
    for part in text.split(","):
        first, _, last = part.partition(":")
        if int(first or 0) <= port <= int(last or first or 65535):
            return True
    return False


def parse(text: str) -> Rules:
    """Read what iptables-save printed."""
    chains: dict[Chain, list[Rule]] = {}
    policies: dict[Chain, str] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            policies[table, chain] = policy
        elif line.startswith("-A "):
            rule = parse_rule(table, line)
            chains.setdefault((table, rule.chain), []).append(rule)
    return Rules(chains, policies)


def parse_rule(table: str, line: str) -> Rule:
    """Read one line that appends a rule."""
    _, chain, *rest = line.split(" ", 2)
    words = shlex.split(rest[0]) if rest else []
    conditions: list[Condition] = []
    target, index = "", 0
    while index < len(words):
        negated = words[index] == "!"
        index += negated
        option = words[index]
        values: list[str] = []
        index += 1
        while index < len(words) and words[index] != "!" and not words[index].startswith("-"):
            values.append(words[index])
            index += 1
        if option in {"-j", "-g"}:
            target = values[0]
        elif option not in INERT:
            conditions.append(Condition(option, tuple(values), negated))
    return Rule(table, chain, rest[0] if rest else "", target, tuple(conditions))


def published(rules: Rules) -> dict[tuple[str, int], str]:
    """List what the engine rewrites: (host address or empty, host port) -> ``address:port`` of a container."""
    return {
        (rule.value("-d").partition("/")[0], int(rule.value("--dport") or 0)): rule.text.rpartition(" ")[2]
        for rule in rules.of("nat", "DOCKER")
        if rule.target == "DNAT"
    }


def masqueraded(rules: Rules) -> set[str]:
    """List the subnets whose packets leave the host under its own address."""
    return {rule.value("-s") for rule in rules.of("nat", "POSTROUTING") if rule.target == "MASQUERADE"}


def save() -> str:
    """Return what iptables-save prints in the network namespace of the calling thread.

    :raises OSError: where it is missing or fails
    """
    environment = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
    try:
        run = subprocess.run(
            ["iptables-save"], capture_output=True, text=True, check=False, timeout=SECONDS, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"iptables-save does not answer within {SECONDS} s") from error
    if run.returncode:
        raise OSError(f"iptables-save: {run.stderr.strip()}")
    return run.stdout
