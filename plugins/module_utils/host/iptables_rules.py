# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The kernel's iptables rules as data: what they do with a packet, and which of the engine's own rules are there.

The kernel has two sets of rules side by side, nft and legacy (xtables-nft(8)), and a packet passes both. The host's
alternatives decide which of the two the command iptables shows.

The rules are read from what iptables-save prints (iptables-extensions(8)). A condition that is not understood counts as
met: the result explains a failure that was measured, and does not predict one.
"""

from __future__ import annotations

import ipaddress
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.iptables import PATH

SECONDS = 10  # iptables-save reads memory; only a hung kernel takes longer
TERMINAL = frozenset({"ACCEPT", "DROP", "REJECT"})
HINDRANCES = frozenset({"DROP", "REJECT"})
DEPTH = 16  # of chains that call each other; the engine's own go four deep
INERT = frozenset({"-m", "--comment", "--reject-with", "--to-destination", "--random", "--log-prefix", "-j", "-g"})

IPTABLES = "iptables"
SETS = ("nft", "legacy")

QUOTES = frozenset("\"'\\")
OPENS = ("FIN,SYN,RST,ACK", "SYN")  # how --syn is listed

Chain = tuple[str, str]  # table and chain


class Condition(NamedTuple):
    """One condition of a rule."""

    option: str
    values: tuple[str, ...]
    negated: bool


class Rule(NamedTuple):
    """One rule of a chain, or the policy at its end."""

    table: str
    chain: str
    text: str  # as iptables-save prints it, without "-A" and the chain
    target: str
    conditions: tuple[Condition, ...] = ()
    policy: bool = False
    program: str = IPTABLES  # the program that shows it

    @property
    def shown(self) -> str:
        """The rule in one line for people."""
        place = f"{self.table} {self.chain}" + (f" of {self.program}" if self.program != IPTABLES else "")
        return f"policy of {place}: {self.target}" if self.policy else f"{place}: {self.text}"

    @property
    def removal(self) -> str:
        """The command that removes it."""
        if self.policy:
            return f"{self.program} -t {self.table} -P {self.chain} ACCEPT"
        return f"{self.program} -t {self.table} -D {self.chain} {self.text}"

    def value(self, option: str) -> str:
        """Return the value of a condition; empty where the rule has no such condition."""
        return next((one.values[0] for one in self.conditions if one.option == option and one.values), "")


class Packet(NamedTuple):
    """A TCP packet. Empty text and 0 mean not known, which meets every condition."""

    source: str
    target: str
    port: int = 0  # of the target
    source_port: int = 0
    enters: str = ""  # the interface that it comes in by
    leaves: str = ""  # the interface that it goes out by
    asked_port: int = 0  # of the target, before the engine rewrote it
    state: str = "NEW"  # of its connection (conntrack)

    def answer(self) -> Packet:
        """Return the packet that answers it."""
        there = (self.target, self.source, self.source_port, self.port)
        return Packet(*there, self.leaves, self.enters, self.asked_port, "ESTABLISHED")


class Rules(NamedTuple):
    """All rules of one network namespace, in order, and the policies of all chains, by the program that shows both."""

    chains: dict[str, dict[Chain, list[Rule]]]
    policies: dict[str, dict[Chain, str]]

    def programs(self, table: str, chain: str) -> list[str]:
        """List the programs that show a chain."""
        return [program for program, known in self.policies.items() if (table, chain) in known]

    def only(self, program: str) -> Rules:
        """Return the rules and policies that one program shows."""
        return Rules({program: self.chains.get(program, {})}, {program: self.policies.get(program, {})})

    def of(self, table: str, chain: str) -> list[Rule]:
        """List the rules of a chain, of all programs."""
        return [rule for known in self.chains.values() for rule in known.get((table, chain), [])]

    def hindrance(self, path: list[Chain], packet: Packet) -> Rule | None:
        """Return the rule or policy that stops a packet on its way through these chains; None where none does."""
        for program, policies in self.policies.items():
            for table, chain in path:
                rule = self._verdict(program, (table, chain), packet, DEPTH)
                if rule is None and policies.get((table, chain)) in HINDRANCES:
                    return Rule(table, chain, "", policies[table, chain], policy=True, program=program)
                if rule is not None and rule.target in HINDRANCES:
                    return rule
        return None

    def _verdict(self, program: str, where: Chain, packet: Packet, depth: int) -> Rule | None:
        for rule in self.chains[program].get(where, []):
            if not all(met(one, packet) for one in rule.conditions):
                continue
            if rule.target in TERMINAL:
                return rule
            if rule.target == "RETURN":
                return None
            called = (where[0], rule.target)
            if called in self.policies[program] and depth:
                inner = self._verdict(program, called, packet, depth - 1)
                if inner is not None:
                    return inner
        return None


def met(condition: Condition, packet: Packet) -> bool:
    """Tell whether a packet may meet a condition."""
    holds = _holds(condition.option, condition.values, packet)
    return True if holds is None else holds != condition.negated


def certain(condition: Condition, packet: Packet) -> bool:
    """Tell whether a packet meets a condition for certain: one that is not understood does not count as met here."""
    holds = _holds(condition.option, condition.values, packet)
    return holds is not None and holds != condition.negated


def _holds(option: str, values: tuple[str, ...], packet: Packet) -> bool | None:
    """Tell whether a condition holds; None where that can't be known."""
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
    if option == "--tcp-flags" and values == OPENS:
        return packet.state == "NEW"
    return None


def _inside(address: str, network: str) -> bool | None:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None


def _in_ports(port: int, text: str) -> bool:
    for part in text.split(","):
        first, __, last = part.partition(":")
        if int(first or 0) <= port <= int(last or first or 65535):
            return True
    return False


def parse(text: str) -> Rules:
    """Read the text that iptables-save printed, or that `save` returned."""
    rules = Rules({}, {})
    program, table = IPTABLES, ""
    for line in text.splitlines():
        if line.startswith(f"#{IPTABLES}"):
            program = line[1:]
        chains, policies = rules.chains.setdefault(program, {}), rules.policies.setdefault(program, {})
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            policies[table, chain] = policy
        elif line.startswith("-A "):
            rule = parse_rule(table, line)._replace(program=program)
            chains.setdefault((table, rule.chain), []).append(rule)
    return rules


def words_of(text: str) -> list[str]:
    """Split a rule as a shell does; nearly none has a quote, and a plain split takes a fiftieth of the time."""
    return shlex.split(text) if QUOTES.intersection(text) else text.split()


def parse_rule(table: str, line: str) -> Rule:
    """Read one line that adds a rule to a chain."""
    __, chain, *rest = line.split(" ", 2)
    words = words_of(rest[0]) if rest else []
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
    """List the published ports as the rules have them.

    :return: (host address, or empty for all of them, and host port) -> ``address:port`` of a container
    """
    return {
        (rule.value("-d").partition("/")[0], int(rule.value("--dport"))): rule.text.rpartition(" ")[2]
        for rule in rules.of("nat", "DOCKER")
        if rule.target == "DNAT" and rule.value("--dport").isdigit()  # somebody's own may have a range, or no port
    }


def masqueraded(rules: Rules) -> set[str]:
    """List the subnets whose packets leave the host with the host's own address as source."""
    return {rule.value("-s") for rule in rules.of("nat", "POSTROUTING") if rule.target == "MASQUERADE"}


def save() -> str:
    """Return all rules of the calling thread's network namespace; before each set, a line names its program.

    :raises OSError: where they can't be read
    """
    usual = Path(shutil.which(IPTABLES, path=PATH) or IPTABLES).resolve().name  # xtables-nft-multi, or -legacy-
    others = [f"{IPTABLES}-{one}" for one in SETS if one not in usual] if "xtables" in usual else []
    programs = [IPTABLES, *(one for one in others if shutil.which(one, path=PATH))]
    return "".join(f"#{program}\n{saved(program)}" for program in programs)


def saved(program: str) -> str:
    """Return what one program prints; raises OSError where it fails."""
    command = f"{program}-save"
    try:
        run = subprocess.run(
            [command], capture_output=True, text=True, check=False, timeout=SECONDS, env={"PATH": PATH}
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command} does not answer within {SECONDS} s") from error
    if run.returncode:
        raise OSError(f"{command}: {run.stderr.strip()}")
    return run.stdout
