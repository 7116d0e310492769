# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""All rules over one set of facts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.sse.platform.plugins.module_utils.doctor import lookup, severity
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import (
    connections,
    containers,
    engine,
    firewall,
    kernel,
    names,
    networks,
    ports,
    services,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts, Rule
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of, networks_of
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.module_utils.preflight import engine_preflight

RULES: tuple[Rule, ...] = tuple(
    rule
    for each in (engine, kernel, networks, firewall, containers, names, connections, ports, services)
    for rule in each.RULES
)


DOCKER = re.compile(r"(?:(?<=^)|(?<=&& )|(?<=; )|(?<=\| ))docker (?=[a-z])")  # where it is the command
# What explains the findings after it.
ROOT_CAUSES = ("restart-loop", "detached", "bridge-down", "bridge-address")


def diagnose(facts: Facts) -> list[Finding]:
    """Return every finding once with its severity: root causes first, then the worst."""
    found = dict.fromkeys(
        for_this_engine(facts, for_tasks(facts, finding)) for rule in RULES for finding in rule(facts)
    )
    judged = [one._replace(severity=severity.of_rule(one.rule)) for one in found]
    return sorted(judged, key=lambda one: (one.rule not in ROOT_CAUSES, severity.ORDER.index(one.severity)))


def grouped(findings: Sequence[Finding]) -> dict[Finding, list[Finding]]:
    """Return the findings that have to be mended, each with those that are mended by the same commands."""
    found: dict[Finding, list[Finding]] = {}
    for one in findings:
        steps = commands_of(one)
        cause = next((other for other in found if steps and steps <= commands_of(other)), None)
        if cause:
            found[cause].append(one)
        else:
            found[one] = []
    return found


def commands_of(finding: Finding) -> set[str]:
    """Return the commands that mend a finding, without advice and without those that only show something."""
    return {line for line in finding.mend if not line.startswith(("#", "docker logs "))}


def count(findings: Sequence[Finding]) -> str:
    """Say how much there is to do: 1 thing to mend."""
    number = len(grouped(findings))
    return "1 thing to mend" if number == 1 else f"{number} things to mend"


def told(findings: Sequence[Finding]) -> str:
    """Write all findings for people: what has to be mended, numbered, and below it what comes from that."""
    lines = [f"{count(findings)}:"]
    for number, (one, more) in enumerate(grouped(findings).items(), 1):
        first, *rest = one.lines
        lines += [f"{number}. {first}", *rest]
        for other in more:
            lines += [f"  mended by it, too: {other.lines[0]}", f"    evidence: {other.evidence}"]
    return "\n".join(lines)


def for_this_engine(facts: Facts, finding: Finding) -> Finding:
    """Have the commands of a finding name the engine where DOCKER_HOST or a context would lead them to another one."""
    if not engine_preflight.other_engine(facts["host"]):
        return finding
    named = f"docker -H unix://{engine_preflight.SOCKET} "
    return finding._replace(mend=tuple(DOCKER.sub(named, line) for line in finding.mend))


def for_tasks(facts: Facts, finding: Finding) -> Finding:
    """Have the Swarm replace a task that something is wrong with: what is done to its container ends with that."""
    one = lookup.container(facts, finding.subject) if facts.get("several") else None
    if not one or not one["ours"]:
        return finding
    return finding._replace(mend=(f"./sse restart {one['labels'][f'{LABEL}container']}",), fixable=False)


def of_others(facts: Facts, finding: Finding) -> bool:
    """Tell whether a finding is about a container or network of somebody else, which the stack does not use."""
    name = finding.subject
    if one := lookup.container(facts, name):
        return not one["ours"] and name not in containers_of(facts["releases"])
    network = lookup.network(facts, name)
    if name == facts["network"]["name"] or name in networks_of(facts["releases"]) or (network and network["ours"]):
        return False
    on_it = [one for one in facts["containers"] if name in one["networks"]]
    return bool(network or on_it) and not any(one["ours"] for one in on_it)


def summary(facts: Facts) -> str:
    """Write one line about a host that has no finding."""
    if facts["host"]["engine"] is None:
        return "all is well: no Docker Engine runs here, and none is installed"
    counts = [f"{len(facts['networks'])} networks", f"{len(facts['containers'])} containers"]
    counts += [f"{len(facts['connections'])} connections", f"{len(facts['ports'])} ports"]
    return f"all is well: looked at {', '.join(counts)}"
