# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""All rules over one set of facts."""

from __future__ import annotations

from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import (
    connections,
    containers,
    engine,
    firewall,
    kernel,
    names,
    networks,
    ports,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts, Rule
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

RULES: tuple[Rule, ...] = tuple(
    rule for each in (engine, kernel, networks, firewall, containers, names, connections, ports) for rule in each.RULES
)


# What explains the findings after it.
ROOT_CAUSES = ("restart-loop", "detached")


def diagnose(facts: Facts) -> list[Finding]:
    """Return every finding once, root causes first."""
    found = dict.fromkeys(finding for rule in RULES for finding in rule(facts))
    return sorted(found, key=lambda finding: finding.rule not in ROOT_CAUSES)


def summary(facts: Facts) -> str:
    """Write one line about a host that has no finding."""
    if facts["host"]["engine"] is None:
        return "all is well: no Docker Engine runs here, and none is installed"
    counts = [f"{len(facts['networks'])} networks", f"{len(facts['containers'])} containers"]
    counts += [f"{len(facts['connections'])} connections", f"{len(facts['ports'])} ports"]
    return f"all is well: looked at {', '.join(counts)}"
