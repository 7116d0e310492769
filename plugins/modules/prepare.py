# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: prepare
short_description: Check the settings, observe the host, and choose the images
version_added: 0.2.0
description:
  - Does what M(sse.platform.settings), M(sse.platform.host_info) and M(sse.platform.images) do, one after the other in
    one task. A run with nothing to change takes less time by that.
  - Outside of check mode it fails where another run changes the stack.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
"""

EXAMPLES = r"""
- name: Observe before anything changes
  sse.platform.prepare:
"""

RETURN = r"""
ansible_facts:
  description: >-
    The facts of M(sse.platform.settings) and M(sse.platform.images), and the fact C(host), which holds what
    M(sse.platform.host_info) returns.
  returned: success
  type: dict
"""
