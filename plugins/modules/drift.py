# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Compare a host with the releases that were applied to it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: drift
short_description: Find what somebody changed since the last release was applied
version_added: 0.2.0
description:
  - Compares containers, their networks, limits, mounted files and data directories, the networks and the firewall with
    the newest releases that were applied.
  - Fails when something differs, and says what a run would do about it. Changes nothing.
  - The content of a secret that the controller gives is compared by a hash of what was written.
extends_documentation_fragment:
  - sse.platform.attributes
  - sse.platform.attributes.read_only
  - sse.platform.stack
  - sse.platform.stack.directory
options:
  stack: {required: true}
  state_directory: {required: true}
  daemon:
    description: The keys of the engine's configuration that differ from the settings, each with its wanted value.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Fail when somebody changed the stack by hand
  sse.platform.drift:
    stack: sse
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
findings:
  description: One entry for each difference.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.drift import find, report
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "daemon": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        findings = find(options["stack"], options["state_directory"], options["daemon"])
    except (EngineError, ForeignContainerError, SpecError) as error:
        module.fail_json(msg=str(error))
    text = "\n".join([*switches.lines(options["state_directory"]), report(findings)])
    shown = [one._asdict() for one in findings]
    if findings:
        module.fail_json(msg=text, findings=shown)
    module.exit_json(changed=False, msg=text, findings=shown)


if __name__ == "__main__":
    main()
