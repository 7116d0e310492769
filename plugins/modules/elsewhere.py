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
  returned: always
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.host.elsewhere import ask
from ansible_collections.sse.platform.plugins.module_utils.model.elsewhere import of_releases, place


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "releases": {"type": "list", "elements": "dict", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    problems: list[str] = []
    notes: list[str] = []
    for __, one in of_releases(module.params["releases"]):
        answer = ask(one, module.params["secrets"])
        problems += [f"{place(one)}: {text}" for text in answer.problems]
        notes += [f"{place(one)}: {text}" for text in answer.notes]
    if problems:
        head = f"What runs elsewhere cannot be used, as asked from {os.uname().nodename}; nothing was changed."
        module.fail_json(msg="\n- ".join([head, *problems]))
    module.exit_json(changed=False, notes=notes)


if __name__ == "__main__":
    main()
