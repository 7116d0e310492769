# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: reach
short_description: Find out how Ansible reaches a host
version_added: 0.2.0
description:
  - Connects once, and writes the command of SSH with all options that the inventory and the configuration give, who is
    logged in there, whether sudo asks for a password, and this password where Ansible has it. The tools of C(./sse)
    reach the host in the same way.
  - Refuses variables with a prefix of this collection that no role knows.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
options:
  to:
    description: The file to write, as JSON. It may hold a password, so it has to be in a private directory.
    type: path
    required: true
  stack:
    description: The name of the stack that is meant.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Find out how this host is reached
  sse.platform.reach:
    to: /run/user/1000/way.json
    stack: sse
"""

RETURN = r"""
changed:
  description: Nothing on the host changes.
  returned: success
  type: bool
  sample: false
"""
