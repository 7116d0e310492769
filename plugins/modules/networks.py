# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Make the networks of a stack, and remove those that nothing uses any more."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: networks
short_description: Make and remove networks of a stack
version_added: 0.2.0
description:
  - Makes each network that is missing or differs, and removes others, all in one task.
  - A network that differs is removed first. Containers lose their place on it, and M(sse.platform.stack) gives it back.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
options:
  stack: {required: true}
  make:
    description: The networks to make, as the fact C(network_steps) of M(sse.platform.release) has them.
    type: list
    elements: dict
    default: []
  drop:
    description: Names of the networks to remove.
    type: list
    elements: str
    default: []
  mtu:
    description: The largest packet in bytes that the networks carry. Without it, the engine decides.
    type: int
"""

EXAMPLES = r"""
- name: Make the networks
  sse.platform.networks:
    stack: sse
    make: "{{ network_steps.make }}"
"""

RETURN = r"""
changes:
  description: The networks that were made and removed, one line each. In check mode, what would be done.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import stack_networks
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "make": {"type": "list", "elements": "dict", "default": []},
            "drop": {"type": "list", "elements": "str", "default": []},
            "mtu": {"type": "int"},
        },
        supports_check_mode=True,
    )
    options = module.params
    made, dropped = options["make"], options["drop"]
    try:
        if not module.check_mode:  # there a host may have no engine yet
            engine = Engine()
            for one in made:
                stack_networks.make(engine, one, options["stack"], options["mtu"])
            for name in dropped:
                stack_networks.remove(engine, name)
    except EngineError as error:
        module.fail_json(msg=str(error))
    changes = [*(f"+ network {one['name']}" for one in made), *(f"- network {one}" for one in dropped)]
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
