# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A finding: one thing that is wrong on a host, told so that a person can mend it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Finding(NamedTuple):
    """What is wrong, what shows it, and the commands that mend it."""

    rule: str  # which rule found it, such as address-pools
    subject: str  # the container, network, path or program that is concerned
    wrong: str
    evidence: str
    mend: tuple[str, ...]  # commands; a line that begins with # is advice
    fixable: bool = False  # the commands touch nothing but what carries the stack's label
    severity: str = ""  # critical, warning or info, where whoever found it tells them apart

    @property
    def lines(self) -> list[str]:
        """The finding for people."""
        bad = f"{self.severity}: " if self.severity else ""
        return [
            f"{bad}{self.subject}: {self.wrong} [{self.rule}]",
            f"  evidence: {self.evidence}",
            *(f"  mend: {one}" for one in self.mend),
        ]


def of(told: Mapping[str, Any]) -> Finding:
    """Return a finding that a module returned: on its way, JSON makes a list of the commands."""
    return Finding(**told)._replace(mend=tuple(told["mend"]))


def report(findings: Sequence[Finding], head: str = "") -> str:
    """Return all findings for people, numbered.

    :param head: the line above them; without it, their number
    """
    count = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    lines = [head or f"{count}:"]
    for number, finding in enumerate(findings, 1):
        first, *rest = finding.lines
        lines += [f"{number}. {first}", *rest]
    return "\n".join(lines)


def docker(*words: str) -> str:
    """A command line of docker for a shell; empty words are left out."""
    return shlex.join(["docker", *(one for one in words if one)])
