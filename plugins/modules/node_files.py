# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Make the directories that one host of a cluster needs before tasks run there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_files
short_description: Make what services of a Swarm mount from their host
version_added: 0.3.0
description:
  - Makes the directories of a host for the data of services, for what they share, and for secrets that they read anew
    while they run, each with its owner and its permissions. Data that are there stay.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "The files hold secrets."}
options:
  state_directory: {required: true}
  directories:
    description: >-
      What this host needs, as M(sse.platform.swarm_services) returns it. In the place of a text, a file has its key in
      O(texts).
    type: list
    elements: dict
    required: true
  texts:
    description: The texts of the files by their keys, as M(sse.platform.swarm_services) returns them.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make the directories of this host
  sse.platform.node_files:
    state_directory: /var/lib/sse-platform
    directories: "{{ prepared.directories[inventory_hostname] }}"
    texts: "{{ prepared.texts }}"
"""

RETURN = r"""
changes:
  description: One line for each directory that was changed, without the content of any file.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import node_files
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "directories": {"type": "list", "elements": "dict", "required": True},
            "texts": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    given: list[node_files.NodeFiles] = options["directories"]
    for one in given:
        one["files"] = {name: options["texts"][key] for name, key in one["files"].items()}
    try:
        changes = node_files.ensure(options["state_directory"], given, check=module.check_mode)
    except ApplyError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
