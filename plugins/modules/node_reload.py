# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Tell the containers of one host of a cluster what they have not read yet."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_reload
short_description: Have containers of a Swarm read the files that changed on their host
version_added: 0.3.0
description:
  - Tells each container on this host whose files changed since it read them, by the signal or by the program that its
    service declares. A container that started since then has read them, and gets only the program that its service
    needs at each start.
  - M(sse.platform.node_files) writes these files.
  - Writes down the names of the containers of this host, for the exporter that reads their figures.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: partial, details: "With O(state=asked) it never changes anything."}
  diff_mode: {support: N/A, details: "The files hold secrets."}
options:
  state:
    description: >-
      V(told) tells them. V(asked) changes nothing, and returns what those lack that keep copies with others.
      V(gathered) brings the only copy of everything into the containers of O(services): the others are about to go.
    type: str
    choices: [told, asked, gathered]
    default: told
  state_directory: {required: true}
  stack_name:
    description: The name of the stack.
    type: str
    required: true
  services:
    description: For V(gathered), the services that are to be alone.
    type: list
    elements: str
    default: []
  specs:
    description: The services that read files anew, as M(sse.platform.swarm_services) returns them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Tell containers of new files
  sse.platform.node_reload:
    state_directory: /var/lib/sse-platform
    stack_name: sse
    specs: "{{ prepared.specs[inventory_hostname] }}"
"""

RETURN = r"""
changes:
  description: One line for each container that was told.
  returned: O(state=told)
  type: list
  elements: str
behind:
  description: >-
    What each container of this host lacks that keeps copies with others, by the name of its service; an empty text
    where that is nothing.
  returned: O(state=asked)
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, file_refused
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_told import Node
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["told", "asked", "gathered"], "default": "told"},
            "services": {"type": "list", "elements": "str", "default": []},
            "state_directory": {"type": "path", "required": True},
            "stack_name": {"type": "str", "required": True},
            "specs": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    if module.check_mode and options["state"] != "asked":
        module.exit_json(skipped=True, changed=False, changes=[], msg="This module has no check mode.")
    try:
        node = Node(Engine(), options["state_directory"], options["stack_name"], options["specs"])
        if options["state"] == "asked":
            module.exit_json(changed=False, behind=node.behind())
        if options["state"] == "gathered":
            node.gather(options["services"])
            module.exit_json(changed=True)
        changes = node.tell()
        node.tell_names()
    except (ApplyError, EngineError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_refused(error))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
