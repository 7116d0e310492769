# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Remove the engine that the role docker installed."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: engine
short_description: Remove the engine that this collection installed
version_added: 0.1.0
description:
  - Removes packages, data, configuration, supervisor and firewall rules of the engine that the role C(docker)
    installed. A record of the installation on the host says which packages it added.
  - Fails, and changes nothing, where the engine was there before, where it does not answer, and where it has containers
    that are not of O(stack).
  - In check mode, only says what would go.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: full, details: "Nothing is removed. What would go is told."}
  diff_mode: {support: none}
options:
  stack:
    description: Name of the stack whose containers do not keep the engine, because they are removed before.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Remove the engine
  sse.platform.engine:
    stack: sse
"""

RETURN = r"""
packages:
  description: The packages that go.
  returned: always
  type: list
  elements: str
data:
  description: The directories with data that go.
  returned: always
  type: list
  elements: str
images:
  description: The number of images that go.
  returned: always
  type: int
volumes:
  description: The number of volumes that go.
  returned: always
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import engine_removal


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"stack": {"type": "str", "required": True}}, supports_check_mode=True)
    try:
        going = engine_removal.look(module.params["stack"])
        if not module.check_mode:
            engine_removal.remove(going)
    except engine_removal.EngineStaysError as error:
        module.fail_json(msg=str(error))
    told = going._asdict()
    told.pop("networks")
    module.exit_json(changed=True, **told)


if __name__ == "__main__":
    main()
