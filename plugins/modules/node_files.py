# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Make the directories that one host of a cluster needs before tasks run there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_files
short_description: Make what services of a Swarm mount from their host
version_added: 0.3.0
description:
  - Makes the directories of a host for the data of services, for what they share, and for files that they read anew
    while they run, each with its owner and its permissions. Data that are there stay.
  - Before files are written, the program of their service checks them. M(sse.platform.node_reload) tells the containers
    of them.
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
  specs:
    description: The services that read files anew, as M(sse.platform.swarm_services) returns them.
    type: dict
    default: {}
  switches:
    description: What is paused, as M(sse.platform.swarm_services) returns it. Without it, that stays as it is here.
    type: dict
"""

EXAMPLES = r"""
- name: Make the directories of this host
  sse.platform.node_files:
    state_directory: /var/lib/sse-platform
    directories: "{{ prepared.directories[inventory_hostname] }}"
    texts: "{{ prepared.texts }}"
    specs: "{{ prepared.specs[inventory_hostname] }}"
"""

RETURN = r"""
changes:
  description: One line for each directory that was changed, without the content of any file.
  returned: success
  type: list
  elements: str
"""

from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import node_files, switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, file_refused
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_told import Node
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "directories": {"type": "list", "elements": "dict", "required": True},
            "texts": {"type": "dict", "default": {}, "no_log": True},
            "specs": {"type": "dict", "default": {}},
            "switches": {"type": "dict", "no_log": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    given: list[node_files.NodeFiles] = options["directories"]
    for one in given:
        one["files"] = {name: options["texts"][key] for name, key in one["files"].items()}
    try:
        check(options["state_directory"], given, options["specs"], may_lack=module.check_mode)
        changes = node_files.ensure(options["state_directory"], given, check=module.check_mode)
        if options["switches"] is not None:
            changes += switches.keep(options["state_directory"], options["switches"], check=module.check_mode)
    except (ApplyError, EngineError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_refused(error))
    module.exit_json(changed=bool(changes), changes=changes)


def check(state_directory: str, given: list[node_files.NodeFiles], specs: dict[str, Spec], *, may_lack: bool) -> None:
    """Have services check files that differ.

    :param may_lack: whether there may be no engine yet
    """
    if specs:
        try:
            engine = Engine()
        except EngineError:
            if not may_lack:
                raise
        else:
            Node(engine, state_directory, "", specs).check(given)


if __name__ == "__main__":
    main()
