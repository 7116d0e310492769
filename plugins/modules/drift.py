# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: drift
short_description: Find what somebody changed since the last release was applied
version_added: 0.2.0
description:
  - Checks the settings as M(sse.platform.settings) does, and compares the host with the newest releases that were
    applied, as M(sse.platform.differences) does. Compares the configuration of the engine with the settings.
  - Fails when something differs, and says what a run would do about it. Changes nothing.
  - The content of a secret that the controller gives is compared by a hash of what was written.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
"""

EXAMPLES = r"""
- name: Fail when somebody changed the stack by hand
  sse.platform.drift:
"""

RETURN = r"""
findings:
  description: One entry for each difference.
  returned: always
  type: list
  elements: dict
"""
