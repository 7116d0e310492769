"""The iptables programs of a host, and the place from which a stack's own chain is called."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6, Family

if TYPE_CHECKING:
    pass


Rule = tuple[str, ...]  # as iptables takes it, without the chain


FILTER, PARENT = "filter", "DOCKER-USER"


ENGINES_OWN = "DOCKER"  # where there is none, the engine leaves this family alone


# Which of the kernel's two tables the engine uses depends on the host's alternatives: the one that has its chains.
VARIANTS = ("", "-nft", "-legacy")


PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


WAIT = ("-w", "10")  # seconds for another program that holds the table's lock


SECONDS = 30.0  # for one program


DROP = ("-j", "DROP")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program."""
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def listing(program: str, name: str, table: str = FILTER) -> list[str] | None:
    """List the rules of a chain; None where there is no such chain."""
    found = run(program, *WAIT, "-t", table, "-S", name)
    return [line for line in found.stdout.splitlines() if line.startswith("-A ")] if found.returncode == 0 else None


def fingerprint(wanted: list[Rule]) -> str:
    """Hash rules (16 hex digits): how iptables prints a rule differs between its versions, its remark does not."""
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]


class Place(NamedTuple):
    """Where in one family's rules a stack's chain is called from."""

    program: str
    table: str
    parent: str

    def listing(self, name: str) -> list[str]:
        """List the rules of a chain."""
        return listing(self.program, name, self.table) or []

    def stands(self, name: str, wanted: list[Rule]) -> bool:
        """Tell whether just these rules are in place, and asked; where there are to be none, whether it is gone."""
        present = self.listing(name)
        called = any(line.endswith(f"-j {name}") for line in self.listing(self.parent))
        if not wanted:
            return not present and not called
        signed = bool(present) and f'"{name} {fingerprint(self.able(wanted))}"' in present[-1]
        return called and signed and len(present) == len(wanted) + 1

    def able(self, wanted: list[Rule]) -> list[Rule]:
        """Return the rules as this table can carry them out: only the table filter refuses."""
        if self.table == FILTER:
            return wanted
        dropped = [(*rule[: rule.index("-j")], *DROP) if "REJECT" in rule else rule for rule in wanted]
        return list(dict.fromkeys(dropped))

    def drop(self, name: str) -> None:
        """Take a chain away."""
        for arguments in (("-D", self.parent, "-j", name), ("-F", name), ("-X", name)):
            run(self.program, *WAIT, "-t", self.table, *arguments)


def place(family: Family = IPV4) -> Place | None:
    """Return where a chain is called from; None where the engine's firewall has no place for one."""
    found = [path for variant in VARIANTS if (path := shutil.which(f"{family.iptables}{variant}", path=PATH))]
    for path in found:
        if listing(path, PARENT) is not None:
            return Place(path, FILTER, PARENT)
    for path in found if family is IPV6 else ():
        if listing(path, ENGINES_OWN) is not None:
            return Place(path, "mangle", "FORWARD")
    return None


def program(family: Family = IPV4) -> str:
    """Return the iptables that the engine uses; empty where it leaves no place for a chain."""
    found = place(family)
    return found.program if found else ""
