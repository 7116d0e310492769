# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Find what differs on a host from the releases that were applied to it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: differences
short_description: Find what differs on a host from the releases that were applied
version_added: 0.2.0
description:
  - Compares containers, their networks, limits, mounted files and data directories, the networks and the firewall with
    the newest releases that were applied. Changes nothing.
  - M(sse.platform.drift) asks for this, and compares the configuration of the engine as well.
extends_documentation_fragment:
  - sse.platform.attributes
  - sse.platform.attributes.read_only
  - sse.platform.stack
  - sse.platform.stack.directory
options:
  stack: {required: true}
  state_directory: {required: true}
"""

EXAMPLES = r"""
- name: Look what somebody changed by hand
  sse.platform.differences:
    stack: sse
    state_directory: /var/lib/sse-platform
  register: differences
"""

RETURN = r"""
findings:
  description: One entry for each difference.
  returned: success
  type: list
  elements: dict
guests:
  description: Containers of others on networks of the stack, one sentence each. They are no difference.
  returned: success
  type: list
  elements: str
paused:
  description: What an operator has paused, one line each.
  returned: success
  type: list
  elements: str
host:
  description: What M(sse.platform.host_info) returns.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import guests, run_lock, switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.drift import find
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import file_refused
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import machine
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    stack, directory = module.params["stack"], module.params["state_directory"]
    try:
        with run_lock.undisturbed(directory, {}):
            findings = find(stack, directory)
        found_guests = guests.lines(Engine(), newest_releases(directory), stack)
    except (EngineError, ForeignContainerError, SpecError, run_lock.LockedError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_refused(error))
    module.exit_json(
        changed=False,
        findings=[one._asdict() for one in findings],
        guests=found_guests,
        paused=switches.lines(directory),
        host=machine.observe(directory),
    )


if __name__ == "__main__":
    main()
