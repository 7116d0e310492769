# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Say what is wrong with a host, its engine, its networks and its containers."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: doctor
short_description: Find what is wrong with a host
version_added: 0.1.0
description:
  - Looks once at the kernel, the engine, every network, every container and every connection that should work.
  - Reports a finding for each thing that is wrong. A finding says what shows it, and which commands mend it.
  - Works with and without a release, and with and without an engine.
  - Fails when there is a finding about the stack or about what it needs of the host.
  - Changes nothing unless O(fix=true).
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: "With O(fix=true) the commands are listed and not run."}
  diff_mode: {support: none}
options:
  stack: {required: true}
  state_directory: {required: true}
  network:
    description: The network that the settings ask for.
    type: dict
    required: true
    suboptions:
      name: {description: Name of the network., type: str, required: true}
      subnet: {description: Subnet in CIDR notation., type: str, required: true}
      gateway: {description: Address of the host in the network., type: str, required: true}
      ip_range: {description: Part of the subnet that Docker chooses addresses from., type: str, required: true}
      overlap_allowed:
        description: Whether the subnets of the stack may be a part of what a route of the host holds.
        type: bool
        default: false
  bind:
    description: Address of the host that the settings want the public ports on.
    type: str
    required: true
  public_ports:
    description: Ports of the host that the settings publish on I(bind).
    type: list
    elements: int
    required: true
  clock:
    description: The time on the controller, in UTC as RFC 3339 writes it. The clock of the host is compared to it.
    type: str
    default: ""
  several:
    description: >-
      Whether the host is one of a cluster. Its containers are tasks of a Swarm then, and what its releases declare is
      left to M(sse.platform.cluster_doctor).
    type: bool
    default: false
  host:
    description: >-
      Also tell what is wrong with containers and networks that are not of the stack. This is advice: it does not make
      the module fail.
    type: bool
    default: false
  fix:
    description: Run the commands that touch nothing except what carries the label of the stack. Then look again.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Find what is wrong with the host
  sse.platform.doctor:
    stack: sse
    state_directory: /var/lib/sse-platform
    network:
      name: sse-network
      subnet: 10.99.0.0/24
      gateway: 10.99.0.1
      ip_range: 10.99.0.128/25
    bind: 127.0.0.1
    public_ports: [8080, 8443]
"""

RETURN = r"""
msg:
  description: One sentence when all is well, else every finding.
  returned: always
  type: str
advice:
  description: With O(host=true), what is wrong with containers and networks of others, in the form of C(findings).
  returned: always
  type: list
  elements: dict
findings:
  description: Every finding about the stack, or about what it needs of the host.
  returned: always
  type: list
  elements: dict
  contains:
    rule: {description: Name of the rule that reports the finding., type: str}
    subject: {description: The container or the part of the host that it is about., type: str}
    wrong: {description: What is wrong., type: str}
    evidence: {description: What shows it., type: str}
    mend: {description: Commands that mend it., type: list, elements: str}
    fixable: {description: Whether O(fix=true) runs these commands., type: bool}
    severity:
      description: >-
        V(critical) where something fails now or is open to strangers, V(warning) where it will fail or works worse,
        V(info) where it only deserves to be known.
      type: str
guests:
  description: Containers of others on networks of the stack, one line each. They are allowed, and no findings.
  returned: always
  type: list
  elements: str
found:
  description: How much there is to mend, such as C(1 thing to mend).
  returned: where there are findings
  type: str
changes:
  description: The commands that ran, or would run without check mode.
  returned: always
  type: list
  elements: str
"""

import contextlib
import threading
import time
from typing import cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import guests
from ansible_collections.sse.platform.plugins.module_utils.doctor import mending
from ansible_collections.sse.platform.plugins.module_utils.doctor.diagnosis import (
    count,
    diagnose,
    of_others,
    summary,
    told,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather.facts import gather
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts, Options
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, report

SETTLE_SECONDS = 15  # until a container that was started listens; what is still wrong then is a finding
PAUSE_SECONDS = 0.5  # between two looks: containers tell nobody when they listen


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "stack": text,
            "state_directory": {"type": "path", "required": True},
            "network": {
                "type": "dict",
                "required": True,
                "options": {
                    **dict.fromkeys(["name", "subnet", "gateway", "ip_range"], text),
                    "overlap_allowed": {"type": "bool", "default": False},
                },
            },
            "bind": text,
            "public_ports": {"type": "list", "elements": "int", "required": True},
            "clock": {"type": "str", "default": ""},
            "several": {"type": "bool", "default": False},
            "host": {"type": "bool", "default": False},
            "fix": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    fix, host = module.params.pop("fix"), module.params.pop("host")
    options = cast(Options, module.params)
    facts = gather(options)
    findings, advice = told_apart(facts)
    steps = mending.commands(findings) if fix else []
    if steps and not module.check_mode:
        stays = {(one.rule, one.subject) for one in findings if not one.fixable}
        steps = mending.mend(findings)
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            facts = gather({**options, "clock": ""})
            findings, advice = told_apart(facts)
            if {(one.rule, one.subject) for one in findings} <= stays or time.monotonic() > deadline:
                break
            threading.Event().wait(PAUSE_SECONDS)
    found_guests = guests_of(facts)
    result = {
        "changed": bool(steps),
        "guests": found_guests,
        "changes": steps,
        "findings": [one._asdict() for one in findings],
        "advice": [one._asdict() for one in advice if host],
    }
    others = [*about_others(advice, shown=host), *found_guests]
    if findings:
        done = [f"ran: {step}" for step in steps]
        module.fail_json(msg="\n".join([*done, told(findings), *others]), found=count(findings), **result)
    module.exit_json(msg="\n".join([summary(facts), *others]), **result)


def about_others(advice: list[Finding], *, shown: bool) -> list[str]:
    """Write what is wrong with things of others, or how to have it shown."""
    if not advice:
        return []
    if shown:
        return [report(advice, "Advice about containers and networks of others, which the stack does not need:")]
    how_many = "1 container or network" if len(advice) == 1 else f"{len(advice)} containers and networks"
    return [f"Beside the stack: something is wrong with {how_many} of others. ./sse doctor --host shows it."]


def guests_of(facts: Facts) -> list[str]:
    """Return a line for each container of somebody else on a network of the stack."""
    with contextlib.suppress(EngineError):
        return guests.lines(Engine(), facts["releases"], facts["stack"]) if facts["host"]["engine"] else []
    return []


def told_apart(facts: Facts) -> tuple[list[Finding], list[Finding]]:
    """Return the findings about the stack and what it needs, and those about things of others."""
    found = diagnose(facts)
    others = [one for one in found if of_others(facts, one)]
    return [one for one in found if one not in others], others


if __name__ == "__main__":
    main()
