# Copyright: sse.platform maintainers
# MIT License
"""Say what is wrong with a host, its engine, its networks and its containers."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: doctor
short_description: Diagnose a host
description:
  - Looks once at the kernel, the engine, every network and container, what the containers' namespaces show, and
    every connection and port that should work; tells each thing that is wrong, what shows it, and the commands that
    mend it. Works with or without a release deployed, and with or without an engine.
  - Changes nothing, unless I(fix) is set. Fails where it finds something.
options:
  stack:
    description: Name of the stack whose label tells what may be mended.
    type: str
    required: true
  state_directory:
    description: Directory on the host that keeps the releases of the stack.
    type: path
    required: true
  network:
    description: The network that the settings ask for.
    type: dict
    required: true
    suboptions:
      name: {description: Its name., type: str, required: true}
      subnet: {description: Its subnet., type: str, required: true}
      gateway: {description: Its gateway., type: str, required: true}
      ip_range: {description: The range of its dynamic addresses., type: str, required: true}
  bind:
    description: Host address that the settings want the public ports on.
    type: str
    required: true
  clock:
    description: The controller's time, RFC 3339 in UTC with fractions, to compare the host's with.
    type: str
    default: ""
  fix:
    description: >-
      Run the commands of those findings that touch nothing but what carries the stack's label, then look again. In
      check mode they are only listed.
    type: bool
    default: false
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Diagnose the host
  sse.platform.doctor:
    stack: sse
    state_directory: /var/lib/sse-platform
    network:
      name: sse-network
      subnet: 10.99.0.0/24
      gateway: 10.99.0.1
      ip_range: 10.99.0.128/25
    bind: 127.0.0.1
"""

RETURN = r"""
msg:
  description: That all is well, or every finding.
  returned: always
  type: str
findings:
  description: Every finding.
  returned: always
  type: list
  elements: dict
  contains:
    rule: {description: Which rule found it., type: str}
    subject: {description: Who or what is concerned., type: str}
    wrong: {description: What is wrong., type: str}
    evidence: {description: What shows it., type: str}
    mend: {description: Commands that mend it., type: list, elements: str}
    fixable: {description: Whether I(fix) runs them., type: bool}
changes:
  description: Commands that were run, or would be.
  returned: always
  type: list
  elements: str
"""

import threading
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.doctor import mending
from ansible_collections.sse.platform.plugins.module_utils.doctor.diagnosis import diagnose, summary
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather.facts import gather
from ansible_collections.sse.platform.plugins.module_utils.model.finding import report

SETTLE_SECONDS = 15  # until a container that was started listens; what is wrong then stays so
PAUSE_SECONDS = 0.5  # containers tell nobody when they listen


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "stack": text,
            "state_directory": {"type": "path", "required": True},
            "network": {
                "type": "dict",
                "required": True,
                "options": dict.fromkeys(["name", "subnet", "gateway", "ip_range"], text),
            },
            "bind": text,
            "clock": {"type": "str", "default": ""},
            "fix": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    facts = gather(module.params)
    findings = diagnose(facts)
    steps: list[str] = []
    if module.params["fix"] and module.check_mode:
        steps = mending.commands(findings)
    elif module.params["fix"] and mending.commands(findings):
        stays = {(one.rule, one.subject) for one in findings if not one.fixable}
        steps = [step.line for step in mending.mend(findings)]
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            facts = gather({**module.params, "clock": ""})
            findings = diagnose(facts)
            if {(one.rule, one.subject) for one in findings} <= stays or time.monotonic() > deadline:
                break
            threading.Event().wait(PAUSE_SECONDS)
    result = {"changed": bool(steps), "changes": steps, "findings": [one._asdict() for one in findings]}
    if findings:
        done = [f"ran: {step}" for step in steps]
        module.fail_json(msg="\n".join([*done, report(findings)]), **result)
    module.exit_json(msg=summary(facts), **result)


if __name__ == "__main__":
    main()
