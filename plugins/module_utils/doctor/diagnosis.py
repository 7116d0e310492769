"""All rules over one set of facts."""

from __future__ import annotations

from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import (
    connections,
    containers,
    engine,
    kernel,
    names,
    networks,
    ports,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json, Rule
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

RULES: tuple[Rule, ...] = (
    *engine.RULES,
    *kernel.RULES,
    *networks.RULES,
    *containers.RULES,
    *names.RULES,
    *connections.RULES,
    *ports.RULES,
)


def diagnose(facts: Json) -> list[Finding]:
    """Everything that is wrong, each thing once."""
    return list(dict.fromkeys(finding for rule in RULES for finding in rule(facts)))


def summary(facts: Json) -> str:
    """One line for a host where nothing is wrong."""
    if facts["host"]["engine"] is None:
        return "all is well: no engine runs here, and none is installed"
    looked = {
        "networks": facts["networks"],
        "containers": facts["containers"],
        "connections": facts["edges"],
        "ports": facts["doors"],
    }
    return "all is well: looked at " + ", ".join(f"{len(found)} {what}" for what, found in looked.items())
