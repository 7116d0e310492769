# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The iptables programs of a host, and where the engine's firewall calls a stack's own chain (iptables(8))."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6, Family

Rule = tuple[str, ...]  # the words that iptables takes, without the chain

FILTER, PARENT = "filter", "DOCKER-USER"
ENGINES_OWN = "DOCKER"  # without this chain, the engine sets no rules for an IP family
# The kernel has two sets of tables, nft and legacy. Which one the engine uses depends on the host's alternatives: it is
# the one that has the engine's chains.
VARIANTS = ("", "-nft", "-legacy")
PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
WAIT = ("-w", "10")  # seconds to wait for another program that holds the lock of the tables
SECONDS = 30.0  # for one program
DROP = ("-j", "DROP")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program."""
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def listing(program: str, name: str, table: str = FILTER) -> list[str] | None:
    """List the rules of a chain, as ``iptables -S`` prints them; None where there is no such chain."""
    found = run(program, *WAIT, "-t", table, "-S", name)
    return [line for line in found.stdout.splitlines() if line.startswith("-A ")] if found.returncode == 0 else None


def fingerprint(wanted: list[Rule]) -> str:
    """Hash rules to 16 hex digits, for a comment beside them: versions of iptables print the same rule differently."""
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]


class Place(NamedTuple):
    """Where the rules of one IP family call a stack's own chain."""

    program: str
    table: str
    parent: str

    def listing(self, name: str) -> list[str]:
        """List the rules of a chain; empty where there is no such chain."""
        return listing(self.program, name, self.table) or []

    def is_in_place(self, name: str, wanted: list[Rule]) -> bool:
        """Tell whether a chain has exactly these rules and is called; without rules, whether the chain is gone."""
        present = self.listing(name)
        called = any(line.endswith(f"-j {name}") for line in self.listing(self.parent))
        if not wanted:
            return not present and not called
        signed = bool(present) and f'"{name} {fingerprint(self.possible(wanted))}"' in present[-1]
        return called and signed and len(present) == len(wanted) + 1

    def possible(self, wanted: list[Rule]) -> list[Rule]:
        """Return the rules as this table can have them: only the table filter can reject, the others drop instead."""
        if self.table == FILTER:
            return wanted
        dropped = [(*rule[: rule.index("-j")], *DROP) if "REJECT" in rule else rule for rule in wanted]
        return list(dict.fromkeys(dropped))

    def remove(self, name: str) -> None:
        """Remove a chain and the rule that calls it."""
        for arguments in (("-D", self.parent, "-j", name), ("-F", name), ("-X", name)):
            run(self.program, *WAIT, "-t", self.table, *arguments)


def place(family: Family = IPV4) -> Place | None:
    """Return where the rules of an IP family can call a stack's chain; None where the engine has made no such place."""
    found = [path for variant in VARIANTS if (path := shutil.which(f"{family.iptables}{variant}", path=PATH))]
    for path in found:
        if listing(path, PARENT) is not None:
            return Place(path, FILTER, PARENT)
    for path in found if family is IPV6 else ():
        if listing(path, ENGINES_OWN) is not None:
            return Place(path, "mangle", "FORWARD")
    return None


def program(family: Family = IPV4) -> str:
    """Return the path of the iptables program that the engine uses; empty where `place` finds none."""
    found = place(family)
    return found.program if found else ""
