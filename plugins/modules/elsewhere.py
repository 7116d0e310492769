# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Ask what a stack uses elsewhere, before anything changes."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: elsewhere
short_description: Ask servers outside of a stack whether it can use them
version_added: 0.1.0
description:
  - Asks what the releases declare under C(elsewhere), such as somebody's Kafka, from this host. Each is asked by the
    program that its role brings.
  - Fails with everything that is wrong. Nothing is changed here or there.
  - With O(within=true), each container of a Swarm that runs on this host and uses something elsewhere is asked instead,
    with its own names and secrets. What is wrong is returned then.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
options:
  releases:
    description: The releases that are about to run.
    type: list
    elements: dict
    required: true
  secrets:
    description: The secrets that are given, by name.
    type: dict
    default: {}
  within:
    description: Whether to ask from within the containers of a Swarm on this host, rather than from the host.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ask what runs elsewhere
  sse.platform.elsewhere:
    releases: "{{ releases }}"
    secrets: "{{ settings.stack_secrets }}"
"""

RETURN = r"""
notes:
  description: What is good to know of these servers.
  returned: not with O(within=true)
  type: list
  elements: str
findings:
  description: What is wrong for a container of this host. Where no engine answers, there are none.
  returned: with O(within=true)
  type: list
  elements: dict
answers:
  description: How often a container of this host had an answer that is as it needs it.
  returned: with O(within=true)
  type: int
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host.elsewhere import ask
from ansible_collections.sse.platform.plugins.module_utils.model.elsewhere import of_releases, place
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.elsewhere import in_tasks


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "releases": {"type": "list", "elements": "dict", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "within": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    host = os.uname().nodename
    if module.params["within"]:
        try:
            checked = in_tasks(Engine(), module.params["releases"], host)
        except EngineError:  # whoever looks at the hosts tells of it
            module.exit_json(changed=False, findings=[], answers=0)
        found = [one._asdict() for one in checked.findings]
        module.exit_json(changed=False, findings=found, answers=checked.verified)
    problems: list[str] = []
    notes: list[str] = []
    for __, one in of_releases(module.params["releases"]):
        answer = ask(one, module.params["secrets"])
        problems += [f"{place(one)}: {text}" for text in answer.problems]
        notes += [f"{place(one)}: {text}" for text in answer.notes]
    if problems:
        head = f"What runs elsewhere cannot be used, as asked from {host}; nothing was changed."
        module.fail_json(msg="\n- ".join([head, *problems]))
    module.exit_json(changed=False, notes=notes)


if __name__ == "__main__":
    main()
