# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The iptables programs of a host, and where the engine's firewall calls a stack's own chain (iptables(8))."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6, Family

Rule = tuple[str, ...]  # the words that iptables takes, without the chain

FILTER, FORWARD, PARENT = "filter", "FORWARD", "DOCKER-USER"
ENGINES_OWN = "DOCKER"  # without this chain, the engine sets no rules for an IP family
# The kernel has two sets of tables, nft and legacy. Which one the engine uses depends on the host's alternatives: it is
# the one that has the engine's chains.
VARIANTS = ("", "-nft", "-legacy")
PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
WAIT = ("-w", "10")  # seconds to wait for another program that holds the lock of the tables
SECONDS = 30.0  # for one program
DROP = ("-j", "DROP")
PASS = ("-j", "RETURN")  # the engine's own rules come next
# Both are patterns of Python and of sed -E.
COMMENT = r' -m comment --comment ("([^"\\]|\\.)*"|[^ ]+)'
DECIDES = "ACCEPT|DROP|RETURN|REJECT.*"  # targets behind which no rule is asked any more
IMPLIED = frozenset(("-m tcp", "-m udp", "-m icmp6", "-m conntrack"))  # modules of the options beside them
KINDS = {"neighbour-solicitation": "135", "neighbour-advertisement": "136"}  # of ICMPv6, as they are listed

Meaning = frozenset[str]  # the options of a rule with their values


def run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program that reads a text."""
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=SECONDS, check=False)


def listing(program: str, name: str, table: str = FILTER) -> list[str] | None:
    """List the rules of a chain, as ``iptables -S`` prints them; None where there is no such chain."""
    found = run(program, *WAIT, "-t", table, "-S", name)
    return rules_in(found.stdout) if found.returncode == 0 else None


def rules_in(text: str) -> list[str]:
    """Return the lines of a listing that are rules."""
    return [line for line in text.splitlines() if line.startswith("-A ")]


def fingerprint(wanted: list[Rule]) -> str:
    """Hash rules to 16 hex digits, for a comment beside them: versions of iptables print the same rule differently."""
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]


def written(rule: Rule) -> str:
    """Write a rule as iptables-restore reads it, without the chain."""
    return " ".join(f'"{part}"' if " " in part else part for part in rule)


def meaning(rule: str) -> Meaning:
    """Return what a line of a listing says: without comment and modules, in no order, and in one spelling."""
    parts: list[list[str]] = []
    for word in re.sub(COMMENT, "", rule).split():
        if parts and (parts[-1] == ["!"] or not (word == "!" or word.startswith("-"))):
            parts[-1].append(word)
        else:
            parts.append([word])
    said = {" ".join(map(spelled, part)) for part in parts} - IMPLIED
    return frozenset(one for one in said if one.startswith("!") or not one.endswith("/0"))  # which is any address


def spelled(value: str) -> str:
    """Return the one spelling of a value: of an address, a kind of ICMPv6 or several states."""
    if "." in value or ":" in value:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_network(value, strict=False))
    return ",".join(sorted(KINDS.get(value, value).split(",")))


def restore_text(chain: str, wanted: list[Rule], table: str = FILTER) -> str:
    """Write rules for iptables-restore, which replaces a chain in one step.

    The last rule changes nothing. Its comment holds a fingerprint of the others.
    """
    lines = [written(rule) for rule in wanted]
    lines.append(f'-m comment --comment "{chain} {fingerprint(wanted)}" {" ".join(PASS)}')
    return "\n".join([f"*{table}", f":{chain} - [0:0]", *(f"-A {chain} {line}" for line in lines), "COMMIT"]) + "\n"


class Place(NamedTuple):
    """Where the rules of one IP family call a stack's own chain."""

    program: str
    table: str
    parent: str

    def listing(self, name: str) -> list[str]:
        """List the rules of a chain; empty where there is no such chain."""
        return listing(self.program, name, self.table) or []

    def path(self, name: str) -> list[str]:
        """Return the chains by which a connection comes to this one."""
        return [FORWARD, name] if self.parent == FORWARD else [FORWARD, self.parent, name]

    def everything(self) -> list[str]:
        """List the chains of the table and their rules; empty where iptables does not understand all of them."""
        found = run(self.program, *WAIT, "-t", self.table, "-S")
        return found.stdout.splitlines() if found.returncode == 0 else []

    def restore(self, text: str) -> None:
        """Make changes that iptables-restore reads, in one step and beside what is there."""
        run(f"{self.program}-restore", *WAIT, "--noflush", given=text)

    def is_in_place(self, name: str, wanted: list[Rule]) -> bool:
        """Tell whether a chain has exactly these rules and is called; without rules, whether the chain is gone."""
        present, parent = self.listing(name), self.listing(self.parent)
        if not wanted:
            return not present and not any(line.endswith(f"-j {name}") for line in parent)
        rules = self.possible(wanted)
        signed = bool(present) and f'"{name} {fingerprint(rules)}"' in present[-1]
        return signed and self.is_called(name, parent) and self.has_all(name, rules, present)

    def is_called(self, name: str, parent: list[str]) -> bool:
        """Tell whether a chain is called, and no rule before that decides about every packet."""
        pattern = re.compile(rf"-A {self.parent} -j ({name}|{DECIDES})")
        deciding = (found for line in parent if (found := pattern.fullmatch(re.sub(COMMENT, "", line))))
        first = next(deciding, None)
        return first is not None and first[1] == name

    def has_all(self, name: str, rules: list[Rule], present: list[str]) -> bool:
        """Compare what is listed of a chain with its rules, one by one."""
        text = restore_text(name, rules, self.table)
        if list(map(meaning, present)) == list(map(meaning, rules_in(text))):
            return True
        return present == self.as_listed(name, text)

    def as_listed(self, name: str, text: str) -> list[str]:
        """Return how this version of iptables lists rules: it is given them where there is nothing else."""
        script = f'"$1-restore" {" ".join(WAIT)} && exec "$1" {" ".join(WAIT)} -t {self.table} -S {name}'
        apart = ("sh", "-c", 'exec unshare --net sh -c "$1" sh "$2"', "sh", script, self.program)
        return rules_in(run(*apart, given=text).stdout)

    def possible(self, wanted: list[Rule]) -> list[Rule]:
        """Return the rules as this table can have them: only the table filter can reject, the others drop instead."""
        if self.table == FILTER:
            return wanted
        dropped = [(*rule[: rule.index("-j")], *DROP) if "REJECT" in rule else rule for rule in wanted]
        return list(dict.fromkeys(dropped))

    def remove(self, name: str) -> None:
        """Remove a chain and the rules that call it."""
        while run(self.program, *WAIT, "-t", self.table, "-D", self.parent, "-j", name).returncode == 0:
            pass
        for option in ("-F", "-X"):
            run(self.program, *WAIT, "-t", self.table, option, name)


def programs(family: Family) -> list[str]:
    """Return the paths of an IP family's programs that are here: the usual one, and those of the other set of tables.

    The usual one is another name of one of the two that say their set.
    """
    here = [path for variant in VARIANTS if (path := shutil.which(f"{family.iptables}{variant}", path=PATH))]
    same = {str(Path(path).resolve()): path for path in reversed(here)}
    return [path for path in here if path in same.values()]


def place(family: Family = IPV4) -> Place | None:
    """Return where the rules of an IP family can call a stack's chain; None where the engine has made no such place."""
    found = programs(family)
    for path in found:
        if listing(path, PARENT) is not None:
            return Place(path, FILTER, PARENT)
    for path in found if family is IPV6 else ():
        if listing(path, ENGINES_OWN) is not None:
            return Place(path, "mangle", FORWARD)
    return None


def program(family: Family = IPV4) -> str:
    """Return the path of the iptables program that the engine uses; empty where `place` finds none."""
    found = place(family)
    return found.program if found else ""
