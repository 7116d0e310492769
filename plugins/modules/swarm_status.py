# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Say what runs of a stack in a Swarm, as one of its managers sees it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swarm_status
short_description: Say what runs of a stack in a Docker Swarm
version_added: 0.3.0
description:
  - Asks the engine of a manager for the nodes of its Swarm, and for the services of a stack. It works while other hosts
    are down, and changes nothing.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "It changes nothing."}
options:
  stack_name:
    description: The name of the stack.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Look at the Swarm
  sse.platform.swarm_status:
    stack_name: sse
  register: seen
"""

RETURN = r"""
manager:
  description: Whether this host is a manager of a Swarm. Only a manager knows what runs.
  returned: success
  type: bool
lines:
  description: Its nodes, and the services of the stack with the nodes of their tasks, for people.
  returned: success
  type: list
  elements: str
document:
  description: The same, for C(./sse status --json).
  returned: on a manager
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
from ansible_collections.sse.platform.plugins.module_utils.views import swarm_status


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"stack_name": {"type": "str", "required": True}}, supports_check_mode=True)
    stack = module.params["stack_name"]
    api = SwarmApi()
    try:
        swarm = api.local()
        services = api.services() if swarm["manager"] else []
    except RefusedError as error:
        said = error.message.rstrip(".")
        module.fail_json(msg=f"The Swarm does not answer: {said}. Without most of its managers it does not.")
    except OSError as error:
        module.fail_json(msg=f"No Docker Engine answers: {error}")
    lines = swarm_status.lines(swarm["nodes"], services, stack)
    seen = {"document": swarm_status.document(swarm["nodes"], services, stack)} if swarm["manager"] else {}
    module.exit_json(
        **seen,
        changed=False,
        manager=swarm["manager"],
        lines=lines if swarm["manager"] else ["This host is no manager of a Swarm."],
    )


if __name__ == "__main__":
    main()
